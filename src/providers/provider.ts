import type { Selector } from "./selector.ts";

/** What a source speaks. A preset is a literal of this type, nothing more; the engine (verify.ts, hmac.ts) does the rest. */
export interface Provider {
  readonly name: string;
  readonly title: string;
  /** The provider's own page on verifying its webhooks. */
  readonly docs: string;
  readonly scheme: Scheme;
  readonly eventId: Selector;
  /** Whether the signature covers the event id. Where it does not, whoever saw one delivery can send its body under another id. */
  readonly eventIdSigned: boolean;
  readonly type: Selector;
  /** A form field that holds the JSON payload, for providers that can be told to send forms. */
  readonly formField?: string;
  /** The largest body it sends, in bytes; 1 MiB where it does not say. */
  readonly maxBody?: number;
  /** How long it waits for an answer, in milliseconds. */
  readonly timeoutMs: number;
  /** For how long it goes on retrying, in milliseconds. */
  readonly retryWindowMs: number;
}

export type Scheme = HmacScheme | UnsignedScheme;

/** Whoever can reach the source is believed. For trying things out. */
export interface UnsignedScheme {
  readonly kind: "unsigned";
}

/** A keyed hash over what `signed` spells out. Nearly every provider is a literal of this. */
export interface HmacScheme {
  readonly kind: "hmac";
  readonly algorithm: HmacAlgorithm;
  readonly encoding: "hex" | "base64";
  readonly key: KeyFormat;
  readonly signature: SignatureHeader;
  /** What is signed: a template over `{body}`, `{timestamp}` and `{id}`. */
  readonly signed: string;
  readonly timestamp?: TimestampRule;
  /** The header that `{id}` stands for. */
  readonly idHeader?: string;
}

export type HmacAlgorithm = "sha1" | "sha256" | "sha512";

/**
 * How the secret's text becomes the key. `whsec`: base64 after an optional `whsec_` (Standard Webhooks);
 * Stripe's secrets look the same and are `text`.
 */
export type KeyFormat = "text" | "hex" | "base64" | "whsec";

export interface SignatureHeader {
  /** In lower case. */
  readonly header: string;
  /** Between the parts of the header, where there are several: `,` in `t=…,v1=…`. */
  readonly separator?: string;
  /** Before each signature: `v1=`. Every part that starts with it is a candidate, others are passed over. */
  readonly prefix?: string;
}

export interface TimestampRule {
  /** Where it stands: in a header of its own, or in the part of the signature header with this prefix. */
  readonly from: { readonly header: string } | { readonly prefix: string };
  readonly unit: "s" | "ms";
  /** Refused when further away than this either way, in seconds. */
  readonly tolerance: number;
}
