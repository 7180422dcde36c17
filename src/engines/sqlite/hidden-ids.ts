import type { Database } from "bun:sqlite";
import { hashed } from "../forget.ts";
import { readMeta, writeMeta } from "./meta.ts";

const KEY = "hidden_ids";

/**
 * Whether ids, types or keys were replaced by their hashes, because they contained a text that was forgotten. Each
 * look-up then asks for the hash, too. Until the first one, that costs nothing.
 */
export interface HiddenIds {
  readonly any: boolean;
  /** Call it in the transaction that replaces one. */
  note(): void;
}

const known = new WeakMap<Database, HiddenIds>();

/** The same object for each use of a connection. */
export function createHiddenIds(db: Database): HiddenIds {
  const found = known.get(db);
  if (found !== undefined) return found;
  let any: boolean | undefined;
  const hidden: HiddenIds = {
    get any() {
      return (any ??= readMeta(db, KEY) !== undefined);
    },
    note() {
      writeMeta(db, KEY, "1");
      // If the transaction is rolled back, look-ups only cost more than they need.
      any = true;
    },
  };
  known.set(db, hidden);
  return hidden;
}

/** The names under which something may be stored. */
export function namesOf({ any }: HiddenIds, name: string): readonly string[] {
  return any ? [name, hashed(name)] : [name];
}
