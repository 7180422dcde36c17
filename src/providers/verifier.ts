import type { Delivery } from "../event.ts";
import { HookonceError } from "../errors.ts";
import { createAdyenVerifier, signAdyen } from "./schemes/adyen.ts";
import { createContentfulVerifier, signContentful } from "./schemes/contentful.ts";
import type { OutgoingRequest, SigningKeys, Verify, VerifyContext } from "./context.ts";
import { createHmacVerifier, signHmac } from "./schemes/hmac.ts";
import { createNetlifyVerifier, createPlaidVerifier, signNetlify, signPlaid } from "./schemes/jwt.ts";
import { createMailgunVerifier, signMailgun } from "./schemes/mailgun.ts";
import { createPayPalVerifier, signPayPal } from "./schemes/paypal.ts";
import type { Provider, Scheme } from "./provider.ts";
import { createPublicKeyVerifier, signWithPrivateKey } from "./schemes/public-key.ts";
import { signsUrl } from "./schemes/signed-request.ts";
import { createSnsVerifier, signSns } from "./schemes/sns.ts";
import { createStaticVerifier, signStatic } from "./schemes/static.ts";
import { createTwilioVerifier, signTwilio } from "./schemes/twilio.ts";
import { createLoopbackCheck } from "./schemes/unsigned.ts";

/**
 * What stands behind each kind of scheme.
 *
 * @param allowPublic an unsigned source answers everybody
 * @throws HookonceError `config_invalid`
 */
export function createVerifier(scheme: Scheme, context: VerifyContext, allowPublic: boolean): Verify {
  switch (scheme.kind) {
    case "hmac":
      return createHmacVerifier(scheme, context);
    case "public-key":
      return createPublicKeyVerifier(scheme, context);
    case "static":
      return createStaticVerifier(scheme, context);
    case "unsigned":
      return allowPublic ? () => {} : createLoopbackCheck();
    case "twilio":
      return createTwilioVerifier(context);
    case "mailgun":
      return createMailgunVerifier(scheme, context);
    case "adyen":
      return createAdyenVerifier(context);
    case "contentful":
      return createContentfulVerifier(scheme, context);
    case "netlify":
      return createNetlifyVerifier(context);
    case "plaid":
      return createPlaidVerifier(scheme, context);
    case "sns":
      return createSnsVerifier(context);
    case "paypal":
      return createPayPalVerifier(context);
  }
}

/**
 * Which of several secrets a delivery is signed with: asked for where an answer depends on it, since finding out verifies once more.
 *
 * @returns undefined when it is none of them
 */
export async function secretOf(
  delivery: Delivery,
  scheme: Scheme,
  context: VerifyContext,
): Promise<string | undefined> {
  for (const secret of context.secrets) {
    try {
      await createVerifier(scheme, { ...context, secrets: [secret] }, false)(delivery);
      return secret;
    } catch (error) {
      if (!(error instanceof HookonceError)) throw error;
    }
  }
  return undefined;
}

/**
 * Signs a request as the provider would, from the same literal that its deliveries are verified by.
 *
 * @param request with the headers that bring id and type; those of the signature are added, as is what stands in the body
 * @param nowMs Unix milliseconds
 */
export async function sign(
  { scheme, formField }: Pick<Provider, "scheme" | "formField">,
  request: OutgoingRequest,
  keys: SigningKeys,
  nowMs: number,
): Promise<OutgoingRequest> {
  switch (scheme.kind) {
    case "hmac":
      return signHmac(scheme, request, keys.secret, nowMs);
    case "public-key":
      return signWithPrivateKey(scheme, request, privateKeyOf(keys), nowMs);
    case "static":
      return signStatic(scheme, request, keys.secret, formField);
    case "unsigned":
      return request;
    case "twilio":
      return signTwilio(request, keys.secret);
    case "mailgun":
      return signMailgun(request, keys.secret, nowMs);
    case "adyen":
      return signAdyen(request, keys.secret);
    case "contentful":
      return signContentful(request, keys.secret, nowMs);
    case "netlify":
      return signNetlify(request, keys.secret);
    case "plaid":
      return signPlaid(request, { ...keys, privateKey: privateKeyOf(keys) }, nowMs);
    case "sns":
      return signSns(request, { ...keys, privateKey: privateKeyOf(keys) });
    case "paypal":
      return signPayPal(request, { ...keys, privateKey: privateKeyOf(keys) }, nowMs);
  }
}

function privateKeyOf({ privateKey }: SigningKeys): string {
  if (privateKey !== undefined) return privateKey;
  throw new HookonceError(
    "config_invalid",
    "This provider signs with a private key: a source's secret is only the public half.",
  );
}

/** Whether the signature covers the URL, so that a source must say how the provider knows it. */
export function coversUrl(scheme: Scheme): boolean {
  if (scheme.kind === "hmac" || scheme.kind === "public-key") return signsUrl(scheme.signed);
  return scheme.kind === "twilio" || scheme.kind === "contentful";
}
