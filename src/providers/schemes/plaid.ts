import type * as Jose from "jose";
import { HookonceError } from "../../errors.ts";
import type { OutgoingRequest, SigningContext, Verify, VerifyContext } from "../context.ts";
import { nodeCrypto } from "../node-modules.ts";
import { isSecret } from "./comparison.ts";
import { bodyHash, loadJose, tokenMismatch } from "./jwt.ts";
import { privateKeyOf, publicJwkOf, randomSecret } from "./keys.ts";
import { createKeep, fetchPinned } from "./pinned-fetch.ts";
import { defineKind, headerIn, withOwnTolerance } from "./scheme.ts";
import { checkAge } from "./age.ts";
import { weaknessOfLast } from "./weakness.ts";

/**
 * Plaid sends a JWT (ES256) that holds the hash of the body, and its API returns the key. The secret is
 * `client_id:secret`.
 * https://plaid.com/docs/api/webhooks/webhook-verification/
 */
export interface PlaidScheme {
  readonly kind: "plaid";
  /** In seconds. */
  readonly tolerance: number;
}

export const plaid = defineKind<PlaidScheme>({
  ...withOwnTolerance,
  kind: "plaid",
  proof: "fetched-key",
  configKeys: [...withOwnTolerance.configKeys, "environment"],
  createVerifier,
  sign,
  describe: () => "a JWT (ES256) with the hash of the body; its key is fetched from Plaid",
  makeKeys: () => ({ secret: `${randomSecret("hex")}:${randomSecret("hex")}`, privateKey: randomKey() }),
  servedKey: (_, keys, url) =>
    Object.values(HOSTS).some((host) => url.startsWith(host))
      ? JSON.stringify({ key: publicJwkOf(privateKeyOf(keys)) })
      : undefined,
  signatureHeader: () => ({ header: HEADER }),
  weakness: (_, secret) => weaknessOfLast(secret, "secret"),
});

const HEADER = "plaid-verification";

/** Where Plaid's keys are fetched from. Nothing in a delivery can change the host. */
const HOSTS = { production: "https://production.plaid.com", sandbox: "https://sandbox.plaid.com" };

/**
 * @returns a function that rejects with `signature_missing`, `signature_malformed`, `signature_mismatch`,
 *   `timestamp_stale`, `timestamp_in_future` or `key_unavailable`
 */
function createVerifier({ tolerance }: PlaidScheme, context: VerifyContext): Verify {
  const credentials = context.secrets.map(credentialsOf);
  const jose = loadJose();
  const keyOf = createKeep(context.clock, async (kid) => {
    let refusal: unknown;
    for (const one of credentials) {
      try {
        const answer = await fetchPinned(
          context.fetch,
          `${HOSTS[context.environment]}/webhook_verification_key/get`,
          "verification key",
          {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ ...one, key_id: kid }),
          },
        );
        const { key } = JSON.parse(answer) as { key?: Jose.JWK };
        const { importJWK } = await jose;
        return await importJWK(key ?? {}, "ES256");
      } catch (error) {
        refusal = error;
      }
    }
    throw refusal instanceof HookonceError
      ? refusal
      : new HookonceError("key_unavailable", "Plaid's answer holds no key.", { cause: refusal });
  });
  return async ({ headers, body }) => {
    const token = headerIn(headers, HEADER);
    const { decodeProtectedHeader, errors, jwtVerify } = await jose;
    const key = await keyOf(kidOf(token, decodeProtectedHeader));
    let iat: unknown;
    try {
      const { payload } = await jwtVerify(token, key, {
        algorithms: ["ES256"],
        currentDate: new Date(context.clock()),
      });
      iat = payload.iat;
      const hash = payload["request_body_sha256"];
      if (typeof hash !== "string" || !isSecret(hash, bodyHash(body))) throw tokenMismatch();
    } catch (error) {
      if (error instanceof errors.JOSEError) throw tokenMismatch();
      throw error;
    }
    if (typeof iat !== "number")
      throw new HookonceError("timestamp_missing", "The token does not say when it was made.");
    checkAge(iat * 1000, tolerance, context.clock());
  };
}

/** The private key is a JWK with its `kid`. */
async function sign(
  _: PlaidScheme,
  request: OutgoingRequest,
  context: SigningContext,
): Promise<OutgoingRequest> {
  const { importJWK, SignJWT } = await loadJose();
  const jwk = JSON.parse(privateKeyOf(context)) as Jose.JWK;
  const token = await new SignJWT({ request_body_sha256: bodyHash(request.body) })
    .setProtectedHeader({ alg: "ES256", typ: "JWT", kid: jwk.kid ?? "simulated" })
    .setIssuedAt(Math.trunc(context.nowMs / 1000))
    .sign(await importJWK(jwk, "ES256"));
  return { ...request, headers: { ...request.headers, [HEADER]: token } };
}

function credentialsOf(secret: string): { client_id: string; secret: string } {
  const colon = secret.indexOf(":");
  if (colon < 1 || colon === secret.length - 1)
    throw new HookonceError(
      "config_invalid",
      "The secret is not client_id:secret, which Plaid's API needs.",
      { key: "secret" },
    );
  return { client_id: secret.slice(0, colon), secret: secret.slice(colon + 1) };
}

/** The name of the key. It is checked before it is used in a URL. */
function kidOf(token: string, decodeProtectedHeader: typeof Jose.decodeProtectedHeader): string {
  try {
    const { alg, kid } = decodeProtectedHeader(token);
    if (alg === "ES256" && typeof kid === "string" && /^[\w-]{1,100}$/.test(kid)) return kid;
  } catch {
    // The error below says what is wrong.
  }
  throw new HookonceError("signature_malformed", `The header ${HEADER} is not an ES256 token with a key id.`);
}

function randomKey(): string {
  const { privateKey } = nodeCrypto().generateKeyPairSync("ec", { namedCurve: "P-256" });
  return JSON.stringify({ ...privateKey.export({ format: "jwk" }), alg: "ES256", kid: "simulated" });
}
