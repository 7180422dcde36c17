import { HookonceError } from "../../errors.ts";
import { changeBody } from "../body/payload.ts";
import type { OutgoingRequest, SigningContext, Verify, VerifyContext } from "../context.ts";
import { nodeCrypto } from "../node-modules.ts";
import { createCertificateVerify } from "./certificate.ts";
import { isSecret } from "./comparison.ts";
import { privateKeyOf, randomRsaKey, randomSecret } from "./keys.ts";
import { checkPinned } from "./pinned-fetch.ts";
import { defineKind } from "./scheme.ts";
import { certificateFor } from "./self-signed.ts";
import { signedText, withoutRepetition } from "./signed-fields.ts";

/**
 * SNS signs fields of its message, with a certificate from one of Amazon's hosts. The secret is the ARN of
 * the trusted topic, because anyone can make a topic, and SNS signs for it, too.
 * https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
 */
export interface SnsScheme {
  readonly kind: "sns";
}

export const sns = defineKind<SnsScheme>({
  kind: "sns",
  proof: "fetched-key",
  createVerifier,
  sign,
  describe: () => "RSA over fields of the body; the certificate is fetched from Amazon",
  whyNoTolerance: () => "its age is not checked",
  makeKeys: () => ({
    secret: `arn:aws:sns:us-east-1:000000000000:${randomSecret("hex")}`,
    privateKey: randomRsaKey(),
  }),
  servedKey: (_, keys, url) =>
    SNS_HOST.test(new URL(url).hostname) ? certificateFor(privateKeyOf(keys)) : undefined,
  reading: (_, asItCame) => withoutRepetition(asItCame),
  signedField: "Message",
  // A wrong secret is the ARN of another topic, and nothing is fetched for that.
  checksSecretFirst: true,
});

/**
 * Amazon's hosts in every region, and no others: `sns.eu-west-1.amazonaws.com`. `sns.s3-us-west-2.amazonaws.com`
 * would be a bucket of anybody.
 */
export const SNS_HOST = /^sns\.[a-z]{2,}(?:-[a-z]+)+-\d{1,2}\.amazonaws\.com(?:\.cn)?$/;

/** The fields in the order in which they are signed. A missing Subject is left out. */
const NOTIFICATION = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"];
const CONFIRMATION = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];

/**
 * @returns a function that rejects with `signature_missing`, `signature_malformed`, `signature_mismatch` or
 * `key_unavailable`
 */
function createVerifier(_: SnsScheme, context: VerifyContext): Verify {
  if (context.secrets.some((arn) => !/^arn:aws[a-z-]*:sns:/.test(arn)))
    throw new HookonceError("config_invalid", "The secret is not the ARN of a topic: arn:aws:sns:…", {
      key: "secret",
    });
  const verify = createCertificateVerify(context);
  return async (delivery) => {
    const message = context.parse(delivery).payload as Record<string, unknown> | null;
    const { Signature: signature, SignatureVersion: version, TopicArn: topic } = message ?? {};
    if (message === null || typeof signature !== "string" || signature === "")
      throw new HookonceError("signature_missing", "The body holds no Signature.");
    if (version !== "1" && version !== "2")
      throw new HookonceError("signature_malformed", "The SignatureVersion is neither 1 nor 2.");
    if (typeof topic !== "string" || !context.secrets.some((arn) => isSecret(topic, arn)))
      throw new HookonceError("signature_mismatch", "The message comes from another topic.");
    const url = checkPinned(message["SigningCertURL"], SNS_HOST, "SigningCertURL");
    if (!url.pathname.endsWith(".pem"))
      throw new HookonceError("signature_malformed", "The SigningCertURL is not the URL of a certificate.");
    await verify(url, version === "1" ? "sha1" : "sha256", signedFields(message), signature);
  };
}

function sign(_: SnsScheme, request: OutgoingRequest, context: SigningContext): OutgoingRequest {
  const privateKey = privateKeyOf(context);
  const body = changeBody(request, (payload) => {
    const message = payload as Record<string, unknown>;
    message["TopicArn"] = context.secret;
    message["SignatureVersion"] = "2";
    message["SigningCertURL"] ??=
      "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-simulated.pem";
    const signed = Buffer.from(signedFields(message));
    message["Signature"] = nodeCrypto().sign("sha256", signed, privateKey).toString("base64");
    return message;
  });
  return { ...request, body };
}

/**
 * Only the message itself, which is first, may contain a line break, so no part of it can be taken for
 * another field.
 */
function signedFields(message: Record<string, unknown>): string {
  const names = message["Type"] === "Notification" ? NOTIFICATION : CONFIRMATION;
  return names
    .filter((name) => message[name] !== undefined && message[name] !== null)
    .map((name) => `${name}\n${signedText(name, message[name], name === "Message" ? undefined : "\n")}\n`)
    .join("");
}
