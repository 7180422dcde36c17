import type { ErrorCode, HookonceError } from "../errors.ts";
import type { Fetch } from "../providers/context.ts";
import type { Fact } from "../providers/schemes/scheme.ts";
import type { SourceSettings } from "../providers/source.ts";

/** What the doctor has to go by besides the request and its source. */
export interface DoctorContext {
  /** The time to verify at, in Unix milliseconds. */
  readonly nowMs: number;
  /** For the keys and certificates of the few providers that hand theirs out. */
  readonly fetch: Fetch;
  /** Every source of the inbox: the delivery may be another's. */
  readonly sources: readonly SourceSettings[];
  /** Secrets that no source uses, by the name they have for the user. */
  readonly otherSecrets?: readonly NamedSecret[];
  /** The source's latest rejections, the oldest first. */
  readonly rejections?: readonly Rejection[];
  /** What the delivery is answered as before its signature is looked at. */
  readonly handshake?: string | undefined;
  /** Why it is refused before its signature is looked at. */
  readonly refused?: HookonceError | undefined;
}

export interface NamedSecret {
  /** `STRIPE_CLI_SECRET in .env`. */
  readonly name: string;
  readonly secret: string;
}

export interface Rejection {
  readonly code: string;
  /** How old the signature was, in seconds; negative when it came from the future. */
  readonly ageS?: number | undefined;
}

/** What the doctor says. No text in it holds a secret, or more of a signature than its beginning. */
export interface Diagnosis {
  readonly source: string;
  /** The provider's title. */
  readonly provider: string;
  readonly docs: string;
  readonly verified: boolean;
  /** Why a delivery like this is refused; undefined when it is not. */
  readonly refusal: { readonly code: ErrorCode; readonly message: string } | undefined;
  readonly expected: readonly Fact[];
  readonly found: readonly Fact[];
  /** What is wrong, the likeliest first. */
  readonly findings: readonly Finding[];
}

export type Cause =
  | "age"
  | "clock"
  | "secret_of_another_source"
  | "another_secret"
  | "secret_spelled_otherwise"
  | "key_decoding"
  | "body_changed"
  | "body_length"
  | "url"
  | "public_url_missing"
  | "signature_elsewhere"
  | "signature_written_otherwise"
  | "near_header"
  | "other_provider"
  | "other_source"
  | "no_secret"
  | "stripe_listen"
  | "as_refused"
  | "unknown";

export interface Finding {
  readonly cause: Cause;
  /** Shown by trying: with this changed, the signature is right. */
  readonly proven: boolean;
  readonly what: string;
  readonly remedy: string;
}
