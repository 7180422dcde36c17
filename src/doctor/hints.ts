import type { ErrorCode, HookonceError } from "../errors.ts";
import { counted } from "../logging/counted.ts";
import { isOnlyScheme, signerOf } from "../providers/provider.ts";
import { kindOf } from "../providers/schemes.ts";
import { coversUrl } from "../providers/verifier.ts";
import type { Finding } from "./diagnosis.ts";
import { nearHeaderFinding, nearParameterFinding } from "./headers.ts";
import { otherProviderFinding } from "./other-provider.ts";
import { secretIn, type Examined } from "./trial.ts";

/** What the request itself shows, if trying has found nothing. The likeliest first. */
const HINTS: readonly ((examined: Examined, refusal: HookonceError) => Finding | undefined)[] = [
  noSecret,
  wrongClaim,
  // In another provider's delivery every header has another name, so the nearest one says nothing. A source that
  // is only a scheme may have the wrong name in its config.
  (examined) => (isOnlyScheme(examined.provider) ? nearHeaderFinding(examined) : undefined),
  (examined, refusal) =>
    secretWhileThereIsOne(examined) ??
    otherProviderFinding(examined) ??
    (isOnlyScheme(examined.provider) ? undefined : nearHeaderFinding(examined)) ??
    nearParameterFinding(examined, refusal),
  missingPublicUrl,
  bodyLength,
  stripeListen,
];

export function hints(examined: Examined, refusal: HookonceError): Finding[] {
  return HINTS.map((hint) => hint(examined, refusal)).filter((finding) => finding !== undefined);
}

function noSecret({ secrets, scheme, provider }: Examined): Finding | undefined {
  if (secrets.length > 0 || !kindOf(scheme).needsSecret) return undefined;
  return {
    cause: "no_secret",
    proven: true,
    what: "The source has no secret yet, so nothing can be verified.",
    remedy: `${provider.title} sends its secret once, with its first delivery, and hookonce shows it: on the terminal, or with hookonce verify --last. Put it into .env and make it the source's secret.`,
  };
}

/** Unsigned, so anyone could replace the secret of the source. */
function secretWhileThereIsOne({ delivery, provider, secrets }: Examined): Finding | undefined {
  const carried = secretIn(delivery, provider);
  if (carried === undefined || secrets.length === 0) return undefined;
  return {
    cause: "carried_secret",
    proven: true,
    what: `This is the request with which ${provider.title} sends its secret, but the source already has a secret. Without a signature, this request is answered only while the source has none.`,
    remedy: `If the ${carried.name} is the source's secret, nothing is wrong. For a new one, remove secret from the source, run hookonce reload, and let ${provider.title} send it again.`,
  };
}

function wrongClaim({ scheme, delivery }: Examined): Finding | undefined {
  for (const { what, remedy } of kindOf(scheme).wrongClaims(scheme, delivery))
    return { cause: "claims", proven: true, what, remedy };
  return undefined;
}

function missingPublicUrl({ scheme, settings }: Examined): Finding | undefined {
  if (settings.publicUrl !== undefined || !coversUrl(scheme)) return undefined;
  return {
    cause: "public_url_missing",
    proven: true,
    what: "The signature covers the URL that the provider was given, and the source has no public_url.",
    remedy:
      'Set public_url = "https://…" for this source, exactly as the URL is in the provider\'s dashboard.',
  };
}

function bodyLength({ delivery: { headers, body } }: Examined): Finding | undefined {
  const declared = headers["content-length"];
  if (declared === undefined || !/^\d+$/.test(declared)) return undefined;
  const difference = body.byteLength - Number(declared);
  if (difference === 0) return undefined;
  const amount = difference > 0 ? `${difference} too many` : `${counted(-difference, "is", "are")} missing`;
  return {
    cause: "body_length",
    proven: true,
    what: `The body has ${counted(body.byteLength, "byte")}, but Content-Length is ${declared}: ${amount}. It is not the body that was sent.`,
    remedy: "Save the request byte for byte. Editors and terminals change line breaks and the end of a file.",
  };
}

/** `stripe listen` has its own secret, which only its terminal shows, so only the shape can be recognized. */
function stripeListen({ provider, secrets }: Examined, { code }: HookonceError): Finding | undefined {
  if (provider.name !== "stripe" || code !== "signature_mismatch") return undefined;
  const fromListen = secrets.some((secret) => /^whsec_[0-9a-f]{64}$/.test(secret));
  return {
    cause: "stripe_listen",
    proven: false,
    what: fromListen
      ? "The configured secret looks like the one that `stripe listen` prints. Deliveries of an endpoint in the dashboard are signed with that endpoint's secret instead."
      : "The configured secret looks like that of an endpoint in the dashboard. Each endpoint has its own, and `stripe listen` signs with another one (whsec_ and 64 hex digits).",
    remedy: fromListen
      ? 'Copy the endpoint\'s signing secret from the dashboard, or keep both: secret = ["env:…", "env:…"].'
      : "For `stripe listen`, configure what `stripe listen --print-secret` prints. Otherwise compare the secret with the signing secret of this endpoint in the dashboard. Test mode and live mode have different ones.",
  };
}

/** What to say if nothing makes the signature match. */
export function unknownCause({ provider, settings, scheme }: Examined): Finding {
  const { publicUrl = "", name } = settings;
  const byUrl = coversUrl(scheme);
  const url = `the URL is wrong: compare public_url = "${publicUrl}" letter for letter with the provider's dashboard (https or http, the path, a slash at the end)`;
  const key =
    "the token was not made with a key that is at signature.jwks_url: compare that URL with the provider's documentation";
  const secret = !kindOf(scheme).needsSecret
    ? key
    : `the secret is wrong: set ${provider.secretIs?.split(/[;:,] /)[0] ?? "the secret"} again, both at ${isOnlyScheme(provider) ? signerOf(provider) : "the provider"} and for the source ${name}`;
  return {
    cause: "unknown",
    proven: false,
    what: `Nothing that was tried makes the signature right: no other configured secret, no other way to decode it, no common change of the body${byUrl ? ", no other URL that the request hints at" : ""}.`,
    remedy: `Most likely ${byUrl ? `${url}; or ` : ""}${secret}. Otherwise the body was changed on the way in a way that cannot be undone.`,
  };
}

/** Refusals that no change of the signature can remove, and what can. */
const NOT_BY_SIGNATURE: Partial<Record<ErrorCode, string>> = {
  key_unavailable:
    "The provider's key must be fetched to verify this: try again on a machine that can reach the provider.",
  handshake_refused:
    "If the provider sent this, enter the same token in its dashboard and where the source's verify_token is looked up, then run hookonce reload. A browser that opens the URL sends no handshake.",
  unsigned_not_loopback: "Send it from this machine, or give the source a provider that signs.",
  body_too_large: "If the provider sends bodies of this size, raise max_body for this source.",
};

/** Refusals of a delivery whose signature is right. */
const BY_CONTENT: Partial<Record<ErrorCode, string>> = {
  missing_event_id:
    'Set event_id for this source to the place of the id, such as "body:$.id". If the sender sends no id, write "sha256:body", or "new:delivery" if each delivery is an event.',
  invalid_event_id: "Set event_id for this source to a place that holds text or a whole number.",
  invalid_event_type: "Set type for this source to a place that holds text or a number.",
  not_a_batch:
    "Set batch for this source to the path of the list of events. If each delivery is one event, remove batch.",
};

const OF_BODY =
  "Nothing is wrong with the secret. Look at the body: the sender, or a proxy, must write it correctly.";

const BODY_CODES: ReadonlySet<ErrorCode> = new Set([
  "invalid_json",
  "invalid_utf8",
  "invalid_multipart",
  "invalid_xml",
  "json_too_deep",
  "too_many_fields",
  "incomplete_body",
  "body_timeout",
  "unsupported_content_encoding",
  "unsupported_content_type",
]);

/** What to say if the content of a delivery is refused, and no secret or signature. */
export function contentFinding({ code, message }: Refusal, shape?: string): Finding | undefined {
  const remedy = BY_CONTENT[code] ?? (BODY_CODES.has(code) ? OF_BODY : undefined);
  if (remedy === undefined) return undefined;
  const what = shape !== undefined && code in BY_CONTENT ? `${message} ${shape}` : message;
  return { cause: "as_refused", proven: true, what, remedy };
}

type Refusal = Pick<HookonceError, "code" | "message">;

export function isOfNoSignature({ code }: HookonceError): boolean {
  return code in NOT_BY_SIGNATURE;
}

/** What to say if the refusal itself is the cause, so that no secret would change it. */
export function asRefused({ code, message }: Refusal, { provider }: Pick<Examined, "provider">): Finding {
  return {
    cause: "as_refused",
    proven: true,
    what: message,
    remedy:
      NOT_BY_SIGNATURE[code] ??
      (isOnlyScheme(provider)
        ? "Compare what the sender writes with what this source expects, and change the sender or the source's signature. A proxy must pass on all headers, and the body unchanged."
        : `${provider.title} does not send requests like this. Either it was changed on the way (a proxy must pass on all headers, and the body unchanged), or somebody else sent it.`),
  };
}
