import type { Delivery } from "../event.ts";
import { HookonceError } from "../errors.ts";
import type { OutgoingRequest, SigningKeys, VerifyContext } from "./context.ts";
import type { Provider } from "./provider.ts";
import { kindOf, type Scheme } from "./schemes.ts";

/**
 * Finds out which of several secrets a delivery is signed with. This verifies the delivery once more, so only
 * ask if an answer depends on the secret.
 *
 * @returns undefined if the delivery is signed with none of them
 */
export async function secretOf(
  delivery: Delivery,
  scheme: Scheme,
  context: VerifyContext,
): Promise<string | undefined> {
  for (const secret of context.secrets)
    if ((await refusalWith(secret, delivery, scheme, context)) === undefined) return secret;
  return undefined;
}

/** Why a source with this one secret would refuse the delivery. */
export async function refusalWith(
  secret: string,
  delivery: Delivery,
  scheme: Scheme,
  context: VerifyContext,
): Promise<HookonceError | undefined> {
  try {
    await kindOf(scheme).createVerifier(scheme, { ...context, secrets: [secret] })(delivery);
    return undefined;
  } catch (error) {
    if (error instanceof HookonceError) return error;
    throw error;
  }
}

/**
 * Signs a request as the provider would, with the same literal that verifies its deliveries.
 *
 * @param request with the headers that carry id and type; the signature's headers are added, and so is what
 *   the signature adds to the body
 * @param nowMs Unix milliseconds
 * @throws HookonceError `config_invalid` if the provider signs with a private key and there is none
 */
export async function sign(
  { scheme, formField }: Pick<Provider, "scheme" | "formField">,
  request: OutgoingRequest,
  keys: SigningKeys,
  nowMs: number,
): Promise<OutgoingRequest> {
  return kindOf(scheme).sign(scheme, request, { ...keys, nowMs, formField });
}

/** Whether the signature covers the URL, so that the source must say which URL the provider was given. */
export function coversUrl(scheme: Scheme): boolean {
  return kindOf(scheme).coversUrl(scheme);
}

/** Whether the signature, or the secret, is in the body, so that the body must be read to verify anything. */
export function signsInBody(scheme: Scheme): boolean {
  const kind = kindOf(scheme);
  const isElsewhere =
    kind.signatureHeader(scheme) !== undefined || kind.signatureParameter(scheme) !== undefined;
  return kind.proof !== "none" && !isElsewhere;
}

/** Returns random keys for a scheme: to sign with a wrong secret, or if none is configured. */
export function randomKeys(scheme: Scheme): SigningKeys {
  return kindOf(scheme).makeKeys(scheme);
}
