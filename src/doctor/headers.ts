import { closest, distance } from "fastest-levenshtein";
import type { HookonceError } from "../errors.ts";
import { isOnlyScheme, signerOf } from "../providers/provider.ts";
import { kindOf, type Scheme } from "../providers/schemes.ts";
import type { Finding } from "./diagnosis.ts";
import type { Hypothesis } from "./hypothesis.ts";
import type { Examined } from "./trial.ts";

/** The header that holds the signature, in lower case; undefined if the signature is in the body. */
export function signatureHeaderOf(scheme: Scheme): string | undefined {
  return kindOf(scheme).signatureHeader(scheme)?.header;
}

/** Whether the header that should hold the signature is missing. */
export function isMissing({ scheme, delivery }: Examined): boolean {
  const header = signatureHeaderOf(scheme);
  if (header === undefined) return false;
  const start = header.replace(/\*$/, "");
  const present = Object.keys(delivery.headers).filter((name) =>
    header === start ? name === header : name.startsWith(start),
  );
  return present.every((name) => delivery.headers[name] === "");
}

const TELLING = /signature|hmac|hash|digest|token|webhook|sign\b/;
const COMMON_WORDS = new Set(["x", "webhook", "hook", "http", "signature"]);

/** Headers of the request that could be the one that is wanted, the nearest first. */
export function nearHeaders({ delivery }: Pick<Examined, "delivery">, wanted: string): string[] {
  const own = wordsOf(wanted);
  const score = (name: string): number => {
    const shared = wordsOf(name).filter((word) => own.includes(word) && !COMMON_WORDS.has(word)).length;
    return shared * 3 + (TELLING.test(name) ? 2 : 0) - distance(name, wanted) / wanted.length;
  };
  return Object.keys(delivery.headers)
    .filter((name) => name !== wanted && !/^(?:authorization|cookie|proxy-authorization)$/.test(name))
    .filter(
      (name) => TELLING.test(name) || distance(name, wanted) <= 2 || name.replaceAll("_", "-") === wanted,
    )
    .filter((name) => score(name) > 0)
    .sort((a, b) => score(b) - score(a))
    .slice(0, 4);
}

function wordsOf(name: string): string[] {
  return name.split(/[-_]/);
}

/** The signature is in a header of another name, perhaps without its prefix. */
export function* elsewhere(examined: Examined): Generator<Hypothesis> {
  const { scheme, delivery } = examined;
  const kind = kindOf(scheme);
  const wanted = kind.signatureHeader(scheme);
  if (wanted === undefined || kind.proof === "secret-sent") return;
  const { header, prefix } = wanted;
  const configurable = kind.configKeys.includes("signature.header")
    ? ` If that is its name, set signature.header = "NAME" for this source.`
    : "";
  for (const near of nearHeaders(examined, header)) {
    const value = delivery.headers[near] ?? "";
    for (const given of new Set([value, `${prefix ?? ""}${value}`])) {
      yield {
        change: { delivery: { ...delivery, headers: { ...delivery.headers, [header]: given } } },
        cause: "signature_elsewhere",
        what: `The signature is in the header ${near}, but this source expects it in ${header}.`,
        remedy: `Something on the way has renamed the header ${header}: make it keep the name.${configurable.replace("NAME", near)}`,
      };
    }
  }
}

/** What to say if the signature is not where it should be. */
export function nearHeaderFinding(examined: Examined): Finding | undefined {
  const wanted = signatureHeaderOf(examined.scheme);
  if (wanted === undefined || !isMissing(examined)) return undefined;
  const near = nearHeaders(examined, wanted);
  const kind = kindOf(examined.scheme);
  const configurable = kind.configKeys.includes("signature.header");
  const [nearest] = near;
  if (nearest === undefined) {
    const sender = isOnlyScheme(examined.provider)
      ? `${signerOf(examined.provider)} writes no such header`
      : "no secret is set for the webhook in the provider's dashboard: without one it does not sign";
    const elsewhere =
      configurable && isOnlyScheme(examined.provider)
        ? " If the header has another name, set signature.header for this source."
        : "";
    return {
      cause: "near_header",
      proven: true,
      what: `The header ${wanted} is missing, and no other header resembles it.`,
      remedy: `Either a proxy has dropped the header, or ${sender}.${elsewhere}`,
    };
  }
  const meant = closest(wanted, near);
  const rename = configurable ? ` If so, set signature.header = "${meant}" for this source.` : "";
  const needsSecret = kind.needsSecret && !isOnlyScheme(examined.provider);
  return {
    cause: "near_header",
    proven: true,
    what: `The header ${wanted} is missing; the request has ${near.join(", ")}.${sha1Hint(wanted, near)}`,
    remedy: `Is ${meant} the right one?${isOnlyScheme(examined.provider) ? rename : ""} A proxy that renames or drops headers must pass on ${wanted}.${needsSecret ? " The provider signs only if a secret is set for the webhook." : ""}`,
  };
}

/** What to say if the parameter of the URL that should hold the secret is missing. */
export function nearParameterFinding(
  { scheme, delivery: { url }, provider }: Examined,
  { code }: HookonceError,
): Finding | undefined {
  const wanted = kindOf(scheme).signatureParameter(scheme);
  if (wanted === undefined || code !== "signature_missing") return undefined;
  const names = parametersOf(url);
  // No other name is shown, because a secret may have been entered without a name.
  const near = names.find((name) => name !== wanted && isNear(name.toLowerCase(), wanted.toLowerCase()));
  const what =
    near !== undefined
      ? `The URL has the parameter ${near}, but this source expects the secret in ${wanted}.`
      : names.includes(wanted)
        ? `The parameter ${wanted} of the URL is empty, so the secret is missing.`
        : names.length === 0
          ? `The URL has no query, so the secret is missing: this source expects it in the parameter ${wanted}.`
          : `The URL has a query, but not the parameter ${wanted}, in which this source expects the secret.`;
  return {
    cause: "near_parameter",
    proven: true,
    what,
    remedy: `At ${signerOf(provider)}, enter the URL with ?${wanted}= and the secret at its end.${names.length === 0 ? " If it is entered like that, a proxy has removed the query." : ""}`,
  };
}

/** Of a short name, two characters are most of it: `my` is not `key`. */
function isNear(name: string, wanted: string): boolean {
  return distance(name, wanted) <= Math.min(2, Math.floor(wanted.length / 3));
}

function parametersOf(url: string): string[] {
  return [...new URLSearchParams(/\?([^#]*)/.exec(url)?.[1]).keys()];
}

function sha1Hint(wanted: string, near: readonly string[]): string {
  return wanted === "x-hub-signature-256" && near.includes("x-hub-signature")
    ? " x-hub-signature is the older signature, made with SHA-1, which is not accepted here."
    : "";
}

/** The right signature, written differently. */
export function* otherForms({ scheme, delivery }: Examined): Generator<Hypothesis> {
  for (const guess of kindOf(scheme).otherForms(scheme, delivery))
    yield { ...guess, cause: "signature_written_otherwise" };
}
