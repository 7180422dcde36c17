import type { Fetch } from "../../../src/providers/context.ts";

export type Headers = Readonly<Record<string, string>>;

/** A delivery as it arrives. */
export interface Arrival {
  /** The whole URL, as the provider knows it. */
  readonly url: string;
  readonly headers: Headers;
  readonly body: string;
  /** The bytes that are sent, if they are not the UTF-8 of `body`. */
  readonly bytes?: Uint8Array;
  /** How much later than its signature it arrives, in milliseconds. */
  readonly laterMs: number;
}

/** A provider's own library: what the provider's preset is compared with. */
export interface Library {
  /** The preset, if it does not have the row's name. */
  readonly preset?: string;
  /** The library's own tolerance, if the preset's is wider so that it loses no retries. */
  readonly tolerance?: string;
  /** A secret to use instead of a generated one. */
  readonly secret?: string;
  /** Headers that the library requires and a preset does not need. */
  readonly headers?: Headers;
  /** The signature is in the body, so a body that cannot be read counts as unsigned. */
  readonly signedInBody?: true;
  /** Signs with the library, if it can. Returns the headers or the body that replace ours. */
  readonly signs?: (request: Arrival, secret: string) => Signed | Promise<Signed>;
  /**
   * Whether the library accepts the delivery. It refuses by throwing, too. The system time is the receiver's.
   */
  readonly accepts: (arrival: Arrival, secret: string, fetch: Fetch) => unknown;
  /** What the library accepts and hookonce refuses. The provider never sends it. */
  readonly laxer?: Readonly<Record<string, Difference>>;
  /** What the library refuses and hookonce accepts. */
  readonly stricter?: Readonly<Record<string, Difference>>;
  /** Deliveries on which either verdict is fine, such as ages that the two round differently. */
  readonly notCompared?: (arrival: Arrival) => boolean;
}

export interface Signed {
  readonly headers?: Headers;
  readonly body?: string;
}

/** A kind of delivery on which the two may disagree. */
export interface Difference {
  /** Whether a delivery is of this kind. */
  readonly covers: (arrival: Arrival) => boolean;
  /** Makes one of this kind from a valid delivery. Left out if only the provider could sign it. */
  readonly example?: (valid: Arrival) => Arrival;
}

/**
 * The library checks only that a time is not too old. The provider's documentation asks for both, or for
 * nothing.
 */
export const acceptsFutureTimes = (toleranceMs: number): Difference => ({
  covers: ({ laterMs }) => laterMs < -toleranceMs,
  example: (valid) => ({ ...valid, laterMs: -400_000 }),
});

/** The library ignores the time. (hookonce counts whole seconds.) */
export const acceptsAnyAge = (toleranceMs: number): Difference => ({
  covers: ({ laterMs }) => laterMs >= toleranceMs + 1000 || laterMs < -toleranceMs,
  example: (valid) => ({ ...valid, laterMs: 400_000 }),
});

/** Unix seconds or milliseconds, as providers write them. */
export const TIME = /^[1-9]\d{0,13}$/;

/** A header in a form that the provider does not send, and how to make one. */
export const misspelt = (header: string, right: RegExp, wrongly?: (value: string) => string): Difference => {
  const covers: Difference["covers"] = ({ headers }) => !right.test(headers[header] ?? "");
  if (wrongly === undefined) return { covers };
  return { covers, example: (arrival) => withHeader(arrival, header, wrongly) };
};

/** The library skips characters that are not base64 when it decodes a signature. */
export const looseBase64 = (header: string, prefix = ""): Difference => ({
  covers: ({ headers }) =>
    (headers[header] ?? "")
      .split(" ")
      .some((one) => one.startsWith(prefix) && !isBase64(one.slice(prefix.length))),
  example: (arrival) => withHeader(arrival, header, (value) => value.replace(/=$/, "")),
});

/**
 * The library verifies the decoded text. `valid` has U+FFFD in its body, and the example a byte that decodes
 * to it.
 */
export const verifiesTheText: Difference = {
  covers: ({ bytes }) => bytes !== undefined,
  example: (valid) => {
    const [before = "", after = ""] = valid.body.split("\uFFFD");
    return { ...valid, bytes: Buffer.concat([Buffer.from(before), Buffer.of(0xe9), Buffer.from(after)]) };
  },
};

export const withHeader = (arrival: Arrival, header: string, change: (value: string) => string): Arrival => ({
  ...arrival,
  headers: { ...arrival.headers, [header]: change(arrival.headers[header] ?? "") },
});

/** Whether the text is the one base64 spelling of its bytes. */
export function isBase64(text: string): boolean {
  return Buffer.from(text, "base64").toString("base64") === text;
}

/** What the library of Standard Webhooks is lax about, and with it every library that calls it. */
export const ofStandardWebhooks = (prefix: "webhook" | "svix"): Readonly<Record<string, Difference>> => ({
  "drops what follows a second comma": {
    covers: ({ headers }) => /(?:^| )v1,[\w+/]{43}=,/.test(headers[`${prefix}-signature`] ?? ""),
    example: (valid) => withHeader(valid, `${prefix}-signature`, (value) => `${value},junk`),
  },
  "reads the time like parseInt": misspelt(`${prefix}-timestamp`, TIME, (value) => `${value} or so`),
});
