import { HookonceError, messageOf } from "../../errors.ts";
import type { Clock, Fetch } from "../context.ts";

/**
 * How long a key or certificate is used before it is fetched again, and how long to wait for an answer. In
 * milliseconds.
 */
const KEEP_MS = 24 * 3600 * 1000;
const TIMEOUT_MS = 5000;

/**
 * The most that are kept. A provider has a handful. The limit keeps an attacker who knows more of its URLs
 * from filling the memory. The ones that were used last stay.
 */
const MAX_KEPT = 20;

/** The most fetches at the same time, so that an attacker cannot make hookonce fetch without end. */
const MAX_PENDING = 8;

/** In bytes. Certificates and keys take a few kilobytes. */
const MAX_BYTES = 64 * 1024;

/**
 * Fetches a key or certificate of a provider once, and keeps it.
 *
 * @param fetchIt makes the request; {@link checkPinned} has checked its URL
 * @returns a function that resolves with what is at a key, and rejects with `key_unavailable`
 */
export function createKeep<Kept>(
  clock: Clock,
  fetchIt: (key: string) => Promise<Kept>,
): (key: string) => Promise<Kept> {
  const kept = new Map<string, { until: number; value: Promise<Kept> }>();
  let pending = 0;
  return (key) => {
    const found = kept.get(key);
    if (found !== undefined && clock() < found.until) {
      kept.delete(key);
      kept.set(key, found);
      return found.value;
    }
    if (pending >= MAX_PENDING)
      throw new HookonceError("key_unavailable", "Too many keys are being fetched already; try again.");
    pending++;
    const value = fetchIt(key).finally(() => pending--);
    kept.set(key, { until: clock() + KEEP_MS, value });
    value.then(
      () => {
        // Only one that exists takes the place of another.
        const [oldest] = kept.keys();
        if (oldest !== undefined && kept.size - pending > MAX_KEPT) kept.delete(oldest);
      },
      // After a failed fetch, the next delivery tries again.
      () => kept.delete(key),
    );
    return value;
  };
}

/**
 * Checks a URL from a delivery before anything is fetched: https, one of the provider's own hosts, the
 * standard port, no credentials.
 *
 * @throws HookonceError `signature_malformed`
 */
export function checkPinned(text: unknown, host: RegExp, what: string): URL {
  const url = typeof text === "string" && URL.canParse(text) ? new URL(text) : undefined;
  if (
    url === undefined ||
    url.protocol !== "https:" ||
    !host.test(url.hostname) ||
    url.port !== "" ||
    url.username !== "" ||
    url.password !== ""
  ) {
    throw new HookonceError("signature_malformed", `The ${what} is not at one of the provider's own hosts.`);
  }
  return url;
}

/** @throws HookonceError `key_unavailable` */
export async function fetchPinned(
  fetch: Fetch,
  url: string,
  what: string,
  init: RequestInit = {},
): Promise<string> {
  try {
    // A redirect would lead away from the host that was checked.
    const response = await fetch(url, {
      ...init,
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (!response.ok) throw new Error(`it answered ${response.status}`);
    return await readText(response);
  } catch (cause) {
    throw new HookonceError("key_unavailable", `The ${what} cannot be fetched: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/** Stops reading at the limit: a host that is not what it should be could send without end. */
async function readText({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body ?? []) {
    length += chunk.byteLength;
    if (length > MAX_BYTES) throw new Error("it is larger than 64 KiB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
