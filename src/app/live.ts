import type { Config } from "../config/load.ts";
import type { Handlers } from "../engines/engine.ts";
import type { Source } from "../providers/source.ts";

/** What is made from an inbox folder. A reload replaces all of it at once, between two commits. */
export interface Loaded {
  readonly config: Config;
  readonly sources: ReadonlyMap<string, Source>;
  readonly handlers: Handlers;
  /** When the files were read, in Unix milliseconds. */
  readonly at: number;
}

/**
 * Returns what is loaded now. Call it at each use, and keep nothing of what it returns: a reload would not
 * reach it.
 */
export type Live = () => Loaded;

/** Makes something of what is loaded, and makes it again after a reload. */
export function madeOf<Made>(live: Live, make: (loaded: Loaded) => Made): () => Made {
  let of: Loaded | undefined;
  let made: Made;
  return () => {
    const loaded = live();
    if (loaded !== of) {
      made = make(loaded);
      of = loaded;
    }
    return made;
  };
}
