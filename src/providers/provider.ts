import type { BatchPath } from "./body/batch.ts";
import type { Handshake } from "./handshake.ts";
import type { Part, Selector } from "./body/selector.ts";

/** What a source speaks. A preset is a literal of this type, nothing more; the engine (verifier.ts and what it leads to) does the rest. */
export interface Provider {
  readonly name: string;
  readonly title: string;
  /** What else it may be looked for under: suggested, never taken. */
  readonly aliases?: readonly string[];
  /** The provider's own page on verifying its webhooks. */
  readonly docs: string;
  readonly scheme: Scheme;
  /** What to put where `secret` is asked for, when it is not called a secret there. */
  readonly secretIs?: string;
  readonly eventId: Selector;
  /** Whether the signature covers the event id. Where it does not, whoever saw one delivery can send its body under another id. */
  readonly eventIdSigned: boolean;
  readonly type: Selector;
  /** Where the events stand in a delivery that brings several. Every other selector then reads from one of them. */
  readonly batch?: readonly BatchPath[];
  /** A form field that holds the JSON payload, for providers that can be told to send forms. */
  readonly formField?: string;
  /** Headers with secrets in them besides those of the scheme, in lower case. */
  readonly secretHeaders?: readonly string[];
  readonly handshakes?: readonly Handshake[];
  /** What it wants to hear instead of 200 and JSON when all went well. */
  readonly answer?: ExactAnswer;
  /** A refusal is answered without a body. */
  readonly emptyRefusals?: boolean;
  /** The largest body it sends, in bytes; 1 MiB where it does not say. */
  readonly maxBody?: number;
  /** How long it waits for an answer, in milliseconds. */
  readonly timeoutMs: number;
  /** For how long it goes on retrying, in milliseconds. */
  readonly retryWindowMs: number;
  /** How often and when it retries, in words. */
  readonly retries?: string;
  /** What the signature leaves open, and no receiver can close. */
  readonly caution?: string;
  /** What could not be checked against the provider's own documentation or library. */
  readonly unverified?: string;
}

export interface ExactAnswer {
  readonly status: number;
  readonly contentType?: string;
  readonly body?: string;
}

export type Scheme =
  | HmacScheme
  | PublicKeyScheme
  | StaticScheme
  | UnsignedScheme
  | TwilioScheme
  | MailgunScheme
  | AdyenScheme
  | ContentfulScheme
  | NetlifyScheme
  | PlaidScheme
  | SnsScheme
  | PayPalScheme;

/** Whoever can reach the source is believed. For trying things out, and for pings that say no more than "go and look". */
export interface UnsignedScheme {
  readonly kind: "unsigned";
  /** The provider itself never signs: `allow_public` is then no carelessness, since nothing in the body is believed. */
  readonly thinPing?: boolean;
}

/** A keyed hash over what `signed` spells out. Nearly every provider is a literal of this. */
export interface HmacScheme extends SignedRequest {
  readonly kind: "hmac";
  readonly algorithm: HmacAlgorithm;
  readonly encoding: "hex" | "base64" | "base64url";
  readonly key: KeyFormat;
}

/** A signature that is made with a private key: the configured secret is the public one. */
export interface PublicKeyScheme extends SignedRequest {
  readonly kind: "public-key";
  readonly algorithm: "ed25519" | "ecdsa-sha256";
  readonly encoding: "hex" | "base64";
  /** `raw-hex` and `whpk` (base64 after an optional `whpk_`): the 32 bytes of an ed25519 key. `spki`: base64 of a DER structure. */
  readonly key: "raw-hex" | "whpk" | "spki";
}

/** What is signed of a request, and where the signature stands. */
export interface SignedRequest {
  readonly signature: SignatureHeader;
  /**
   * What is signed: a template over `{body}`, `{timestamp}`, `{id}`, `{method}`, `{url}` (as the provider knows it, see `public_url`),
   * `{decoded_url}` and `{header:name}`.
   */
  readonly signed: string;
  readonly timestamp?: TimestampRule;
  /** The header that `{id}` stands for. */
  readonly idHeader?: string;
  /** In a form, `{body}` is the text of this field. */
  readonly signedFormField?: string;
}

export type HmacAlgorithm = "md5" | "sha1" | "sha256" | "sha512";

/**
 * How the secret's text becomes the key. `whsec`: base64 after an optional `whsec_` (Standard Webhooks);
 * `whsec-or-text`: that only when it has the prefix; `whsec-and-text`: either of the two, since nothing in such a secret says which.
 * Stripe's secrets look the same and are `text`.
 */
export type KeyFormat = "text" | "hex" | "base64" | "whsec" | "whsec-or-text" | "whsec-and-text";

export interface SignatureHeader {
  /** In lower case. With a `*` at its end: all that begin so, put together with the separator. */
  readonly header: string;
  /** Between the parts of the header, where there are several: `,` in `t=…,v1=…`. */
  readonly separator?: string;
  /** Before each signature: `v1=`. Every part that starts with it is a candidate, others are passed over. */
  readonly prefix?: string;
}

export interface TimestampRule {
  /** Where it stands: in a header of its own, in the part of the signature header with this prefix, or in the signed body. */
  readonly from: { readonly header: string } | { readonly prefix: string } | { readonly body: Part };
  /** `iso` is RFC 3339 text. */
  readonly unit: "s" | "ms" | "iso";
  /** Refused when further away than this either way, in seconds. Without it any time will do: the provider does not say. */
  readonly tolerance?: number;
}

/** The secret itself, sent along: in a header, in the body, or as the password of basic authentication. Never kept. */
export interface StaticScheme {
  readonly kind: "static";
  /** A part; or `basic`, and then the secret is `user:password`. */
  readonly secretIn: Part;
}

/** The URL and the sorted fields of a form; or the URL, which holds a hash of the body. */
export interface TwilioScheme {
  readonly kind: "twilio";
}

/** Only a time and a token are signed, and all three stand in the body. */
export interface MailgunScheme {
  readonly kind: "mailgun";
  /** In seconds. */
  readonly tolerance: number;
}

/** Each item of the batch carries a signature over some of its fields. */
export interface AdyenScheme {
  readonly kind: "adyen";
}

/** A canonical request with the headers that it says are signed. */
export interface ContentfulScheme {
  readonly kind: "contentful";
  /** In seconds. */
  readonly tolerance: number;
}

/** A JWT with the hash of the body, HS256. */
export interface NetlifyScheme {
  readonly kind: "netlify";
}

/** A JWT with the hash of the body, ES256, its key fetched from the provider. */
export interface PlaidScheme {
  readonly kind: "plaid";
  /** In seconds. */
  readonly tolerance: number;
}

/** RSA over fields of the body, by a certificate at one of Amazon's hosts. The secret is the topic's ARN: anybody can have a topic. */
export interface SnsScheme {
  readonly kind: "sns";
}

/** RSA over headers and a checksum of the body, by a certificate at one of PayPal's hosts. The secret is the webhook's id. */
export interface PayPalScheme {
  readonly kind: "paypal";
}
