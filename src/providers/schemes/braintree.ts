import type { Delivery } from "../../event.ts";
import { HookonceError } from "../../errors.ts";
import { formEntries, isForm } from "../body/form.ts";
import { decompress, MAX_DECOMPRESSED, setInBody, type ParsedBody } from "../body/payload.ts";
import { readXml, type XmlElement } from "../body/xml.ts";
import type { OutgoingRequest, SigningContext, Verify, VerifyContext } from "../context.ts";
import { createComparison, isSecret } from "./comparison.ts";
import { randomSecret } from "./keys.ts";
import { defineKind } from "./scheme.ts";
import { weaknessOfLast } from "./weakness.ts";

/**
 * Braintree sends a form of bt_payload, which is XML in base64, and bt_signature: pairs of a public key and a
 * signature of bt_payload, made with the SHA-1 of the private key.
 * https://developer.paypal.com/braintree/docs/guides/webhooks/parse
 */
export interface BraintreeScheme {
  readonly kind: "braintree";
}

export const braintree = defineKind<BraintreeScheme>({
  kind: "braintree",
  proof: "shared-key",
  createVerifier,
  sign,
  describe: () => "HMAC-SHA1 in hex over bt_payload",
  describeKey: () => "the SHA-1 of the private key",
  weakness: (_, secret) => weaknessOfLast(secret, "private key"),
  makeKeys: () => {
    const random = randomSecret("hex");
    return { secret: `${random.slice(0, 16)}:${random.slice(-32)}` };
  },
  reading: () => read,
  signedField: "bt_payload",
  whyNotRedacted: "Braintree's payload is XML in base64, in which hookonce cannot replace a value",
  otherKeys: function* (_, secrets) {
    for (const secret of secrets)
      yield {
        change: { secrets: [secret.replace(/^([^:]+):(.+)$/, "$2:$1")] },
        what: "The secret has the private key first.",
        remedy: "Write the public key first: PUBLIC_KEY:PRIVATE_KEY.",
      };
  },
  answerChallenge: (_, challenge, secret) => {
    // The answer to any other text could be the signature of a payload.
    if (!/^[a-f0-9]{20,32}$/.test(challenge)) return undefined;
    const { publicKey, key } = keysOf(secret);
    return `${publicKey}|${digest(key, challenge)}`;
  },
});

/** @returns a function that throws `signature_missing` or `signature_mismatch` */
function createVerifier(_: BraintreeScheme, { secrets, decompress: inflate }: VerifyContext): Verify {
  const all = secrets.map(keysOf);
  const equal = createComparison(40);
  return (delivery) => {
    const form = inflate(delivery);
    const signature = fieldOf("bt_signature", delivery, form);
    const payload = fieldOf("bt_payload", delivery, form);
    const pairs = signature.split("&", MAX_PAIRS).map((pair) => pair.split("|"));
    const matches = all.some(({ publicKey, key }) => {
      const [, given = ""] =
        pairs.find(([name = "", value]) => value !== undefined && isSecret(name, publicKey)) ?? [];
      // Braintree may sign the line break at its end without sending it.
      return [payload, `${payload}\n`].some((text) => equal(given, digest(key, text)));
    });
    if (matches && isNotification(payload)) return;
    throw new HookonceError(
      "signature_mismatch",
      "The signature does not match: wrong public or private key, or a body that was changed on the way.",
    );
  };
}

/** Braintree sends one pair for each of your keys. */
const MAX_PAIRS = 100;

/** Whether it is XML in base64. The answer to a challenge signs a text that is not. */
function isNotification(payload: string): boolean {
  return /^[A-Za-z0-9+/\n]+=*\n?$/.test(payload) && textOf(payload).trimStart().startsWith("<");
}

function textOf(payload: string): string {
  return Buffer.from(payload, "base64").toString();
}

/**
 * The one field with this name.
 *
 * @throws HookonceError `signature_missing`
 */
function fieldOf(
  name: "bt_signature" | "bt_payload",
  { headers }: Pick<Delivery, "headers">,
  body: Uint8Array,
): string {
  const entries = isForm(headers) ? formEntries(Buffer.from(body).toString()) : [];
  const [found, ...others] = entries.filter(([one]) => one === name);
  if (found !== undefined && others.length === 0) return found[1];
  throw new HookonceError(
    "signature_missing",
    `The body must be a form with one ${name}: Braintree sends bt_signature and bt_payload.`,
  );
}

/** The payload is the notification, because the signature covers no other field. */
function read(delivery: Pick<Delivery, "headers" | "body">): ParsedBody {
  try {
    const payload = fieldOf("bt_payload", delivery, decompress(delivery, MAX_DECOMPRESSED));
    const value = valueOf(readXml(textOf(payload)));
    return { payload: value, json: JSON.stringify(value), problem: null, hashed: payload.trimEnd() };
  } catch (error) {
    if (!(error instanceof HookonceError)) throw error;
    return { payload: null, json: null, problem: error };
  }
}

/** The JSON of an element, as Braintree's libraries read it: `type="integer"`, `nil="true"` and so on. */
function valueOf({ attributes, children, text }: XmlElement): unknown {
  const { type, nil } = attributes;
  if (nil === "true") return null;
  if (type === "array" || type === "collection") return children.map(valueOf);
  if (children.length > 0) return Object.fromEntries(membersOf(children));
  // Larger numbers would be rounded.
  if (type === "integer") return /^-?\d{1,15}$/.test(text) ? Number(text) : text;
  if (type === "boolean") return text === "true" || text === "1";
  return text;
}

function membersOf(children: readonly XmlElement[]): [name: string, value: unknown][] {
  const byName = Map.groupBy(children, ({ name }) => name.replaceAll("-", "_"));
  return Array.from(byName, ([name, [first, ...others]]) => [
    name,
    first === undefined || others.length > 0
      ? [first, ...others].map((one) => valueOf(one as XmlElement))
      : valueOf(first),
  ]);
}

function sign(
  _: BraintreeScheme,
  request: OutgoingRequest,
  { secret, secrets = [secret] }: SigningContext,
): OutgoingRequest {
  const payload = fieldOf("bt_payload", request, request.body);
  const pairs = secrets.map(keysOf).map(({ publicKey, key }) => `${publicKey}|${digest(key, payload)}`);
  return { ...request, body: setInBody(request, "body:$.bt_signature", pairs.join("&")) };
}

/** @throws HookonceError `config_invalid` */
function keysOf(secret: string): { publicKey: string; key: Uint8Array } {
  const [, publicKey, privateKey] = /^([^:|&]+):(.+)$/.exec(secret) ?? [];
  if (publicKey === undefined || privateKey === undefined)
    throw new HookonceError(
      "config_invalid",
      "The secret is not PUBLIC_KEY:PRIVATE_KEY, the two keys of Braintree's API with a colon between them.",
      { key: "secret" },
    );
  return { publicKey, key: new Bun.CryptoHasher("sha1").update(privateKey).digest() };
}

function digest(key: Uint8Array, text: string): string {
  return new Bun.CryptoHasher("sha1", key).update(text).digest("hex");
}
