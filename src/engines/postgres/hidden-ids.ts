import { hashed } from "../forget.ts";
import { writeMeta } from "./meta.ts";
import type { Tx } from "./tx.ts";

/** The fact `hidden` is read from it when a transaction begins. */
export const HIDDEN_IDS = "hidden_ids";

/** Call it in the transaction that replaces an id, a type or a key by its hash. */
export function noteHidden(tx: Tx): void {
  writeMeta(tx, HIDDEN_IDS, "1");
  tx.facts.hidden = true;
}

/** The names under which something may be stored. */
export function namesOf({ facts }: Tx, name: string): readonly string[] {
  return facts.hidden ? [name, hashed(name)] : [name];
}
