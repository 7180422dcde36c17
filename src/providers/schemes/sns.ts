import { HookonceError } from "../../errors.ts";
import { createCertificateVerify } from "./certificate.ts";
import { isSecret } from "./comparison.ts";
import type { OutgoingRequest, SigningKeys, Verify, VerifyContext } from "../context.ts";
import { nodeCrypto } from "../node-modules.ts";
import { changeBody } from "../body/payload.ts";
import { checkPinned } from "./pinned-fetch.ts";
import { signedText } from "./signed-fields.ts";

/** Amazon's, in every partition, and no other: `sns.eu-west-1.amazonaws.com`. */
export const SNS_HOST = /^sns\.[a-z0-9-]{3,}\.amazonaws\.com(?:\.cn)?$/;

/** In the order in which they are signed. A Subject that is not there is left out. */
const NOTIFICATION = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"];
const CONFIRMATION = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];

/**
 * SNS signs the fields of its message. Anybody can have a topic, and have it sign: the secret is the ARN of the topic that is believed.
 * https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
 *
 * @returns a function that rejects with `signature_missing`, `signature_malformed`, `signature_mismatch` or `key_unavailable`
 */
export function createSnsVerifier(context: VerifyContext): Verify {
  if (context.secrets.some((arn) => !/^arn:aws[a-z-]*:sns:/.test(arn)))
    throw new HookonceError("config_invalid", "The secret is not a topic's ARN: arn:aws:sns:…");
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
      throw new HookonceError("signature_malformed", "The SigningCertURL is not that of a certificate.");
    await verify(url, version === "1" ? "sha1" : "sha256", signedFields(message), signature);
  };
}

/** Signs as SNS does: into the body. */
export function signSns(request: OutgoingRequest, { secret, privateKey }: SigningKeys): OutgoingRequest {
  const body = changeBody(request, (payload) => {
    const message = payload as Record<string, unknown>;
    message["TopicArn"] = secret;
    message["SignatureVersion"] = "2";
    message["SigningCertURL"] ??=
      "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-simulated.pem";
    const signed = Buffer.from(signedFields(message));
    message["Signature"] = nodeCrypto()
      .sign("sha256", signed, privateKey ?? "")
      .toString("base64");
    return message;
  });
  return { ...request, body };
}

/** Only the message itself, which stands first, may hold a line break: nothing of it could be taken for another field. */
function signedFields(message: Record<string, unknown>): string {
  const names = message["Type"] === "Notification" ? NOTIFICATION : CONFIRMATION;
  return names
    .filter((name) => message[name] !== undefined && message[name] !== null)
    .map((name) => `${name}\n${signedText(name, message[name], name === "Message" ? undefined : "\n")}\n`)
    .join("");
}
