import type { Engine } from "../engine.ts";
import type { Marker } from "../marker.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { Durability } from "./durability.ts";

/** How long to wait for readers, and how often to try meanwhile, in milliseconds. */
const WAIT_MS = 5000;
const TRY_MS = 20;

interface WipeParts {
  readonly marker: Pick<Marker, "blank">;
  readonly checkpoint: Pick<Checkpoint, "truncate">;
  readonly durability: Durability;
  readonly onFatal: (error: unknown) => void;
  readonly isClosed: () => boolean;
}

/**
 * What was erased in the tables is still in the log, and the marker still holds the run that it has marked last. A
 * stop erases both anyway.
 */
export function createWipe({ marker, checkpoint, durability, onFatal, isClosed }: WipeParts): Engine["wipe"] {
  function cut(): boolean {
    try {
      return checkpoint.truncate();
    } catch (error) {
      onFatal(error);
      throw error;
    }
  }

  return async () => {
    marker.blank();
    const until = performance.now() + WAIT_MS;
    while (!isClosed()) {
      await durability.settled();
      if (isClosed()) break;
      if (cut()) return true;
      // The checkpoint tries again later.
      if (performance.now() > until) return false;
      await Bun.sleep(TRY_MS);
    }
    return false;
  };
}
