import type { ErrorCode, HookonceError } from "../errors.ts";
import type { Fetch } from "../providers/context.ts";
import type { Fact } from "../providers/schemes/scheme.ts";
import type { Provider } from "../providers/provider.ts";
import type { SourceSettings } from "../providers/source.ts";

/** What the doctor knows besides the request and its source. */
export interface DoctorContext {
  /** The time to verify at, in Unix milliseconds. */
  readonly nowMs: number;
  /** For the keys and certificates of the few providers that publish theirs. */
  readonly fetch: Fetch;
  /** Every source of the inbox. The delivery may be meant for another one. */
  readonly sources: readonly SourceSettings[];
  /** Secrets that no source uses. */
  readonly otherSecrets?: readonly NamedSecret[];
  /** The source's latest rejections, the oldest first. */
  readonly rejections?: readonly Rejection[];
  /** The name of the handshake, if the delivery is one that is answered before its signature is checked. */
  readonly handshake?: string | undefined;
  /** Why it is refused before its signature is checked. */
  readonly refused?: HookonceError | undefined;
}

export interface NamedSecret {
  /** As the user knows it: `STRIPE_CLI_SECRET in .env`. */
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
  /** What is wrong, the likeliest cause first. */
  readonly findings: readonly Finding[];
}

/** How the provider signs: its own page, or a command that describes a scheme. */
export function docsOf({ name, docs }: Pick<Provider, "name" | "docs">): string {
  return docs.startsWith("https:") ? docs : `hookonce providers ${name}`;
}

export type Cause =
  | "age"
  | "clock"
  | "carried_secret"
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
  | "near_parameter"
  | "other_provider"
  | "other_source"
  | "no_secret"
  | "claims"
  | "outdated"
  | "reloaded"
  | "secret_sent"
  | "not_kept"
  | "stripe_listen"
  | "as_refused"
  | "unknown";

export interface Finding {
  readonly cause: Cause;
  /** Whether a trial has proved it: with this change, the signature is right. */
  readonly proven: boolean;
  readonly what: string;
  readonly remedy: string;
}
