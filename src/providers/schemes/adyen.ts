import { HookonceError } from "../../errors.ts";
import { changeBody } from "../body/payload.ts";
import type { OutgoingRequest, SigningContext, Verify, VerifyContext } from "../context.ts";
import { createComparison } from "./comparison.ts";
import { decodeKey, describeFormat, randomSecret, weaknessAs } from "./keys.ts";
import { defineKind } from "./scheme.ts";
import { signedInteger, signedText, withoutRepetition } from "./signed-fields.ts";

/**
 * In Adyen's payment webhooks each item carries a signature over some of its fields. The other fields are not
 * signed.
 * https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures
 */
export interface AdyenScheme {
  readonly kind: "adyen";
}

export const adyen = defineKind<AdyenScheme>({
  kind: "adyen",
  proof: "shared-key",
  createVerifier,
  sign,
  describe: () => "HMAC-SHA256 in base64 over eight fields of each item",
  describeKey: () => describeFormat("hex"),
  weakness: (_, secret) => weaknessAs(secret, "hex"),
  makeKeys: () => ({ secret: randomSecret("hex") }),
  reading: (_, asItCame) => withoutRepetition(asItCame),
  signedField: "pspReference",
});

/**
 * @returns a function that throws `signature_missing` or `signature_mismatch` for the first item whose
 *   signature is missing or wrong
 */
function createVerifier(_: AdyenScheme, { secrets, parse }: VerifyContext): Verify {
  const keys = secrets.map((secret) => decodeKey(secret, "hex"));
  const equal = createComparison(44);
  return (delivery) => {
    const items = itemsOf(parse(delivery).payload);
    if (items.length === 0)
      throw new HookonceError(
        "signature_missing",
        "The body has no notificationItems, so it has no signature.",
      );
    for (const item of items) {
      const given = (item["additionalData"] as Fields | undefined)?.["hmacSignature"];
      if (typeof given !== "string" || given === "")
        throw new HookonceError("signature_missing", "An item has no additionalData.hmacSignature.");
      const signed = signedFields(item);
      if (!keys.some((key) => equal(given, digest(key, signed)))) {
        throw new HookonceError(
          "signature_mismatch",
          "The signature of an item does not match: wrong HMAC key, or fields that were changed on the way.",
        );
      }
    }
  };
}

function sign(_: AdyenScheme, request: OutgoingRequest, { secret }: SigningContext): OutgoingRequest {
  const key = decodeKey(secret, "hex");
  const body = changeBody(request, (payload) => {
    for (const item of itemsOf(payload)) {
      const additional = (item["additionalData"] ??= {}) as Record<string, unknown>;
      additional["hmacSignature"] = digest(key, signedFields(item));
    }
    return payload;
  });
  return { ...request, body };
}

type Fields = Record<string, unknown>;

function itemsOf(payload: unknown): Fields[] {
  const items = (payload as { notificationItems?: unknown } | null)?.notificationItems;
  if (!Array.isArray(items)) return [];
  return items.map((one: unknown) => {
    const item = (one as { NotificationRequestItem?: unknown } | null)?.NotificationRequestItem;
    return (typeof item === "object" && item !== null ? item : {}) as Fields;
  });
}

/**
 * Only the merchant's own reference may contain the separator. As long as only one field may contain it, no
 * text can be moved from one field to another.
 */
function signedFields(item: Fields): string {
  const amount = (item["amount"] ?? {}) as Fields;
  return [
    signedText("pspReference", item["pspReference"], ":"),
    signedText("originalReference", item["originalReference"], ":"),
    signedText("merchantAccountCode", item["merchantAccountCode"], ":"),
    signedText("merchantReference", item["merchantReference"]),
    signedInteger("amount.value", amount["value"], ":"),
    signedText("amount.currency", amount["currency"], ":"),
    signedText("eventCode", item["eventCode"], ":"),
    signedText("success", item["success"], ":"),
  ].join(":");
}

function digest(key: Uint8Array, text: string): string {
  return new Bun.CryptoHasher("sha256", key).update(text).digest("base64");
}
