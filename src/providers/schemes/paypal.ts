import type { Headers } from "../../event.ts";
import { HookonceError, messageOf } from "../../errors.ts";
import { createCertificateVerify } from "./certificate.ts";
import type { OutgoingRequest, SigningKeys, Verify, VerifyContext } from "../context.ts";
import { nodeCrypto } from "../node-modules.ts";
import { checkPinned } from "./pinned-fetch.ts";

/** `api.paypal.com`, `api.sandbox.paypal.com`, and no other's. */
const HOST = /^(?:[a-z0-9-]+\.)*paypal\.com$/;

/**
 * PayPal signs the id and time of the transmission, the id of the webhook, which only the two sides know, and a checksum of the body.
 * https://developer.paypal.com/api/rest/webhooks/rest/
 *
 * @returns a function that rejects with `signature_missing`, `signature_malformed`, `signature_mismatch` or `key_unavailable`
 */
export function createPayPalVerifier(context: VerifyContext): Verify {
  const verify = createCertificateVerify(context);
  return async ({ headers, body }) => {
    const id = required(headers, "paypal-transmission-id");
    const time = required(headers, "paypal-transmission-time");
    const signature = required(headers, "paypal-transmission-sig");
    const algorithm = required(headers, "paypal-auth-algo");
    if (algorithm.toUpperCase() !== "SHA256WITHRSA")
      throw new HookonceError("signature_malformed", "The header paypal-auth-algo is not SHA256withRSA.");
    const url = checkPinned(required(headers, "paypal-cert-url"), HOST, "paypal-cert-url");
    if (!url.pathname.startsWith("/v1/notifications/certs/"))
      throw new HookonceError("signature_malformed", "The paypal-cert-url is not that of a certificate.");
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

/** Signs as PayPal does. */
export function signPayPal(
  request: OutgoingRequest,
  { secret, privateKey }: SigningKeys,
  nowMs: number,
): OutgoingRequest {
  const id = crypto.randomUUID();
  const time = new Date(nowMs).toISOString().replace(/\.\d+/, "");
  const signature = nodeCrypto().sign(
    "sha256",
    Buffer.from(signed(id, time, secret, request.body)),
    privateKey ?? "",
  );
  return {
    ...request,
    headers: {
      "paypal-cert-url": "https://api.paypal.com/v1/notifications/certs/CERT-simulated",
      ...request.headers,
      "paypal-transmission-id": id,
      "paypal-transmission-time": time,
      "paypal-transmission-sig": signature.toString("base64"),
      "paypal-auth-algo": "SHA256withRSA",
    },
  };
}

function signed(id: string, time: string, webhookId: string, body: Uint8Array): string {
  return `${id}|${time}|${webhookId}|${Bun.hash.crc32(body)}`;
}

function required(headers: Headers, name: string): string {
  const value = headers[name] ?? "";
  if (value === "") throw new HookonceError("signature_missing", `The header ${name} is missing.`);
  return value;
}
