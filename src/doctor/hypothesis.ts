import type { Guess } from "../providers/schemes/scheme.ts";
import type { Finding } from "./diagnosis.ts";
import type { Trial } from "./trial.ts";

/** Something that may be wrong, and what to change to find out. */
export interface Hypothesis extends Omit<Guess<unknown>, "change"> {
  readonly change: Partial<Trial>;
  readonly cause: Finding["cause"];
  /**
   * The request itself contradicts it. It is accepted if it explains everything, but not as one of two
   * causes.
   */
  readonly unlikely?: boolean;
}

/** In bytes. Two changes at a time are tried only on bodies up to this size. */
export const MAX_BODY_OF_PAIRS = 64 * 1024;
