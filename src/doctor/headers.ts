import { closest, distance } from "fastest-levenshtein";
import type { Scheme } from "../providers/provider.ts";
import type { Finding } from "./diagnosis.ts";
import type { Hypothesis } from "./hypothesis.ts";
import type { Examined } from "./trial.ts";

/** Where schemes of their own keep their signature. */
const OWN_HEADERS: Partial<Record<Scheme["kind"], string>> = {
  twilio: "x-twilio-signature",
  contentful: "x-contentful-signature",
  netlify: "x-webhook-signature",
  plaid: "plaid-verification",
  paypal: "paypal-transmission-sig",
};

/** Where a scheme's signature stands, in lower case; undefined where it is in the body. */
export function signatureHeaderOf(scheme: Scheme): string | undefined {
  if (scheme.kind === "hmac" || scheme.kind === "public-key") return scheme.signature.header;
  if (scheme.kind !== "static") return OWN_HEADERS[scheme.kind];
  if (scheme.secretIn === "basic") return "authorization";
  return scheme.secretIn.startsWith("header:")
    ? scheme.secretIn.slice("header:".length).toLowerCase()
    : undefined;
}

/** The header that the source's signature stands in is not there. */
export function isMissing({ scheme, delivery }: Examined): boolean {
  const header = signatureHeaderOf(scheme);
  if (header === undefined) return false;
  const start = header.replace(/\*$/, "");
  const there = Object.keys(delivery.headers).filter((name) =>
    header === start ? name === header : name.startsWith(start),
  );
  return there.every((name) => delivery.headers[name] === "");
}

const TELLING = /signature|hmac|hash|digest|token|webhook|sign\b/;
const PART_OF_ALL = new Set(["x", "webhook", "hook", "http", "signature"]);

/** Headers of the request that could be meant, the nearest first. */
export function nearHeaders({ delivery }: Pick<Examined, "delivery">, wanted: string): string[] {
  const own = wordsOf(wanted);
  const score = (name: string): number => {
    const shared = wordsOf(name).filter((word) => own.includes(word) && !PART_OF_ALL.has(word)).length;
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

/** The signature in a header of another name, or under another prefix. */
export function* elsewhere(examined: Examined): Generator<Hypothesis> {
  const { scheme, delivery } = examined;
  if (scheme.kind !== "hmac" && scheme.kind !== "public-key") return;
  const { header, prefix } = scheme.signature;
  for (const near of nearHeaders(examined, header)) {
    const value = delivery.headers[near] ?? "";
    for (const given of new Set([value, `${prefix ?? ""}${value}`])) {
      yield {
        change: { delivery: { ...delivery, headers: { ...delivery.headers, [header]: given } } },
        cause: "signature_elsewhere",
        what: `The signature stands in the header ${near}, and is looked for in ${header}.`,
        remedy: `Something on the way has renamed the header: let it pass on ${header}.${scheme.kind === "hmac" ? ` If the sender calls it so, set header = "${near}" for this source.` : ""}`,
      };
    }
  }
}

/** What to say of a signature that is not where it should be. */
export function nearHeaderFinding(examined: Examined): Finding | undefined {
  const wanted = signatureHeaderOf(examined.scheme);
  if (wanted === undefined || !isMissing(examined)) return undefined;
  const near = nearHeaders(examined, wanted);
  const [nearest] = near;
  if (nearest === undefined) {
    return {
      cause: "near_header",
      proven: true,
      what: `The header ${wanted} is missing, and none is there that is like it.`,
      remedy:
        "The provider signs only once a secret is set for the webhook in its dashboard; or a proxy has dropped the header.",
    };
  }
  return {
    cause: "near_header",
    proven: true,
    what: `The header ${wanted} is missing; there ${near.length === 1 ? "is" : "are"} ${near.join(", ")}.${sha1Hint(wanted, near)}`,
    remedy: `Is ${closest(wanted, near)} what is meant? A proxy that renames or drops headers must pass on ${wanted}; and the provider signs only once a secret is set for the webhook.`,
  };
}

function sha1Hint(wanted: string, near: readonly string[]): string {
  return wanted === "x-hub-signature-256" && near.includes("x-hub-signature")
    ? " x-hub-signature is the older signature, with SHA-1: not accepted here."
    : "";
}
