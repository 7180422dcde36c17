import { setSystemTime } from "bun:test";
import type { Fetch, OutgoingRequest } from "../../../src/providers/context.ts";
import type { Arrival, Library } from "./library.ts";
import { messaging } from "./messaging.ts";
import { payments } from "./payments.ts";
import { services } from "./services.ts";

/** By the name of the preset, except for rows that name their preset. */
export const libraries: Readonly<Record<string, Library>> = { ...payments, ...messaging, ...services };

/** The same request, signed by the provider's library if it can sign. */
export async function signWith(
  library: Library,
  { url, headers, body }: OutgoingRequest,
  secret: string,
): Promise<Arrival> {
  const ours: Arrival = {
    url,
    headers: { ...headers, ...library.headers },
    body: Buffer.from(body).toString(),
    laterMs: 0,
  };
  const theirs = await library.signs?.(ours, secret);
  return { ...ours, body: theirs?.body ?? ours.body, headers: { ...ours.headers, ...theirs?.headers } };
}

/**
 * Whether the library accepts a delivery with one of these secrets.
 *
 * @param nowMs the receiver's clock, in Unix milliseconds
 */
export async function isAccepted(
  library: Library,
  arrival: Arrival,
  secrets: readonly string[],
  nowMs: number,
  fetch: Fetch,
): Promise<boolean> {
  for (const secret of secrets) {
    setSystemTime(nowMs);
    try {
      if ((await library.accepts(arrival, secret, fetch)) === true) return true;
    } catch {
      // Most of these libraries refuse by throwing.
    } finally {
      setSystemTime();
    }
  }
  return false;
}
