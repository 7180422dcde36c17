import type { Delivery } from "../../event.ts";
import { HookonceError } from "../../errors.ts";
import { parameterIn } from "../body/path.ts";
import type { TimestampRule } from "./age.ts";

/** Which parts of a request are signed. */
export interface Template {
  /**
   * Text with `{body}`, `{timestamp}`, `{id}`, `{method}`, `{url}` (as the provider knows it, see
   * `public_url`), `{decoded_url}`, `{header:name}`, `{query:name}` (as it is after decoding) and `{secret}`.
   * With `{secret}` the signature is a plain hash of the text, not a keyed one.
   */
  readonly signed: string;
  readonly timestamp?: TimestampRule;
  /** The header that `{id}` means. */
  readonly idHeader?: string;
}

const FIELDS = ["body", "timestamp", "id", "method", "url", "decoded_url", "secret"] as const;
type Field = (typeof FIELDS)[number];

/** All parts have the same shape, which is the fastest to read. */
export interface TemplatePart {
  readonly kind: Field | "text" | "header" | "query";
  /** The text, or the name of the header or the parameter. */
  readonly text: string;
}

/** @throws HookonceError `config_invalid` */
export function compileTemplate({ signed, timestamp, idHeader }: Template): TemplatePart[] {
  return signed
    .split(/(\{[^}]*\})/)
    .filter((piece) => piece !== "")
    .map((piece) => {
      if (!piece.startsWith("{")) return { kind: "text", text: piece };
      const name = piece.slice(1, -1);
      if (name.startsWith("header:"))
        return { kind: "header", text: name.slice("header:".length).toLowerCase() };
      if (/^query:./.test(name)) return { kind: "query", text: name.slice("query:".length) };
      const field = FIELDS.find((one) => one === name);
      if (field === undefined) {
        throw unusable(
          signed,
          `names ${piece}; it can be {body}, {timestamp}, {id}, {method}, {url}, {decoded_url}, {header:name}, {query:name} and {secret}`,
        );
      }
      if (field === "timestamp" && (timestamp === undefined || "body" in timestamp.from)) {
        throw unusable(signed, 'names {timestamp}: write timestamp = "header:name" in signature');
      }
      if (field === "id" && idHeader === undefined) {
        throw unusable(signed, 'names {id}: write id = "header:name" in signature');
      }
      return { kind: field, text: "" };
    });
}

function unusable(signed: string, why: string): HookonceError {
  return new HookonceError("config_invalid", `signature.signed = "${signed}" ${why}.`, {
    key: "signature.signed",
  });
}

/** Whether the signature is a plain hash of a text that contains the secret. */
export function signsSecret(signed: string): boolean {
  return signed.includes("{secret}");
}

/** Whether what is signed contains the URL, which only the provider knows. */
export function signsUrl(signed: string): boolean {
  return signed.includes("{url}") || signed.includes("{decoded_url}");
}

/** The parameters of the query that are signed. */
export function signedParameters(signed: string): string[] {
  return Array.from(signed.matchAll(/\{query:([^}]+)\}/g), ([, name = ""]) => name);
}

/** What the parts of a template stand for, beside what the delivery itself holds. */
export interface SignedValues {
  readonly timestamp: string;
  readonly id: string;
  /** The key, for a plain hash. */
  readonly secret?: Uint8Array;
}

/**
 * Returns the value of one part of a template in a delivery.
 *
 * @throws HookonceError `signature_malformed`
 */
export function partOf(
  part: TemplatePart,
  delivery: Delivery,
  { timestamp, id, secret = NOTHING }: SignedValues,
  urlOf: (delivery: Delivery) => string,
): string | Uint8Array {
  switch (part.kind) {
    case "text":
      return part.text;
    case "header":
      return delivery.headers[part.text] ?? "";
    case "query":
      return signedParameter(delivery.url, part.text);
    case "body":
      return delivery.body;
    case "timestamp":
      return timestamp;
    case "id":
      return id;
    case "secret":
      return secret;
    case "method":
      return delivery.method;
    case "url":
      return urlOf(delivery);
    case "decoded_url":
      return decodeSome(urlOf(delivery));
  }
}

const NOTHING = new Uint8Array();

/** @throws HookonceError `signature_malformed` */
export function signedParameter(url: string, name: string): string {
  const value = parameterIn(url, name);
  if (value !== undefined) return value;
  throw new HookonceError(
    "signature_malformed",
    `The query parameter ${name} is missing, and the signature covers it.`,
  );
}

/**
 * HubSpot's documentation says that these escapes are decoded before signing. All others are left as they
 * are.
 */
function decodeSome(url: string): string {
  return url.replace(/%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)/gi, decodeURIComponent);
}
