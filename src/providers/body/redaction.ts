import type { Delivery, Headers } from "../../event.ts";
import { HookonceError } from "../../errors.ts";
import { formEntries, isFormText } from "./form.ts";
import { isMultipart, partsOf, writeMultipart } from "./multipart.ts";
import { decompress, parseJson, readText, withoutMark } from "./payload.ts";
import { headersWithSecrets } from "../presets.ts";
import type { Provider } from "../provider.ts";
import { kindOf, type Scheme } from "../schemes.ts";
import { createLatin1Redaction, createTextRedaction, REDACTED } from "./secret-spellings.ts";
import { endOfString, NumberLiteral, parseWithExactNumbers } from "./exact-numbers.ts";

/** Redacted in every source. */
const SECRET_HEADERS = ["authorization", "proxy-authorization", "cookie"];

/** They describe the request, and no sender puts a secret into them. */
const HARMLESS_HEADERS = new Set([
  "accept",
  "accept-encoding",
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "date",
  "host",
  "transfer-encoding",
  "user-agent",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-proto",
]);

/** The fewest characters of a key that are looked for in text. Fewer would occur by chance. */
const MIN_KEY = 8;

/** Replaces the secrets of a source in text that is shown, whether the sender uses them in this way or not. */
export function createSecretHiding(scheme: Scheme, secrets: readonly string[]): (text: string) => string {
  return createTextRedaction(
    isSecretSent(scheme) ? secrets : secrets.filter(({ length }) => length >= MIN_KEY),
  );
}

/**
 * Replaces secrets in headers before they are stored: the whole value of headers that hold secrets and, if
 * the provider sends the secret itself, the secret wherever else it is.
 */
export function createHeaderRedaction(
  provider: Provider,
  scheme: Scheme,
  secrets: readonly string[],
): (headers: Headers) => Headers {
  const redact = createValueRedaction(namesOfSecrets(provider, scheme), () => REDACTED);
  if (!isSecretSent(scheme)) return redact;
  // Proxies repeat the URL in headers such as X-Original-URI and Referer.
  const redactUrl = createUrlRedaction(scheme, secrets);
  return (headers) => mapValues(redact(headers), redactUrl);
}

/**
 * Replaces secrets in the headers of a refused delivery. They are kept only in memory, and are never stored.
 * What the doctor needs of a signature, and nobody else can use, stays. If the provider sends the secret
 * itself, a wrong one may be under any name, so only values that are known to be harmless stay.
 */
export function createRefusedHeaderRedaction(
  provider: Provider,
  scheme: Scheme,
  secrets: readonly string[],
): (headers: Headers) => Headers {
  const { redactSignature, signatureHeader } = kindOf(scheme);
  const header = signatureHeader(scheme)?.header;
  // The delivery may have been meant for a source of another provider.
  const others = [...headersWithSecrets].filter((name) => name !== header);
  const redact = createValueRedaction(
    [...new Set([...namesOfSecrets(provider, scheme), ...others])],
    (name, value) => (name === header ? redactSignature?.(value) : undefined) ?? REDACTED,
  );
  const hide = createSecretHiding(scheme, secrets);
  const isSent = isSecretSent(scheme);
  return (headers) =>
    mapValues(redact(headers), (value, name) =>
      // The doctor tells an empty header from a missing one.
      isSent && value !== "" && !HARMLESS_HEADERS.has(name) ? REDACTED : hide(value),
    );
}

function isSecretSent(scheme: Scheme): boolean {
  return kindOf(scheme).proof === "secret-sent";
}

/** The headers whose whole values are secrets, or nearly. */
function namesOfSecrets(provider: Provider, scheme: Scheme): string[] {
  const kind = kindOf(scheme);
  const holdsSecret = kind.proof === "secret-sent" || kind.redactSignature !== undefined;
  const header = holdsSecret ? kind.signatureHeader(scheme)?.header : undefined;
  const names = [
    ...SECRET_HEADERS,
    ...(provider.secretHeaders ?? []),
    ...(header === undefined ? [] : [header]),
  ];
  return [...new Set(names)];
}

/** Replaces the values of these headers. Headers without them are returned themselves. */
function createValueRedaction(
  names: readonly string[],
  redact: (name: string, value: string) => string,
): (headers: Headers) => Headers {
  return (headers) => {
    const secret = names.filter((name) => Object.hasOwn(headers, name));
    if (secret.length === 0) return headers;
    return {
      ...headers,
      ...Object.fromEntries(secret.map((name) => [name, redact(name, headers[name] ?? "")])),
    };
  };
}

function mapValues(headers: Headers, change: (value: string, name: string) => string): Headers {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, change(value, name)]));
}

/**
 * Replaces secrets in a URL, or in text that contains URLs. Whatever is in the place of the secret is
 * replaced, because a wrong secret may be another source's.
 */
export function createUrlRedaction(scheme: Scheme, secrets: readonly string[]): (text: string) => string {
  if (!isSecretSent(scheme)) return (text) => text;
  const redactText = createTextRedaction(secrets);
  const parameter = kindOf(scheme).signatureParameter(scheme);
  if (parameter === undefined) return redactText;
  return (text) =>
    redactText(
      text.replaceAll(/(?<=[?&])([^?&=#\s]*)=([^&#\s]*)/gu, (pair, name: string) =>
        new URLSearchParams(name).has(parameter) ? `${name}=${REDACTED}` : pair,
      ),
    );
}

/**
 * Replaces secrets in the URL of a refused delivery, which is a path and a query. If the provider sends the
 * secret itself, every value of the query is replaced: a wrong secret, or an old one, may be under a misspelt
 * name. The names stay, because they show the mistake. A parameter without a value may be a secret without a
 * name. Otherwise only the values of the parameters that hold a verify token are replaced.
 */
export function createRefusedUrlRedaction(
  scheme: Scheme,
  secrets: readonly string[],
  tokenParameters: readonly string[],
): (url: string) => string {
  const hide = createSecretHiding(scheme, secrets);
  if (!isSecretSent(scheme))
    return (url) =>
      hide(
        url.replaceAll(/(?<=[?&#])([^?&=#]*)=([^&#]*)/gu, (pair, name: string) =>
          tokenParameters.some((one) => new URLSearchParams(name).has(one)) ? `${name}=${REDACTED}` : pair,
        ),
      );
  const parameter = kindOf(scheme).signatureParameter(scheme);
  const redactPair = (pair: string): string => {
    const [, name = "", value = ""] = /^([^=]*)=(.*)$/su.exec(pair) ?? [];
    if (/[^=]/u.test(value)) return `${hide(name)}=${REDACTED}`;
    const isEmpty = value === "" && parameter !== undefined && new URLSearchParams(name).has(parameter);
    return isEmpty || pair === "" ? pair : REDACTED;
  };
  return (url) => {
    const [, path = "", mark = "", query = ""] = /^([^?#]*)(.?)(.*)$/su.exec(url) ?? [];
    if (query === "") return hide(url);
    return `${hide(path)}${mark}${query.split("&").map(redactPair).join("&")}`;
  };
}

/**
 * Replaces the secret in a body before it is stored or passed on, for providers that send the secret itself.
 * The body may contain it more than once. A body without it stays as it came, byte for byte.
 *
 * @param maxInflated in bytes
 */
export function createBodyRedaction(
  secrets: readonly string[],
  formField: string | undefined,
  maxInflated: number,
): (delivery: Delivery) => Delivery {
  const redactText = createTextRedaction(secrets);
  const redactLatin1 = createLatin1Redaction(secrets);

  /** Returns the bytes themselves if they do not contain a secret. */
  const redactBytes = (bytes: Uint8Array): Uint8Array => {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
    const redacted = redactLatin1(text);
    return redacted === text ? bytes : Buffer.from(redacted, "latin1");
  };
  const redactValue = (value: unknown): unknown => {
    if (typeof value === "string") return redactText(value);
    if (typeof value === "number" || value instanceof NumberLiteral)
      return secrets.includes(String(value)) ? REDACTED : value;
    if (Array.isArray(value)) return value.map(redactValue);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [redactText(key), redactValue(one)]));
  };
  /**
   * Whether neither the text nor any text that it writes with escapes contains a secret. This takes a tenth of
   * the time of reading the values: 33 MB of small fields kept the server busy for 11 s.
   */
  const hasNone = (json: string): boolean => {
    if (redactText(json) !== json) return false;
    let at = json.indexOf("\\");
    while (at !== -1) {
      // What comes before the first escape of a string has no quotation mark but the one that opens it.
      const start = json.lastIndexOf('"', at);
      const end = endOfString(json, start);
      const decoded = decodedString(json.slice(start, end));
      if (decoded === undefined || redactText(decoded) !== decoded) return false;
      at = json.indexOf("\\", end);
    }
    return true;
  };
  const redactJson = (text: string): string => {
    if (hasNone(text)) return text;
    const { json } = parseJson(withoutMark(text));
    if (json === null) return redactText(text);
    const value = parseWithExactNumbers(json);
    const redacted = JSON.stringify(redactValue(value));
    // If a key occurs twice, the value has only the last one, so the text is searched as well.
    return redacted === JSON.stringify(value) && redactText(text) === text ? text : redacted;
  };
  const redactForm = (text: string): string => {
    const form = entriesOf(text);
    const redacted = form.map(([name, value]): [string, string] => [
      redactText(name),
      name === formField ? redactJson(value) : redactText(value),
    ]);
    return form.every(([name, value], at) => redacted[at]?.[0] === name && redacted[at][1] === value)
      ? text
      : new URLSearchParams(redacted).toString();
  };

  /** Returns undefined if nothing has to be replaced. */
  const redactMultipart = ({ headers, body }: Delivery): Uint8Array | undefined => {
    const bytes = decompress({ headers, body }, maxInflated);
    const parts = partsOf(headers, bytes);
    const redacted = parts.map((part) => ({
      head: redactBytes(part.head),
      bytes:
        part.name === formField && part.text !== undefined
          ? Buffer.from(redactJson(part.text))
          : redactBytes(part.bytes),
    }));
    const isSame = parts.every(({ head, bytes }, at) => {
      const now = redacted[at];
      return now?.head === head && Buffer.compare(now.bytes, bytes) === 0;
    });
    // The text before the first part, and after the last one, is not written again.
    return isSame && redactBytes(bytes) === bytes ? undefined : writeMultipart(headers, redacted);
  };

  return (delivery) => {
    const { "content-encoding": _, ...headers } = delivery.headers;
    if (isMultipart(delivery.headers)) {
      try {
        const body = redactMultipart(delivery);
        return body === undefined ? delivery : { ...delivery, headers, body };
      } catch (error) {
        // It is not a multipart body, but its bytes are stored anyway.
        if (!(error instanceof HookonceError) || error.code !== "invalid_multipart") throw error;
      }
    }
    const text = readText(delivery, maxInflated);
    if (typeof text !== "string") {
      const body = redactBytes(delivery.body);
      return body === delivery.body ? delivery : { ...delivery, body };
    }
    const redacted = isFormText(delivery.headers, text) ? redactForm(text) : redactJson(text);
    if (redacted === text) return delivery;
    return { ...delivery, headers, body: Buffer.from(redacted) };
  };
}

/** @returns undefined if it is not a JSON string */
function decodedString(json: string): string | undefined {
  try {
    return JSON.parse(json) as string;
  } catch {
    return undefined;
  }
}

/**
 * The fields of a form, also of one that is not UTF-8 and therefore has no payload: its bytes are stored.
 *
 * @throws HookonceError `too_many_fields`
 */
function entriesOf(text: string): [name: string, value: string][] {
  try {
    return formEntries(text);
  } catch (error) {
    if (error instanceof HookonceError && error.code === "invalid_utf8")
      return [...new URLSearchParams(text)];
    throw error;
  }
}
