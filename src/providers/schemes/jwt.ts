import type * as Jose from "jose";
import { HookonceError } from "../../errors.ts";
import { isSecret } from "./comparison.ts";
import type { OutgoingRequest, SigningKeys, Verify, VerifyContext } from "../context.ts";
import { decodeKey } from "./keys.ts";
import { createKeep, fetchPinned } from "./pinned-fetch.ts";
import type { PlaidScheme } from "../provider.ts";
import { checkAge } from "./signed-request.ts";

// Loaded when a source needs it, which few do.
const loadJose = (): Promise<typeof Jose> => import("jose");

const NETLIFY = "x-webhook-signature";
const PLAID = "plaid-verification";

/**
 * Netlify sends a JWT with the hash of the body. https://docs.netlify.com/site-deploys/notifications/#payload-signature
 *
 * @returns a function that rejects with `signature_missing` or `signature_mismatch`
 */
export function createNetlifyVerifier({ secrets }: VerifyContext): Verify {
  const keys = secrets.map((secret) => decodeKey(secret, "text"));
  const jose = loadJose();
  return async ({ headers, body }) => {
    const token = tokenOf(headers[NETLIFY], NETLIFY);
    const { errors, jwtVerify } = await jose;
    for (const key of keys) {
      try {
        // The algorithm is ours to say: a token cannot talk us into another, or into none.
        const { payload } = await jwtVerify(token, key, { algorithms: ["HS256"], issuer: "netlify" });
        if (typeof payload["sha256"] === "string" && isSecret(payload["sha256"], sha256(body))) return;
      } catch (error) {
        if (!(error instanceof errors.JOSEError)) throw error;
      }
    }
    throw mismatch();
  };
}

export async function signNetlify(request: OutgoingRequest, secret: string): Promise<OutgoingRequest> {
  const { SignJWT } = await loadJose();
  const token = await new SignJWT({ sha256: sha256(request.body) })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setIssuer("netlify")
    .sign(decodeKey(secret, "text"));
  return { ...request, headers: { ...request.headers, [NETLIFY]: token } };
}

/** Where Plaid's keys are fetched. Nothing from a delivery goes into the host. */
const PLAID_HOSTS = { production: "https://production.plaid.com", sandbox: "https://sandbox.plaid.com" };

/**
 * Plaid sends a JWT with the hash of the body, and hands out the key for it. The secret is `client_id:secret`.
 * https://plaid.com/docs/api/webhooks/webhook-verification/
 *
 * @returns a function that rejects with `signature_missing`, `signature_malformed`, `signature_mismatch`, `timestamp_stale`,
 *   `timestamp_in_future` or `key_unavailable`
 */
export function createPlaidVerifier({ tolerance }: PlaidScheme, context: VerifyContext): Verify {
  const credentials = context.secrets.map(credentialsOf);
  const jose = loadJose();
  const keyOf = createKeep(context.clock, async (kid) => {
    let refusal: unknown;
    for (const one of credentials) {
      try {
        const answer = await fetchPinned(
          context.fetch,
          `${PLAID_HOSTS[context.environment]}/webhook_verification_key/get`,
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
    const token = tokenOf(headers[PLAID], PLAID);
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
      if (typeof hash !== "string" || !isSecret(hash, sha256(body))) throw mismatch();
    } catch (error) {
      if (error instanceof errors.JOSEError) throw mismatch();
      throw error;
    }
    if (typeof iat !== "number")
      throw new HookonceError("timestamp_missing", "The token does not say when it was made.");
    checkAge(iat * 1000, tolerance, context.clock());
  };
}

/** @param keys `privateKey` is the private JWK, with its kid */
export async function signPlaid(
  request: OutgoingRequest,
  { privateKey }: SigningKeys,
  nowMs: number,
): Promise<OutgoingRequest> {
  const { importJWK, SignJWT } = await loadJose();
  const jwk = JSON.parse(privateKey ?? "{}") as Jose.JWK;
  const token = await new SignJWT({ request_body_sha256: sha256(request.body) })
    .setProtectedHeader({ alg: "ES256", typ: "JWT", kid: jwk.kid ?? "simulated" })
    .setIssuedAt(Math.trunc(nowMs / 1000))
    .sign(await importJWK(jwk, "ES256"));
  return { ...request, headers: { ...request.headers, [PLAID]: token } };
}

function credentialsOf(secret: string): { client_id: string; secret: string } {
  const colon = secret.indexOf(":");
  if (colon < 1 || colon === secret.length - 1)
    throw new HookonceError(
      "config_invalid",
      "The secret is not client_id:secret, as Plaid's API takes them.",
    );
  return { client_id: secret.slice(0, colon), secret: secret.slice(colon + 1) };
}

/** The name of the key; looked at before anything is fetched with it. */
function kidOf(token: string, decodeProtectedHeader: typeof Jose.decodeProtectedHeader): string {
  try {
    const { alg, kid } = decodeProtectedHeader(token);
    if (alg === "ES256" && typeof kid === "string" && /^[\w-]{1,100}$/.test(kid)) return kid;
  } catch {
    // Said below.
  }
  throw new HookonceError("signature_malformed", `The header ${PLAID} is no ES256 token with a key id.`);
}

function tokenOf(token: string | undefined, header: string): string {
  if (token === undefined || token === "")
    throw new HookonceError("signature_missing", `The header ${header} is missing.`);
  return token;
}

function mismatch(): HookonceError {
  return new HookonceError(
    "signature_mismatch",
    "The token does not fit: wrong secret, or a body that was changed on the way.",
  );
}

function sha256(body: Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(body).digest("hex");
}
