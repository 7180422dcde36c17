import type { BatchPath } from "./body/batch.ts";
import type { Part, Selector } from "./body/selector.ts";
import type { Handshake } from "./handshake.ts";
import type { Scheme } from "./schemes.ts";

/**
 * What hookonce knows about a provider. A preset is a literal of this type and nothing more; the code in
 * schemes/ and body/ reads it.
 */
export interface Provider {
  readonly name: string;
  readonly title: string;
  /** Other names that people look for. They are suggested, but not accepted. */
  readonly aliases?: readonly string[];
  /** The provider's own page on verifying its webhooks. */
  readonly docs: string;
  readonly scheme: Scheme;
  /**
   * The keys that each source must have, with an example of each, because the preset has no default for them.
   */
  readonly needs?: Readonly<Record<string, string>>;
  /**
   * The provider does not sign, and its events only say "go and look", so nothing in the body has to be
   * trusted.
   */
  readonly thinPing?: boolean;
  /** What to enter as `secret`, if the provider does not call it a secret. */
  readonly secretIs?: string;
  readonly eventId: Selector;
  /**
   * The rules that earlier versions of this preset had. An event that is recorded under one of them keeps its
   * id, and the change of the preset does not refuse a start.
   */
  readonly earlierEventIds?: readonly Selector[];
  /**
   * Whether the signature covers the event id. If not, anyone who has seen a delivery can send its body again
   * under another id.
   */
  readonly eventIdSigned: boolean;
  readonly type: Selector;
  /**
   * Where the events are in a delivery that carries several. Every other selector then reads from one event.
   */
  readonly batch?: readonly BatchPath[];
  /** A form field that holds the JSON payload, for providers that can be told to send forms. */
  readonly formField?: string;
  /** Headers that hold secrets, besides those of the scheme. In lower case. */
  readonly secretHeaders?: readonly string[];
  readonly handshakes?: readonly Handshake[];
  /** What it also delivers, without a type, and where a handler finds it; in words. */
  readonly untyped?: string;
  /** It can be told to deliver by GET, with the fields of a form in the query. */
  readonly deliversByGet?: true;
  /** The answer it wants after success, instead of 200 and JSON. */
  readonly answer?: ExactAnswer;
  /**
   * Who uses the answer to a delivery, if it says more than that the event was received. Its source is not paused
   * without a `held_reply`.
   */
  readonly usesAnswer?: string;
  /** Refusals are answered without a body. */
  readonly emptyRefusals?: boolean;
  /** The largest body it sends, in bytes. Default: 1 MiB. */
  readonly maxBody?: number;
  /** An event that has one of these values is a test. Undefined if the provider does not mark tests. */
  readonly testMarks?: readonly TestMark[];
  /** How long it waits for an answer, in milliseconds. */
  readonly timeoutMs: number;
  /** How long it keeps retrying, in milliseconds. */
  readonly retryWindowMs: number;
  /**
   * Each attempt is signed with its own time. If that is not known, the tolerance covers the retries, because
   * ids are deduplicated, and a retry that is refused is lost.
   */
  readonly signsRetries?: true;
  /**
   * How long hookonce runs a failed event again by itself, in milliseconds. Set it for a provider that does
   * not retry by itself. Default: 0.
   */
  readonly retryForMs?: number;
  /** How often and when it retries, in words. */
  readonly retries?: string;
  /** What the signature does not protect. No receiver can make up for that. */
  readonly caution?: string;
  /**
   * What the signature and the payloads were compared with: the provider's own library, its source, its
   * documentation, or the code of receivers. What the tests do not run has the month in which it was read.
   * Absent from presets that are only a scheme.
   */
  readonly checkedAgainst?: string;
  /** What could not be verified with the provider's own documentation or library. */
  readonly unverified?: string;
}

export interface TestMark {
  /** A path, as in `body:$.livemode`. In a batch, it is read from each event and from the whole body. */
  readonly at: Part;
  /** The value, or how it begins. */
  readonly is?: string | boolean;
  readonly begins?: string;
}

export interface ExactAnswer {
  readonly status: number;
  readonly contentType?: string;
  readonly body?: string;
}

/** Whether the preset is only a scheme, for senders that hookonce does not know. */
export function isOnlyScheme({ needs }: { readonly needs?: Provider["needs"] | undefined }): boolean {
  return needs?.["type"] !== undefined;
}

/** Who signs its deliveries, in words. */
export function signerOf(
  provider: Pick<Provider, "title"> & { readonly needs?: Provider["needs"] | undefined },
): string {
  return isOnlyScheme(provider) ? "the sender" : provider.title;
}
