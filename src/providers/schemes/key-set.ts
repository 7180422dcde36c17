import type * as Jose from "jose";
import { HookonceError } from "../../errors.ts";
import type { VerifyContext } from "../context.ts";
import { loadJose } from "./jwt.ts";
import { fetchPinned } from "./pinned-fetch.ts";

/** The algorithms that are accepted: a key pair each, so a public key never becomes a shared secret. */
export const TOKEN_ALGORITHMS = ["RS256", "ES256"] as const;
export type TokenAlgorithm = (typeof TOKEN_ALGORITHMS)[number];

/**
 * In milliseconds. After FRESH_MS the keys are fetched again, while the old ones are still used: a key that the
 * provider has removed is refused soon after. If they cannot be fetched, they are used for KEEP_MS.
 */
const FRESH_MS = 3600 * 1000;
const KEEP_MS = 24 * FRESH_MS;

/** At most one fetch in this time, whatever keys the tokens name: anyone can make up names. In milliseconds. */
const COOLDOWN_MS = 30 * 1000;

/** The same after a fetch that failed: some providers do not retry a delivery that is answered 503. */
const RETRY_MS = 2000;

/** Providers have two or three, and the largest known set has thirty. */
const MAX_KEYS = 100;

/** RFC 7518, 3.3: at least 2048 bits. */
const MIN_RSA_BYTES = 256;

interface Entry {
  readonly kid: string | undefined;
  readonly alg: TokenAlgorithm;
  readonly jwk: Jose.JWK;
  imported?: Promise<Key>;
}

type Key = Awaited<ReturnType<typeof Jose.importJWK>>;

/** Returns the key that a token names. */
export type KeyOf = (kid: string | undefined, alg: TokenAlgorithm) => Promise<Key>;

/**
 * Fetches a set of keys (JWKS, RFC 7517) from one URL, keeps it, and fetches it again if a token names a key
 * that is not in it.
 *
 * @returns a function that rejects with `key_unavailable` or, if the set has no such key, `signature_mismatch`
 */
export function createKeySet(url: string, { clock, fetch }: Pick<VerifyContext, "clock" | "fetch">): KeyOf {
  let known: { readonly entries: readonly Entry[]; readonly at: number } | undefined;
  let triedAt = Number.NEGATIVE_INFINITY;
  let cooldown = COOLDOWN_MS;
  let pending: Promise<void> | undefined;

  async function fetchSet(): Promise<void> {
    const text = await fetchPinned(fetch, url, "set of keys", { headers: { accept: "application/json" } });
    known = { entries: entriesIn(text), at: clock() };
    cooldown = COOLDOWN_MS;
  }

  /** Returns undefined if the last fetch was only a moment ago. */
  function refresh(): Promise<void> | undefined {
    if (pending !== undefined) return pending;
    const now = clock();
    if (elapsed(triedAt, now) < cooldown) return undefined;
    triedAt = now;
    cooldown = RETRY_MS;
    pending = fetchSet().finally(() => {
      pending = undefined;
    });
    return pending;
  }

  return async (kid, alg) => {
    const age = known === undefined ? Number.POSITIVE_INFINITY : elapsed(known.at, clock());
    let entry = age < KEEP_MS ? find(known?.entries, kid, alg) : undefined;
    if (entry === undefined) {
      const refreshed = refresh();
      if (refreshed === undefined) {
        throw new HookonceError(
          "key_unavailable",
          `The key of the token is not known, and the keys were fetched less than ${cooldown / 1000} s ago; try again.`,
        );
      }
      await refreshed;
      entry = find(known?.entries, kid, alg);
    } else if (age >= FRESH_MS) refresh()?.catch(() => {});
    if (entry === undefined) {
      throw new HookonceError(
        "signature_mismatch",
        "The token names a key that its issuer does not publish at signature.jwks_url.",
      );
    }
    return (entry.imported ??= imported(entry));
  };
}

async function imported({ jwk, alg }: Entry): Promise<Key> {
  const { importJWK } = await loadJose();
  try {
    return await importJWK(jwk, alg);
  } catch (cause) {
    throw new HookonceError("key_unavailable", "The key of the token's issuer cannot be read.", { cause });
  }
}

/** In milliseconds. If the clock was set back, everything is long ago. */
function elapsed(from: number, now: number): number {
  return now < from ? Number.POSITIVE_INFINITY : now - from;
}

/** Without a name, the key is clear only if there is one. */
function find(
  entries: readonly Entry[] = [],
  kid: string | undefined,
  alg: TokenAlgorithm,
): Entry | undefined {
  const fitting = entries.filter((one) => one.alg === alg && (kid === undefined || one.kid === kid));
  return kid === undefined && fitting.length > 1 ? undefined : fitting[0];
}

/** @throws HookonceError `key_unavailable` */
function entriesIn(text: string): Entry[] {
  let keys: unknown;
  try {
    ({ keys } = JSON.parse(text) as { keys?: unknown });
  } catch {
    keys = undefined;
  }
  if (!Array.isArray(keys))
    throw new HookonceError("key_unavailable", "What was fetched as the set of keys is not a JWKS.");
  return keys.slice(0, MAX_KEYS).flatMap(entryOf);
}

const isText = (...values: unknown[]): boolean => values.every((value) => typeof value === "string");

/** Only the public part of keys that are for verifying signatures. */
function entryOf(key: unknown): Entry[] {
  if (typeof key !== "object" || key === null) return [];
  const { kty, crv, n, e, x, y, use, alg, kid, key_ops: operations } = key as Record<string, unknown>;
  if (use !== undefined && use !== "sig") return [];
  if (Array.isArray(operations) && !operations.includes("verify")) return [];
  const name = typeof kid === "string" ? kid : undefined;
  const isLong = typeof n === "string" && Buffer.from(n, "base64url").byteLength >= MIN_RSA_BYTES;
  if (kty === "RSA" && isLong && isText(e) && (alg === undefined || alg === "RS256"))
    return [{ kid: name, alg: "RS256", jwk: { kty, n, e: String(e) } }];
  if (kty === "EC" && crv === "P-256" && isText(x, y) && (alg === undefined || alg === "ES256"))
    return [{ kid: name, alg: "ES256", jwk: { kty, crv, x: String(x), y: String(y) } }];
  return [];
}
