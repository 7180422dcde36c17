import type { ErrorCode, HookonceError } from "../errors.ts";
import { kindOf } from "../providers/schemes.ts";
import { coversUrl } from "../providers/verifier.ts";
import type { Finding } from "./diagnosis.ts";
import { nearHeaderFinding } from "./headers.ts";
import { otherProviderFinding } from "./other-provider.ts";
import type { Examined } from "./trial.ts";

/** What the request itself says, where trying has shown nothing. The likeliest first. */
const HINTS: readonly ((examined: Examined, refusal: HookonceError) => Finding | undefined)[] = [
  noSecret,
  // Another provider's delivery has headers of its own: which of them is nearest says nothing.
  (examined) => otherProviderFinding(examined) ?? nearHeaderFinding(examined),
  missingPublicUrl,
  bodyLength,
  stripeListen,
];

export function hints(examined: Examined, refusal: HookonceError): Finding[] {
  return HINTS.map((hint) => hint(examined, refusal)).filter((finding) => finding !== undefined);
}

function noSecret({ secrets, scheme, provider }: Examined): Finding | undefined {
  if (secrets.length > 0 || kindOf(scheme).proof === "none") return undefined;
  return {
    cause: "no_secret",
    proven: true,
    what: "The source has no secret yet: nothing can be verified.",
    remedy: `${provider.title} tells its secret once, when it first delivers, and hookonce shows it in its log: put it into .env, and name it as the source's secret.`,
  };
}

function missingPublicUrl({ scheme, settings }: Examined): Finding | undefined {
  if (settings.publicUrl !== undefined || !coversUrl(scheme)) return undefined;
  return {
    cause: "public_url_missing",
    proven: true,
    what: "The signature covers the URL that the provider was given, and the source does not say it.",
    remedy: 'Set public_url = "https://…" for this source: exactly what stands in the provider\'s dashboard.',
  };
}

function bodyLength({ delivery: { headers, body } }: Examined): Finding | undefined {
  const declared = headers["content-length"];
  if (declared === undefined || !/^\d+$/.test(declared)) return undefined;
  const difference = body.byteLength - Number(declared);
  if (difference === 0) return undefined;
  return {
    cause: "body_length",
    proven: true,
    what: `The body has ${body.byteLength} bytes, and Content-Length says ${declared}: ${Math.abs(difference)} ${difference > 0 ? "too many" : "are missing"}. It is not the body that was sent.`,
    remedy: "Save the request byte for byte: editors and terminals change line breaks and the end of a file.",
  };
}

/**
 * `stripe listen` signs with a secret of its own: nobody but its terminal knows it, so that only its shape
 * can be told.
 */
function stripeListen({ provider, secrets }: Examined, { code }: HookonceError): Finding | undefined {
  if (provider.name !== "stripe" || code !== "signature_mismatch") return undefined;
  const fromListen = secrets.some((secret) => /^whsec_[0-9a-f]{64}$/.test(secret));
  return {
    cause: "stripe_listen",
    proven: false,
    what: fromListen
      ? "The configured secret has the shape of the one that `stripe listen` prints. Deliveries of an endpoint in the dashboard are signed with that endpoint's secret, not with it."
      : "The configured secret has the shape of a dashboard endpoint's. What `stripe listen` forwards is signed with a secret of its own (whsec_ and 64 hex digits), and each endpoint has another.",
    remedy: fromListen
      ? 'Copy the signing secret of the endpoint from the dashboard, or keep both: secret = ["env:…", "env:…"].'
      : "For `stripe listen`, configure what `stripe listen --print-secret` says; else compare the signing secret of this very endpoint in the dashboard (test and live mode have one each).",
  };
}

/** Of a signature that does not match, whatever is tried. */
export function unknownCause({ provider, settings, scheme }: Examined): Finding {
  const isSecret = provider.secretIs === undefined ? "the secret" : provider.secretIs;
  const secret = `the secret is another one: set ${isSecret} anew at the provider and for the source ${settings.name}`;
  const url = `the URL is another one: compare public_url = "${settings.publicUrl ?? ""}" letter for letter with what stands in the provider's dashboard (https or http, the path, a slash at its end)`;
  return {
    cause: "unknown",
    proven: false,
    what: `Nothing that was tried makes the signature right: no other configured secret, no other reading of it, no common change of the body${coversUrl(scheme) ? ", no other URL that the request hints at" : ""}.`,
    remedy: `Most likely ${coversUrl(scheme) ? `${url}; or ` : ""}${secret}. Else the body was changed on the way in a way that cannot be undone.`,
  };
}

/** Refusals that nothing of the signature could mend, and what could. */
const OF_NO_SIGNATURE: Partial<Record<ErrorCode, string>> = {
  key_unavailable:
    "The provider's key has to be fetched to verify this: try it on a machine that reaches the provider.",
  handshake_refused:
    "Enter the same token in the provider's dashboard and where the source's verify_token is looked up, then restart hookonce.",
  unsigned_not_loopback: "Deliver from this machine, or give the source a provider that signs.",
  body_too_large: "If the provider does send bodies of this size, say so with max_body for this source.",
};

export function isOfNoSignature({ code }: HookonceError): boolean {
  return code in OF_NO_SIGNATURE;
}

/** The refusal itself is the cause: no secret would change it. */
export function asRefused({ code, message }: HookonceError, { provider }: Examined): Finding {
  return {
    cause: "as_refused",
    proven: true,
    what: message,
    remedy:
      OF_NO_SIGNATURE[code] ??
      `${provider.title} sends none like this: it was changed on the way (a proxy must pass on all headers, and the body as it came), or somebody else sent it.`,
  };
}
