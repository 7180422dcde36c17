import type * as Jose from "jose";
import { HookonceError } from "../../errors.ts";
import type { OutgoingRequest, SigningContext, Verify, VerifyContext } from "../context.ts";
import { nodeCrypto } from "../node-modules.ts";
import { checkAge } from "./age.ts";
import type { SchemeConfig } from "./config.ts";
import { isSecret } from "./comparison.ts";
import { bodyHash, loadJose } from "./jwt.ts";
import { createKeySet, TOKEN_ALGORITHMS } from "./key-set.ts";
import { privateKeyOf, publicJwkOf } from "./keys.ts";
import { defineKind } from "./scheme.ts";
import {
  BODY_HASH,
  expectedFacts,
  foundFacts,
  readToken,
  textOf,
  wrongClaim,
  wrongClaims,
  type TokenScheme,
} from "./token-claims.ts";

export const token = defineKind<TokenScheme>({
  kind: "jwt",
  proof: "fetched-key",
  needsSecret: false,
  configKeys: [
    "signature.header",
    "signature.prefix",
    "signature.algorithm",
    "signature.jwks_url",
    "signature.issuer",
    "signature.audience",
    "signature.claims",
    "tolerance",
  ],
  configure,
  checkConfig: (_, { signature = {} }) => {
    const { algorithm } = signature;
    if (algorithm === undefined || TOKEN_ALGORITHMS.some((one) => one === algorithm)) return [];
    const what = "cannot be used: a token must be signed with a private key";
    return [{ key: "signature.algorithm", what, remedy: `write ${TOKEN_ALGORITHMS.join(" or ")}` }];
  },
  createVerifier,
  createHeaderCheck:
    (scheme) =>
    ({ headers }) =>
      void readToken(scheme, headers),
  sign,
  describe: ({ algorithm, jwksUrl }) =>
    `a JWT (${algorithm ?? TOKEN_ALGORITHMS.join(" or ")}); its key is fetched from ${jwksUrl === "" ? "signature.jwks_url" : jwksUrl}`,
  makeKeys: () => ({ secret: "", privateKey: randomKey() }),
  servedKey: ({ jwksUrl }, keys, url) =>
    url === jwksUrl ? JSON.stringify({ keys: [publicJwkOf(privateKeyOf(keys))] }) : undefined,
  signatureHeader: ({ signature }) => signature,
  redactSignature: withoutSignature,
  tolerance: ({ tolerance }) => tolerance,
  whyNoTolerance: () => "the token says how long it is valid",
  withTolerance: (scheme, tolerance) => ({ ...scheme, tolerance }),
  unsignedBody: ({ claims }) =>
    Object.values(claims).includes(BODY_HASH)
      ? undefined
      : "its token says who sent it, not what was sent, so a changed body is accepted",
  expectedFacts,
  foundFacts: (scheme, { headers }) => foundFacts(scheme, headers),
  wrongClaims: (scheme, { headers }) => wrongClaims(scheme, headers),
});

/** How far the issuer's clock may differ from this one, in seconds. */
const CLOCK_TOLERANCE = 60;

/** How long a token without an end is valid, in seconds. */
const MAX_AGE = 300;

function configure(preset: TokenScheme, { signature = {}, tolerance }: SchemeConfig): TokenScheme {
  const { header, prefix, algorithm, jwks_url: jwksUrl, issuer, audience, claims } = signature;
  const known = TOKEN_ALGORITHMS.find((one) => one === algorithm);
  return {
    ...preset,
    signature: {
      ...preset.signature,
      ...(header === undefined ? {} : { header }),
      // In another header, the token usually stands alone.
      ...(prefix === undefined ? (header === undefined ? {} : { prefix: "" }) : { prefix }),
    },
    ...(known === undefined ? {} : { algorithm: known }),
    jwksUrl: jwksUrl ?? preset.jwksUrl,
    issuer: issuer === undefined ? preset.issuer : [issuer].flat(),
    audience: audience === undefined ? preset.audience : [audience].flat(),
    claims: { ...preset.claims, ...claims },
    ...(tolerance === undefined ? {} : { tolerance: tolerance / 1000 }),
  };
}

/**
 * @returns a function that rejects with `signature_missing`, `signature_malformed`, `signature_mismatch`,
 *   `timestamp_missing`, `timestamp_stale`, `timestamp_in_future` or `key_unavailable`
 */
function createVerifier(scheme: TokenScheme, context: VerifyContext): Verify {
  const { issuer, audience, claims, tolerance } = scheme;
  const keyOf = createKeySet(scheme.jwksUrl, context);
  const jose = loadJose();
  return async ({ headers, body }) => {
    const { text, alg, kid } = readToken(scheme, headers);
    const { errors, jwtVerify } = await jose;
    const key = await keyOf(kid, alg);
    let payload: Jose.JWTPayload;
    try {
      ({ payload } = await jwtVerify(text, key, {
        algorithms: [alg],
        issuer: [...issuer],
        audience: [...audience],
        currentDate: new Date(context.clock()),
        clockTolerance: tolerance === Infinity ? Number.MAX_SAFE_INTEGER : CLOCK_TOLERANCE,
      }));
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw expired(error.payload, context.clock());
      if (error instanceof errors.JWTClaimValidationFailed && error.claim === "nbf")
        throw new HookonceError(
          "timestamp_in_future",
          "The token is not valid yet. Is this machine's clock right?",
        );
      if (error instanceof errors.JOSEError)
        throw new HookonceError(
          "signature_mismatch",
          "The token's signature does not match the issuer's key.",
        );
      throw error;
    }
    for (const [name, wanted] of Object.entries(claims)) {
      const text = wanted === BODY_HASH ? bodyHash(body) : wanted;
      if (!isSecret(textOf(payload[name]), text)) throw wrongClaim(name);
    }
    if (payload.exp !== undefined && (tolerance ?? Infinity) === Infinity) return;
    if (typeof payload.iat !== "number")
      throw new HookonceError("timestamp_missing", "The token does not say when it was made.");
    checkAge(payload.iat * 1000, tolerance ?? MAX_AGE, context.clock());
  };
}

function expired({ iat }: Jose.JWTPayload, nowMs: number): HookonceError {
  const age =
    typeof iat === "number" ? `It was signed ${Math.trunc(nowMs / 1000 - iat)} s ago, and its` : "Its";
  return new HookonceError("timestamp_stale", `${age} token has expired. Is this machine's clock right?`);
}

/** The doctor needs what a token says. Without its signature it lets nobody in. */
function withoutSignature(value: string): string | undefined {
  const [, rest] = /^((?:[\w-]+ )?[\w-]+\.[\w-]+\.)[\w-]*$/i.exec(value) ?? [];
  return rest === undefined ? undefined : `${rest}[redacted]`;
}

/** The private key is a JWK. */
async function sign(
  { signature, issuer, audience, claims }: TokenScheme,
  request: OutgoingRequest,
  context: SigningContext,
): Promise<OutgoingRequest> {
  const { importJWK, SignJWT } = await loadJose();
  const jwk = JSON.parse(privateKeyOf(context)) as Jose.JWK;
  const alg = jwk.kty === "RSA" ? "RS256" : "ES256";
  const issuedAt = Math.trunc(context.nowMs / 1000);
  const made = Object.entries(claims).map(([name, value]) => [
    name,
    value === BODY_HASH ? bodyHash(request.body) : value,
  ]);
  const text = await new SignJWT(Object.fromEntries(made) as Jose.JWTPayload)
    .setProtectedHeader({ alg, typ: "JWT", ...(jwk.kid === undefined ? {} : { kid: jwk.kid }) })
    .setIssuer(issuer[0] ?? "")
    .setAudience(audience[0] ?? "")
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + MAX_AGE)
    .sign(await importJWK(jwk, alg));
  return {
    ...request,
    headers: { ...request.headers, [signature.header]: `${signature.prefix ?? ""}${text}` },
  };
}

function randomKey(): string {
  const { privateKey } = nodeCrypto().generateKeyPairSync("ec", { namedCurve: "P-256" });
  return JSON.stringify({ ...privateKey.export({ format: "jwk" }), kid: "simulated" });
}
