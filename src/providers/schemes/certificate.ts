import { HookonceError } from "../../errors.ts";
import type { VerifyContext } from "../context.ts";
import { nodeCrypto } from "../node-modules.ts";
import { createKeep, fetchPinned } from "./pinned-fetch.ts";

/** Verifies an RSA signature with the certificate at a URL. */
export type CertificateVerify = (
  url: URL,
  algorithm: "sha1" | "sha256",
  message: string,
  signature: string,
) => Promise<void>;

/**
 * Fetches each certificate once. A certificate is trusted because it came from the provider's host, over TLS.
 *
 * @returns a function that rejects with `signature_malformed`, `signature_mismatch` or `key_unavailable`
 */
export function createCertificateVerify({ clock, fetch }: VerifyContext): CertificateVerify {
  const { verify, X509Certificate } = nodeCrypto();
  const certificateAt = createKeep(clock, async (url) => {
    const pem = await fetchPinned(fetch, url, "signing certificate");
    try {
      const certificate = new X509Certificate(pem);
      if (certificate.publicKey.asymmetricKeyType !== "rsa") throw new Error("not an RSA certificate");
      return certificate;
    } catch (cause) {
      throw new HookonceError(
        "key_unavailable",
        "What was fetched as the signing certificate is not a certificate.",
        { cause },
      );
    }
  });
  return async (url, algorithm, message, signature) => {
    // No provider has one, and each would be fetched and kept as another certificate.
    if (url.href !== url.origin + url.pathname)
      throw new HookonceError("signature_malformed", "The URL of the signing certificate has a query.");
    const certificate = await certificateAt(url.href);
    const now = clock();
    if (now < Date.parse(certificate.validFrom) || now > Date.parse(certificate.validTo))
      throw new HookonceError("signature_mismatch", "The signing certificate is not valid at this time.");
    const bytes = Buffer.from(signature, "base64");
    if (bytes.byteLength > 0 && verify(algorithm, Buffer.from(message), certificate.publicKey, bytes)) return;
    throw new HookonceError(
      "signature_mismatch",
      "The signature does not match the provider's certificate: a message that was changed on the way, or the wrong secret.",
    );
  };
}
