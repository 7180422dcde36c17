import type { OutgoingRequest, SigningContext, Verify, VerifyContext } from "../context.ts";
import { isSecret } from "./comparison.ts";
import { bodyHash, loadJose, tokenMismatch } from "./jwt.ts";
import { decodeKey, describeFormat, randomSecret } from "./keys.ts";
import { defineKind, headerIn } from "./scheme.ts";

/**
 * Netlify sends a JWT (HS256) that holds the hash of the body.
 * https://docs.netlify.com/site-deploys/notifications/#payload-signature
 */
export interface NetlifyScheme {
  readonly kind: "netlify";
}

export const netlify = defineKind<NetlifyScheme>({
  kind: "netlify",
  proof: "shared-key",
  createVerifier,
  sign,
  describe: () => "a JWT (HS256) with the hash of the body",
  describeKey: () => describeFormat("text"),
  makeKeys: () => ({ secret: randomSecret("text") }),
  signatureHeader: () => ({ header: HEADER }),
});

const HEADER = "x-webhook-signature";

/** @returns a function that rejects with `signature_missing` or `signature_mismatch` */
function createVerifier(_: NetlifyScheme, { secrets }: VerifyContext): Verify {
  const keys = secrets.map((secret) => decodeKey(secret, "text"));
  const jose = loadJose();
  return async ({ headers, body }) => {
    const token = headerIn(headers, HEADER);
    const { errors, jwtVerify } = await jose;
    for (const key of keys) {
      try {
        // We name the algorithm, so the token cannot choose another one, or none.
        const { payload } = await jwtVerify(token, key, { algorithms: ["HS256"], issuer: "netlify" });
        if (typeof payload["sha256"] === "string" && isSecret(payload["sha256"], bodyHash(body))) return;
      } catch (error) {
        if (!(error instanceof errors.JOSEError)) throw error;
      }
    }
    throw tokenMismatch();
  };
}

async function sign(
  _: NetlifyScheme,
  request: OutgoingRequest,
  { secret }: SigningContext,
): Promise<OutgoingRequest> {
  const { SignJWT } = await loadJose();
  const token = await new SignJWT({ sha256: bodyHash(request.body) })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setIssuer("netlify")
    .sign(decodeKey(secret, "text"));
  return { ...request, headers: { ...request.headers, [HEADER]: token } };
}
