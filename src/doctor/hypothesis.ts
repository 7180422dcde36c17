import type { Finding } from "./diagnosis.ts";
import type { Trial } from "./trial.ts";

/** Something that may be otherwise than it should be: were it so, what would be signed, or with what? */
export interface Hypothesis {
  readonly change: Partial<Trial>;
  readonly cause: Finding["cause"];
  readonly what: string;
  readonly remedy: string;
}

/** In bytes: two changes at a time are tried of bodies up to this. */
export const MAX_BODY_OF_PAIRS = 64 * 1024;
