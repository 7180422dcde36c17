import type { Fetch } from "../../../src/providers/context.ts";

export type Headers = Readonly<Record<string, string>>;

/** A delivery as it arrives. */
export interface Arrival {
  readonly body: string;
  readonly headers: Headers;
  /** How much later than it was signed, in milliseconds. */
  readonly laterMs: number;
}

/** What a provider's own library makes of a delivery: the oracle that the provider's preset is held against. */
export interface Library {
  /** The preset, where it is not the row's name. */
  readonly preset?: string;
  /** Instead of a made-up one. */
  readonly secret?: string;
  /** What the library insists on besides, and a preset does not need. */
  readonly headers?: Headers;
  /** The signature stands in the body: one that cannot be read is no signature, and its key may not be to be had. */
  readonly signedInBody?: true;
  /** The library's own signature, where it can make one: the headers or the body that take the place of ours. */
  readonly signs?: (request: Arrival, secret: string) => Signed | Promise<Signed>;
  /** Whether the library takes it; a throw is a no. The system's time is the receiver's. */
  readonly accepts: (arrival: Arrival, secret: string, fetch: Fetch) => unknown;
  /** Where the library takes what its provider does not send, and hookonce refuses it. */
  readonly laxer?: Readonly<Record<string, Laxity>>;
  /** Where both count on another clock's granularity. */
  readonly differs?: (laterMs: number) => boolean;
}

export interface Signed {
  readonly headers?: Headers;
  readonly body?: string;
}

export interface Laxity {
  /** Whether a delivery is of this kind. The library may take it; we must not. */
  readonly covers: (arrival: Arrival) => boolean;
  /** One of the kind, made of a delivery that is right. Left out where only the provider could sign it. */
  readonly example?: (right: Arrival) => Arrival;
}

/** The library looks only whether a time is too old; the provider's documentation asks for both, or for nothing. */
export const takesTheFuture = (toleranceMs: number): Laxity => ({
  covers: ({ laterMs }) => laterMs < -toleranceMs,
  example: (right) => ({ ...right, laterMs: -400_000 }),
});

/** The library looks at no time at all. */
export const takesAnyAge = (toleranceMs: number): Laxity => ({
  covers: ({ laterMs }) => Math.abs(laterMs) > toleranceMs,
  example: (right) => ({ ...right, laterMs: 400_000 }),
});

/** A header that is spelled as the provider does not, and how one could be. */
export const misspelt = (header: string, right: RegExp, wrongly?: (value: string) => string): Laxity => {
  const covers: Laxity["covers"] = ({ headers }) => !right.test(headers[header] ?? "");
  if (wrongly === undefined) return { covers };
  return { covers, example: (arrival) => withHeader(arrival, header, wrongly) };
};

/** What is no base64 is passed over when a signature is decoded. */
export const looseBase64 = (header: string, prefix = ""): Laxity => ({
  covers: ({ headers }) =>
    (headers[header] ?? "")
      .split(" ")
      .some((one) => one.startsWith(prefix) && !isBase64(one.slice(prefix.length))),
  example: (arrival) => withHeader(arrival, header, (value) => value.replace(/=$/, "")),
});

export const withHeader = (arrival: Arrival, header: string, change: (value: string) => string): Arrival => ({
  ...arrival,
  headers: { ...arrival.headers, [header]: change(arrival.headers[header] ?? "") },
});

/** The one spelling of some bytes. */
export function isBase64(text: string): boolean {
  return Buffer.from(text, "base64").toString("base64") === text;
}

const COMMA_AND_MORE = /^[^ ,]*,[^ ,]*(?: [^ ,]*,[^ ,]*)*$/;

/** What the library of Standard Webhooks forgives, and with it every library that calls it. */
export const ofStandardWebhooks = (prefix: "webhook" | "svix"): Readonly<Record<string, Laxity>> => ({
  "drops what follows a second comma": misspelt(
    `${prefix}-signature`,
    COMMA_AND_MORE,
    (value) => `${value},junk`,
  ),
  "reads the time like parseInt": misspelt(`${prefix}-timestamp`, /^\d{1,14}$/, (value) => `${value} or so`),
});
