import type { Delivery, Headers } from "../../event.ts";
import { HookonceError } from "../../errors.ts";
import { compileInEach } from "../body/batch.ts";
import { headerOf, parameterIn, parameterOf } from "../body/path.ts";
import { setInBody } from "../body/payload.ts";
import type { Part } from "../body/selector.ts";
import type { HeaderCheck, OutgoingRequest, SigningContext, Verify, VerifyContext } from "../context.ts";
import { isSecret } from "./comparison.ts";
import { randomSecret } from "./keys.ts";
import { defineKind, type Guess, type SignatureHeader } from "./scheme.ts";
import { weaknessOf, weaknessOfLast } from "./weakness.ts";

/**
 * The provider sends the secret itself: in a header, in the query, in the body, or as the password of basic
 * authentication. It is never stored.
 */
export interface StaticScheme {
  readonly kind: "static";
  /** A part or `query:name`; or `basic`, and then the secret is `user:password`. */
  readonly secretIn: Part;
}

export const staticSecret = defineKind<StaticScheme>({
  kind: "static",
  proof: "secret-sent",
  configKeys: ["secret_in"],
  configure: (scheme, { secret_in: secretIn }) => (secretIn === undefined ? scheme : { ...scheme, secretIn }),
  createVerifier,
  createHeaderCheck,
  sign,
  describe: ({ secretIn }) =>
    secretIn === "basic" ? "basic authentication" : `the secret itself in ${secretIn}`,
  weakness: ({ secretIn }, secret) =>
    secretIn === "basic" ? weaknessOfLast(secret, "password") : weaknessOf(secret),
  makeKeys: ({ secretIn }) => {
    const secret = randomSecret("hex");
    return { secret: secretIn === "basic" ? `hookonce:${secret}` : secret };
  },
  signatureHeader,
  otherForms: elsewhere,
  signatureParameter: ({ secretIn }) => parameterOf(secretIn),
  unsignedBody: () => "it sends its secret and signs nothing, so a changed body is accepted",
  expectedFacts: ({ secretIn }) => [
    { label: "secret in", text: secretIn === "basic" ? "authorization, as user:password" : secretIn },
  ],
});

/** @returns a function that throws `signature_missing` or `signature_mismatch` */
function createVerifier(scheme: StaticScheme, context: VerifyContext): Verify {
  if (!isInBody(scheme)) return createHeaderCheck(scheme, context);
  const check = createSecretCheck(scheme, context.secrets);
  // Someone who knows one element of a batch must not be able to add another.
  const valuesIn = compileInEach(context.batch, scheme.secretIn);
  return (delivery) => {
    for (const value of valuesIn(context.parse(delivery).payload)) check(value);
  };
}

function createHeaderCheck(scheme: StaticScheme, { secrets }: VerifyContext): HeaderCheck {
  if (isInBody(scheme)) return () => {};
  const check = createSecretCheck(scheme, secrets);
  if (scheme.secretIn === "basic") return ({ headers }) => check(basicOf(headers));
  const parameter = parameterOf(scheme.secretIn);
  if (parameter !== undefined) return ({ url }) => check(parameterIn(url, parameter));
  const name = headerOf(scheme.secretIn);
  return ({ headers }) => check(headers[name]);
}

function isInBody({ secretIn }: StaticScheme): boolean {
  return secretIn.startsWith("body:");
}

function createSecretCheck(
  { secretIn }: StaticScheme,
  secrets: VerifyContext["secrets"],
): (given: unknown) => void {
  if (secrets.includes(""))
    throw new HookonceError("config_invalid", "The secret is empty: anybody could send it.", {
      key: "secret",
    });
  if (secretIn === "basic" && secrets.some((secret) => !/:./s.test(secret)))
    throw new HookonceError(
      "config_invalid",
      "The secret is not user:password with a password that is not empty, which basic authentication needs.",
      { key: "secret" },
    );
  return (given) => {
    if (typeof given !== "string" || given === "") {
      throw new HookonceError(
        "signature_missing",
        `The secret is missing: this source expects it in ${secretIn === "basic" ? "Authorization: Basic" : secretIn}.`,
      );
    }
    // Compare with all of them, so that the time it takes does not tell which one matched.
    const matches = secrets.filter((secret) => isSecret(given, secret));
    if (matches.length === 0) throw new HookonceError("signature_mismatch", "The secret is wrong.");
  };
}

/** The secret is in another header, or in the URL. A parameter with another name is a case for the hints. */
function* elsewhere(
  { secretIn, ...scheme }: StaticScheme,
  delivery: Delivery,
): Generator<Guess<StaticScheme>> {
  const query = secretIn.startsWith("query:") ? "" : /\?([^#]*)/.exec(delivery.url)?.[1];
  const places: Part[] = [
    ...Object.keys(delivery.headers).map((name): Part => `header:${name}`),
    ...[...new URLSearchParams(query).keys()].map((name): Part => `query:${name}`),
  ];
  for (const place of places) {
    if (place === secretIn) continue;
    yield {
      change: { scheme: { ...scheme, secretIn: place } },
      what: `The secret is in ${place}, but this source expects it in ${secretIn}.`,
      remedy: `Set secret_in = "${place}" for this source, or make the sender use the other place.`,
    };
  }
}

function basicOf(headers: Headers): string | undefined {
  const encoded = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(headers["authorization"] ?? "")?.[1];
  return encoded === undefined ? undefined : Buffer.from(encoded, "base64").toString();
}

function sign(
  { secretIn }: StaticScheme,
  request: OutgoingRequest,
  { secret, formField }: SigningContext,
): OutgoingRequest {
  if (secretIn === "basic") {
    const encoded = Buffer.from(secret).toString("base64");
    return { ...request, headers: { ...request.headers, authorization: `Basic ${encoded}` } };
  }
  if (secretIn.startsWith("body:"))
    return { ...request, body: setInBody(request, secretIn, secret, formField) };
  const parameter = parameterOf(secretIn);
  if (parameter !== undefined) {
    const url = new URL(request.url);
    url.searchParams.set(parameter, secret);
    return { ...request, url: url.href };
  }
  return { ...request, headers: { ...request.headers, [headerOf(secretIn)]: secret } };
}

function signatureHeader({ secretIn }: StaticScheme): SignatureHeader | undefined {
  if (secretIn === "basic") return { header: "authorization" };
  if (!secretIn.startsWith("header:")) return undefined;
  return { header: secretIn.slice("header:".length).toLowerCase() };
}
