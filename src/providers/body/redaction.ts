import type { Delivery, Headers } from "../../event.ts";
import { HookonceError } from "../../errors.ts";
import { formEntries, isFormText } from "./form.ts";
import { isMultipart, partsOf, writeMultipart } from "./multipart.ts";
import { decompress, parseJson, readText, withoutMark } from "./payload.ts";
import type { Provider } from "../provider.ts";
import { kindOf, type Scheme } from "../schemes.ts";
import { exactJson, NumberLiteral, parseWithExactNumbers } from "./exact-numbers.ts";

const REDACTED = "[redacted]";

/** Redacted in every source. */
const SECRET_HEADERS = ["authorization", "proxy-authorization", "cookie"];

/**
 * Replaces secrets in headers before they are stored: the whole value of headers that hold secrets and, if
 * the provider sends the secret itself, the secret wherever else it is.
 *
 * @param forDoctor leaves what the doctor needs of a signature, and nobody else can use. It is not stored
 */
export function createHeaderRedaction(
  provider: Provider,
  scheme: Scheme,
  secrets: readonly string[],
  forDoctor = false,
): (headers: Headers) => Headers {
  const kind = kindOf(scheme);
  const isSent = kind.proof === "secret-sent";
  const { redactSignature } = kind;
  const header = isSent || redactSignature !== undefined ? kind.signatureHeader(scheme)?.header : undefined;
  const names = [
    ...new Set([
      ...SECRET_HEADERS,
      ...(provider.secretHeaders ?? []),
      ...(header === undefined ? [] : [header]),
    ]),
  ];
  const redactOne = (name: string, value = ""): string =>
    (forDoctor && name === header ? redactSignature?.(value) : undefined) ?? REDACTED;
  const redact = (headers: Headers): Headers => {
    const secret = names.filter((name) => Object.hasOwn(headers, name));
    if (secret.length === 0) return headers;
    return {
      ...headers,
      ...Object.fromEntries(secret.map((name) => [name, redactOne(name, headers[name])])),
    };
  };
  if (!isSent) return redact;
  // Proxies repeat the URL in headers such as X-Original-URI and Referer.
  const redactUrl = createUrlRedaction(scheme, secrets);
  return (headers) =>
    Object.fromEntries(Object.entries(redact(headers)).map(([name, value]) => [name, redactUrl(value)]));
}

/**
 * Replaces secrets in a URL, or in text that contains URLs. Whatever is in the place of the secret is
 * replaced, because a wrong secret may be another source's, and because a secret has many spellings in a URL.
 */
export function createUrlRedaction(scheme: Scheme, secrets: readonly string[]): (text: string) => string {
  const kind = kindOf(scheme);
  if (kind.proof !== "secret-sent") return (text) => text;
  const redactText = createTextRedaction(secrets);
  const parameter = kind.signatureParameter(scheme);
  if (parameter === undefined) return redactText;
  return (text) =>
    redactText(
      text.replaceAll(/(?<=[?&])([^?&=#\s]*)=([^&#\s]*)/gu, (pair, name: string) =>
        new URLSearchParams(name).has(parameter) ? `${name}=${REDACTED}` : pair,
      ),
    );
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
  const redactLatin1 = createTextRedaction(secrets.map((secret) => Buffer.from(secret).toString("latin1")));

  /** Returns the bytes themselves if they do not contain a secret. */
  const redactBytes = (bytes: Uint8Array): Uint8Array => {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
    const redacted = redactLatin1(text);
    return redacted === text ? bytes : Buffer.from(redacted, "latin1");
  };
  const redactValue = (value: unknown): unknown => {
    if (typeof value === "string") return redactText(value);
    if (value instanceof NumberLiteral) return secrets.includes(value.digits) ? REDACTED : value;
    if (Array.isArray(value)) return value.map(redactValue);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [redactText(key), redactValue(one)]));
  };
  const redactJson = (text: string): string => {
    const { json } = parseJson(withoutMark(text));
    if (json === null) return redactText(text);
    const value = parseWithExactNumbers(json);
    const redacted = exactJson(redactValue(value));
    // If a key occurs twice, the value has only the last one, so the text is searched as well.
    return redacted === exactJson(value) && redactText(text) === text ? text : redacted;
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

/**
 * Finds every secret as it is, in a URL, and as basic authentication encodes it. The longest first, because
 * one may contain another.
 */
function createTextRedaction(secrets: readonly string[]): (text: string) => string {
  const spellings = secrets
    .flatMap((secret) => [secret, encodeURIComponent(secret), Buffer.from(secret).toString("base64")])
    .sort((a, b) => b.length - a.length);
  return (text) => spellings.reduce((rest, spelling) => rest.replaceAll(spelling, REDACTED), text);
}
