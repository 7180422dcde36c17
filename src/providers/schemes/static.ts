import type { Delivery } from "../../event.ts";
import { HookonceError } from "../../errors.ts";
import { isSecret } from "./comparison.ts";
import type { OutgoingRequest, Verify, VerifyContext } from "../context.ts";
import { setInBody } from "../body/payload.ts";
import type { StaticScheme } from "../provider.ts";
import { compileSelector } from "../body/selector.ts";

/**
 * The secret is sent along.
 *
 * @returns a function that throws `signature_missing` or `signature_mismatch`
 * @throws HookonceError `config_invalid`
 */
export function createStaticVerifier({ secretIn }: StaticScheme, context: VerifyContext): Verify {
  if (context.secrets.includes(""))
    throw new HookonceError("config_invalid", "The secret is empty: anybody could send it.");
  if (secretIn === "basic" && context.secrets.some((secret) => !secret.includes(":")))
    throw new HookonceError(
      "config_invalid",
      "The secret is not user:password, as for basic authentication.",
    );
  const read = secretIn === "basic" ? undefined : compileSelector(secretIn, "absent");
  const inBody = secretIn.startsWith("body:");
  return (delivery) => {
    const given =
      read === undefined
        ? basicOf(delivery)
        : read({
            headers: delivery.headers,
            payload: inBody ? context.parse(delivery).payload : null,
            body: delivery.body,
          });
    if (typeof given !== "string" || given === "") {
      throw new HookonceError(
        "signature_missing",
        `The secret is missing: it is looked for in ${secretIn === "basic" ? "Authorization: Basic" : secretIn}.`,
      );
    }
    // All of them, so that the time taken does not say which.
    const matches = context.secrets.filter((secret) => isSecret(given, secret));
    if (matches.length === 0) throw new HookonceError("signature_mismatch", "The secret is another one.");
  };
}

function basicOf({ headers }: Delivery): string | undefined {
  const encoded = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(headers["authorization"] ?? "")?.[1];
  return encoded === undefined ? undefined : Buffer.from(encoded, "base64").toString();
}

/** Sends the secret along, as the provider does. */
export function signStatic(
  { secretIn }: StaticScheme,
  request: OutgoingRequest,
  secret: string,
  formField?: string,
): OutgoingRequest {
  if (secretIn === "basic") {
    const encoded = Buffer.from(secret).toString("base64");
    return { ...request, headers: { ...request.headers, authorization: `Basic ${encoded}` } };
  }
  if (secretIn.startsWith("body:"))
    return { ...request, body: setInBody(request, secretIn, secret, formField) };
  return { ...request, headers: { ...request.headers, [secretIn.slice("header:".length)]: secret } };
}
