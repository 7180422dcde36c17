import type { Finding } from "./diagnosis.ts";
import type { Trial } from "./trial.ts";

/** Something that may be otherwise than it should be: were it so, what would be signed, or with what? */
export interface Hypothesis {
  readonly change: Partial<Trial>;
  readonly cause: Finding["cause"];
  readonly what: string;
  readonly remedy: string;
  /** What is said of it where it is only half of what is wrong, if that is something else. */
  readonly half?: { readonly what?: string; readonly remedy?: string };
  /** Something in the request speaks against it: believed when it explains all, and not as half of an explanation. */
  readonly unlikely?: boolean;
}

/** In bytes: two changes at a time are tried of bodies up to this. */
export const MAX_BODY_OF_PAIRS = 64 * 1024;
