import type * as Jose from "jose";
import { HookonceError } from "../../errors.ts";

/** Loads jose only once a source needs it; few do. */
export function loadJose(): Promise<typeof Jose> {
  return import("jose");
}

export function tokenMismatch(): HookonceError {
  return new HookonceError(
    "signature_mismatch",
    "The token does not match: wrong secret, or a body that was changed on the way.",
  );
}

export function bodyHash(body: Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(body).digest("hex");
}
