import type { Headers } from "../../event.ts";
import { HookonceError, messageOf } from "../../errors.ts";
import type { OutgoingRequest, SigningContext, Verify, VerifyContext } from "../context.ts";
import { nodeCrypto } from "../node-modules.ts";
import { createCertificateVerify } from "./certificate.ts";
import { privateKeyOf, randomRsaKey, randomSecret } from "./keys.ts";
import { checkPinned } from "./pinned-fetch.ts";
import { defineKind, headerIn } from "./scheme.ts";
import { certificateFor } from "./self-signed.ts";

/**
 * PayPal signs the id and time of the transmission, the id of the webhook and a checksum of the body, with a
 * certificate from one of its hosts. The secret is the webhook's id, which only the two sides know.
 * https://developer.paypal.com/api/rest/webhooks/rest/
 */
export interface PayPalScheme {
  readonly kind: "paypal";
}

export const paypal = defineKind<PayPalScheme>({
  kind: "paypal",
  proof: "fetched-key",
  createVerifier,
  createHeaderCheck:
    () =>
    ({ headers }) =>
      void readHeaders(headers),
  sign,
  describe: () =>
    "RSA over id, time, webhook id and a checksum of the body; the certificate is fetched from PayPal",
  whyNoTolerance: () => "its age is not checked",
  makeKeys: () => ({ secret: randomSecret("hex"), privateKey: randomRsaKey() }),
  servedKey: (_, keys, url) =>
    HOST.test(new URL(url).hostname) ? certificateFor(privateKeyOf(keys)) : undefined,
  signatureHeader: () => ({ header: SIGNATURE }),
  timestampHeader: () => TIMESTAMP,
});

const SIGNATURE = "paypal-transmission-sig";
const TIMESTAMP = "paypal-transmission-time";

/** `api.paypal.com` and `api.sandbox.paypal.com`; no other domain. */
const HOST = /^(?:[a-z0-9-]+\.)*paypal\.com$/;

/**
 * @returns a function that rejects with `signature_missing`, `signature_malformed`, `signature_mismatch` or
 * `key_unavailable`
 */
function createVerifier(_: PayPalScheme, context: VerifyContext): Verify {
  const verify = createCertificateVerify(context);
  return async ({ headers, body }) => {
    const { id, time, signature, url } = readHeaders(headers);
    let refusal: unknown;
    for (const webhookId of context.secrets) {
      try {
        await verify(url, "sha256", signed(id, time, webhookId, body), signature);
        return;
      } catch (error) {
        refusal = error;
      }
    }
    throw refusal instanceof Error ? refusal : new HookonceError("signature_mismatch", messageOf(refusal));
  };
}

/** @throws HookonceError `signature_missing`, `signature_malformed` */
function readHeaders(headers: Headers): { id: string; time: string; signature: string; url: URL } {
  const id = headerIn(headers, "paypal-transmission-id");
  const time = headerIn(headers, TIMESTAMP);
  const signature = headerIn(headers, SIGNATURE);
  const algorithm = headerIn(headers, "paypal-auth-algo");
  if (algorithm.toUpperCase() !== "SHA256WITHRSA")
    throw new HookonceError("signature_malformed", "The header paypal-auth-algo is not SHA256withRSA.");
  const url = checkPinned(headerIn(headers, "paypal-cert-url"), HOST, "paypal-cert-url");
  if (!url.pathname.startsWith("/v1/notifications/certs/"))
    throw new HookonceError("signature_malformed", "The paypal-cert-url is not the URL of a certificate.");
  return { id, time, signature, url };
}

function sign(_: PayPalScheme, request: OutgoingRequest, context: SigningContext): OutgoingRequest {
  const id = crypto.randomUUID();
  const time = new Date(context.nowMs).toISOString().replace(/\.\d+/, "");
  const message = Buffer.from(signed(id, time, context.secret, request.body));
  const signature = nodeCrypto().sign("sha256", message, privateKeyOf(context));
  return {
    ...request,
    headers: {
      "paypal-cert-url": "https://api.paypal.com/v1/notifications/certs/CERT-simulated",
      ...request.headers,
      "paypal-transmission-id": id,
      [TIMESTAMP]: time,
      [SIGNATURE]: signature.toString("base64"),
      "paypal-auth-algo": "SHA256withRSA",
    },
  };
}

function signed(id: string, time: string, webhookId: string, body: Uint8Array): string {
  return `${id}|${time}|${webhookId}|${Bun.hash.crc32(body)}`;
}
