import { formatInWords } from "../doctor/secrets.ts";
import type { Provider, PublicKeyScheme, Scheme } from "../providers/provider.ts";
import { isList, type Selector } from "../providers/body/selector.ts";
import { coversUrl } from "../providers/verifier.ts";

/** What there is to know of a provider, in lines of `name: text`. */
export function describeProvider(provider: Provider): [name: string, text: string][] {
  const { scheme, handshakes = [], answer, timeoutMs, retryWindowMs, retries } = provider;
  const lines: [string, string | undefined][] = [
    ["signature", describeScheme(scheme)],
    ["secret", scheme.kind === "unsigned" ? "none" : (provider.secretIs ?? "the webhook's secret")],
    ["key", describeKey(scheme)],
    ["tolerance", describeTolerance(scheme)],
    ["needs", coversUrl(scheme) ? "public_url: the URL is signed as the provider knows it" : undefined],
    ["event id", describeTrust(provider)],
    ["type", describeSelector(provider.type)],
    ["batch", provider.batch?.join(", ")],
    [
      "largest body",
      provider.maxBody === undefined ? "1 MiB (max_body)" : `${provider.maxBody / 1024 ** 2} MiB`,
    ],
    ["waits", duration(timeoutMs)],
    ["retries", `${retries ?? "not known"} (counted as ${duration(retryWindowMs)})`],
    ["handshakes", handshakes.length === 0 ? undefined : handshakes.map(({ name }) => name).join(", ")],
    ["answer", answer === undefined ? undefined : `${answer.status} ${answer.body ?? "without a body"}`],
    ["beware", provider.caution],
    ["unsure", provider.unverified],
    ["documentation", provider.docs],
  ];
  return lines.filter((line): line is [string, string] => line[1] !== undefined);
}

/** What is made of the secret: under one and the same prefix providers do it in two ways. */
function describeKey(scheme: Scheme): string | undefined {
  switch (scheme.kind) {
    case "hmac":
      return formatInWords(scheme.key);
    case "public-key":
      return PUBLIC_KEYS[scheme.key];
    case "adyen":
      return formatInWords("hex");
    case "twilio":
    case "mailgun":
    case "contentful":
    case "netlify":
      return formatInWords("text");
    case "static":
    case "unsigned":
    case "plaid":
    case "sns":
    case "paypal":
      return undefined;
  }
}

const PUBLIC_KEYS: Readonly<Record<PublicKeyScheme["key"], string>> = {
  "raw-hex": "the 32 bytes that the secret says in 64 hex digits",
  whpk: "the 32 bytes that the secret says in base64 after whpk_",
  spki: "the public key that the secret says in base64, or as PEM",
};

function describeTolerance(scheme: Scheme): string | undefined {
  if (scheme.kind === "unsigned") return undefined;
  if ("tolerance" in scheme) return inSeconds(scheme.tolerance);
  if (scheme.kind === "sns" || scheme.kind === "paypal") return "none: its age is not looked at";
  if ((scheme.kind !== "hmac" && scheme.kind !== "public-key") || scheme.timestamp === undefined)
    return "none: no time is signed";
  const { tolerance } = scheme.timestamp;
  return tolerance === undefined ? "none: any age is taken, until you set one" : inSeconds(tolerance);
}

function inSeconds(tolerance: number): string {
  return `${tolerance} s either way`;
}

function describeTrust({ eventId, eventIdSigned }: Provider): string {
  const id = describeId(eventId);
  if (eventId === "new:delivery") return id;
  return `${id}; ${eventIdSigned ? "covered by the signature" : "not covered by the signature"}`;
}

/** In a few words, for a table. */
export function describeScheme(scheme: Scheme): string {
  switch (scheme.kind) {
    case "hmac":
      return `${scheme.signature.header || "a header"}: HMAC-${scheme.algorithm.toUpperCase()} over ${scheme.signed}`;
    case "public-key":
      return `${scheme.signature.header}: ${scheme.algorithm === "ed25519" ? "Ed25519" : "ECDSA"} over ${scheme.signed}`;
    case "static":
      return scheme.secretIn === "basic"
        ? "none; basic authentication"
        : `none; the secret itself in ${scheme.secretIn}`;
    case "unsigned":
      return "none";
    case "twilio":
      return "x-twilio-signature: HMAC-SHA1 over URL and form, or URL with the body's hash";
    case "mailgun":
      return "in the body: HMAC-SHA256 over a time and a token";
    case "adyen":
      return "in each item: HMAC-SHA256 over eight of its fields";
    case "contentful":
      return "x-contentful-signature: HMAC-SHA256 over method, path, headers and body";
    case "netlify":
      return "x-webhook-signature: JWT (HS256) with the body's hash";
    case "plaid":
      return "plaid-verification: JWT (ES256) with the body's hash, its key fetched from Plaid";
    case "sns":
      return "in the body: RSA over its fields, the certificate fetched from Amazon";
    case "paypal":
      return "paypal-transmission-sig: RSA over id, time, webhook id and checksum, the certificate fetched from PayPal";
  }
}

/** Says besides where an id that is none of the provider's comes from. */
export function describeId(selector: Selector): string {
  if (selector === "new:delivery") return "never the same: each delivery is an event of its own";
  if (selector === "sha256:body") return "none of the provider's: the SHA-256 of the body";
  return describeSelector(selector);
}

export function describeSelector(selector: Selector): string {
  if (typeof selector === "string") return selector;
  if ("key_beside" in selector)
    return `the first key of ${selector.of ?? "the body"}${selector.key_beside.length === 0 ? "" : ` beside ${selector.key_beside.join(", ")}`}`;
  if (isList(selector)) return selector.map(describeSelector).join(", or ");
  return selector.join.join(` ${selector.with} `);
}

function duration(ms: number): string {
  const units: [number, string][] = [
    [24 * 3600 * 1000, "days"],
    [3600 * 1000, "h"],
    [60 * 1000, "min"],
  ];
  const [size, unit] = units.find(([size]) => ms >= 2 * size && ms % size === 0) ?? [1000, "s"];
  return `${ms / size} ${unit}`;
}
