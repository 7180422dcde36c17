import type { Delivery } from "../../event.ts";
import { HookonceError } from "../../errors.ts";
import { createComparison, isSecret } from "./comparison.ts";
import type { OutgoingRequest, VerifyContext } from "../context.ts";
import { decodeKey } from "./keys.ts";
import { isForm } from "../body/payload.ts";

const HEADER = "x-twilio-signature";

/**
 * Twilio signs the URL it called, and after it the fields of a form, sorted; of any other body the URL holds a hash (`bodySHA256`).
 * https://www.twilio.com/docs/usage/webhooks/webhooks-security
 *
 * @returns a function that throws `signature_missing` or `signature_mismatch`
 */
export function createTwilioVerifier({ secrets, urlOf }: VerifyContext): (delivery: Delivery) => void {
  const keys = secrets.map((secret) => decodeKey(secret, "text"));
  const equal = createComparison(28);
  return (delivery) => {
    const given = delivery.headers[HEADER];
    if (given === undefined || given === "")
      throw new HookonceError("signature_missing", `The header ${HEADER} is missing.`);
    const url = urlOf(delivery);
    const form = isForm(delivery.headers);
    const fields = form ? textOf(delivery.body) : "";
    for (const candidate of withAndWithoutPort(url)) {
      for (const key of keys) {
        if (equal(given, digest(key, candidate + fields)) && (form || hashFits(url, delivery.body))) return;
      }
    }
    throw new HookonceError(
      "signature_mismatch",
      "The signature does not match: wrong auth token, another URL than public_url says, or a body that was changed on the way.",
    );
  };
}

/** Signs as Twilio does. The URL of a JSON body gets its hash. */
export function signTwilio(request: OutgoingRequest, secret: string): OutgoingRequest {
  const form = isForm(request.headers);
  const url = new URL(request.url);
  if (!form) url.searchParams.set("bodySHA256", sha256(request.body));
  const signature = digest(decodeKey(secret, "text"), url.href + (form ? textOf(request.body) : ""));
  return { ...request, url: url.href, headers: { ...request.headers, [HEADER]: signature } };
}

function digest(key: Uint8Array, text: string): string {
  return new Bun.CryptoHasher("sha1", key).update(text).digest("base64");
}

function hashFits(url: string, body: Uint8Array): boolean {
  const given = new URL(url).searchParams.get("bodySHA256");
  return given !== null && isSecret(given, sha256(body));
}

function sha256(body: Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(body).digest("hex");
}

function textOf(body: Uint8Array): string {
  return signedFields(body)
    .flatMap(([name, values]) => values.map((value) => name + value))
    .join("");
}

/** A form as far as it is signed: sorted, and a value that is given twice counts once. */
export function signedFields(body: Uint8Array): [name: string, values: string[]][] {
  const fields = new Map<string, Set<string>>();
  for (const [name, value] of new URLSearchParams(Buffer.from(body).toString())) {
    fields.set(name, (fields.get(name) ?? new Set()).add(value));
  }
  return [...fields].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, values]) => [name, [...values].sort()]);
}

/** Twilio signs some URLs with their default port, some without. */
function withAndWithoutPort(url: string): string[] {
  const [, scheme, host, port, rest] = /^(https?:\/\/)([^/?#:]+)(:\d+)?(.*)$/i.exec(url) ?? [];
  if (scheme === undefined || host === undefined || rest === undefined) return [url];
  const standard = scheme.toLowerCase() === "https://" ? ":443" : ":80";
  return [`${scheme}${host}${rest}`, `${scheme}${host}${port ?? standard}${rest}`];
}
