import type * as Jose from "jose";
import { HookonceError } from "../../errors.ts";

/** Loads jose only once a source needs it; few do. */
export function loadJose(): Promise<typeof Jose> {
  return import("jose");
}

/** @throws HookonceError `signature_missing` */
export function tokenOf(token: string | undefined, header: string): string {
  if (token === undefined || token === "")
    throw new HookonceError("signature_missing", `The header ${header} is missing.`);
  return token;
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
