import { HookonceError, type ErrorCode } from "../errors.ts";
import type { Delivery, Head, Headers } from "../event.ts";
import { whyRefused } from "../providers/refused-handshake.ts";
import type { Source } from "../providers/source.ts";
import { statuses } from "./statuses.ts";

/** A delivery that was refused for what it is, as it may be shown. */
export interface Refused {
  /** Counts the refused deliveries of this process from 1. */
  readonly id: number;
  readonly source: string;
  /** Unix milliseconds. */
  readonly receivedAt: number;
  readonly method: string;
  /** Path and query. If the secret travels in the query, no value of it is kept. */
  readonly url: string;
  /** Without Authorization, cookies, and every value in which a static secret may be. */
  readonly headers: Headers;
  /** The raw bytes, or why they were not kept. */
  readonly body: Uint8Array | BodyMissing;
  readonly code: ErrorCode;
  readonly message: string;
}

/**
 * `not_read`: the headers were enough to refuse it. `too_large`: for this memory. `secret`: the source's
 * secret is sent as it is, and may be anywhere in the body.
 */
export type BodyMissing = "not_read" | "too_large" | "secret";

/**
 * A refused delivery as it arrived, for the doctor. Undefined if its body was read and not kept.
 */
export function deliveryOf({
  method,
  url,
  headers,
  receivedAt,
  body,
}: Omit<Refused, "id" | "code" | "message">): Delivery | undefined {
  if (body === "secret" || body === "too_large") return undefined;
  // The length of a body that was not read would look like a fault.
  const { "content-length": _length, ...others } = headers;
  const [given, bytes] = body === "not_read" ? [others, new Uint8Array()] : [headers, body];
  return { method, url, headers: given, body: bytes, receivedAt, remoteAddress: () => "127.0.0.1" };
}

/** The latest refused deliveries, in memory alone. */
export interface RefusedRing {
  /**
   * Keeps a copy, if the error means that the delivery itself is not acceptable.
   *
   * @param body undefined if it was not read
   */
  keep(source: Source, head: Head, clock: () => number, body: Uint8Array | undefined, error: unknown): void;
  /** How many deliveries each source has refused since the last call, for whatever reason. */
  takeCounts(): ReadonlyMap<string, number>;
  /** How many deliveries were refused since the last `takeCounts`. */
  countNow(): number;
  /** Removes those that contain a text. @returns how many */
  forget(matches: (value: string | Uint8Array, encoding?: string) => Promise<boolean>): Promise<number>;
  /** The latest first. */
  list(source: string | undefined, limit: number): readonly Refused[];
}

export interface RingLimits {
  readonly perSource: number;
  /** In bytes, of all of them. */
  readonly total: number;
  /** In bytes. */
  readonly body: number;
}

/** Enough to see what a provider sends, and little memory whatever anybody sends. */
const LIMITS: RingLimits = { perSource: 20, total: 16 * 1024 ** 2, body: 1024 ** 2 };

/** What an entry takes beside its texts and bytes, in bytes. */
const OVERHEAD = 512;

export function createRefusedRing(limits: RingLimits = LIMITS): RefusedRing {
  /** By source, the oldest first. */
  const kept = new Map<string, { readonly refused: Refused; readonly bytes: number }[]>();
  let total = 0;
  let count = 0;
  let counts = new Map<string, number>();

  function dropFirst(source: string): void {
    const entries = kept.get(source) ?? [];
    total -= entries.shift()?.bytes ?? 0;
    if (entries.length === 0) kept.delete(source);
  }

  function dropOldest(): void {
    const oldest = [...kept].map(([source, [first]]) => ({ source, at: first?.refused.id ?? 0 }));
    const [first] = oldest.sort((a, b) => a.at - b.at);
    if (first !== undefined) dropFirst(first.source);
  }

  return {
    keep(source, head, clock, body, error) {
      counts.set(source.name, (counts.get(source.name) ?? 0) + 1);
      if (!(error instanceof HookonceError) || !isOfDelivery(error)) return;
      const refused: Refused = {
        id: ++count,
        source: source.name,
        receivedAt: clock(),
        method: head.method,
        url: source.urlForDoctor(pathOf(head.url)),
        headers: source.headersForDoctor(head.headers),
        body: keptBody(source, body, limits.body, error.code),
        code: error.code,
        message: whyRefused(error),
      };
      const bytes =
        OVERHEAD + JSON.stringify(refused.headers).length + refused.url.length + refused.body.length;
      const entries = kept.get(source.name) ?? [];
      kept.set(source.name, entries);
      entries.push({ refused, bytes });
      total += bytes;
      if (entries.length > limits.perSource) dropFirst(source.name);
      while (total > limits.total) dropOldest();
    },
    countNow: () => counts.values().reduce((sum, count) => sum + count, 0),
    takeCounts() {
      const taken = counts;
      counts = new Map();
      return taken;
    },
    async forget(matches) {
      let removed = 0;
      for (const { refused } of [...kept.values()].flat()) {
        const { id, source, method, url, headers, body, message } = refused;
        const isFound =
          (await matches(JSON.stringify([method, url, headers, message]))) ||
          (await matches(body, headers["content-encoding"]));
        const entries = kept.get(source) ?? [];
        const index = entries.findIndex((entry) => entry.refused.id === id);
        // It may have made room for another one meanwhile.
        if (!isFound || index === -1) continue;
        total -= entries.splice(index, 1)[0]?.bytes ?? 0;
        if (entries.length === 0) kept.delete(source);
        removed++;
      }
      return removed;
    },
    list(source, limit) {
      const entries = source === undefined ? [...kept.values()].flat() : (kept.get(source) ?? []);
      return entries
        .map(({ refused }) => refused)
        .sort((a, b) => b.id - a.id)
        .slice(0, limit);
    },
  };
}

/** Whether the delivery is at fault, and not the state of hookonce. */
function isOfDelivery({ code }: HookonceError): boolean {
  const status = statuses[code] ?? 0;
  return status >= 400 && status < 500;
}

function keptBody(
  source: Source,
  body: Uint8Array | undefined,
  max: number,
  code: ErrorCode,
): Refused["body"] {
  // There is no secret to hide, and the doctor can say where it should be.
  if (body === undefined && code === "signature_missing") return "not_read";
  // Only these sources send a secret as it is.
  if (source.redactBody !== undefined) return "secret";
  if (body === undefined) return "not_read";
  // A copy: the bytes of a large body are freed with its delivery.
  return body.byteLength > max ? "too_large" : new Uint8Array(body);
}

function pathOf(url: string): string {
  return URL.canParse(url) ? url.slice(new URL(url).origin.length) : url;
}
