import type { Delivery } from "../../event.ts";
import { HookonceError } from "../../errors.ts";
import type { TimestampRule } from "./age.ts";

/** Which parts of a request are signed. */
export interface Template {
  /**
   * Text with `{body}`, `{timestamp}`, `{id}`, `{method}`, `{url}` (as the provider knows it, see
   * `public_url`), `{decoded_url}` and `{header:name}`.
   */
  readonly signed: string;
  readonly timestamp?: TimestampRule;
  /** The header that `{id}` means. */
  readonly idHeader?: string;
}

const FIELDS = ["body", "timestamp", "id", "method", "url", "decoded_url"] as const;
type Field = (typeof FIELDS)[number];

/** All parts have the same shape, which is the fastest to read. */
export interface TemplatePart {
  readonly kind: Field | "text" | "header";
  /** The text, or the header's name. */
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
      const field = FIELDS.find((one) => one === name);
      if (field === undefined) {
        throw unusable(
          signed,
          `names ${piece}; it can be {body}, {timestamp}, {id}, {method}, {url}, {decoded_url} and {header:name}`,
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
  return new HookonceError("config_invalid", `signature.signed = "${signed}" ${why}.`);
}

/** Whether what is signed contains the URL, which only the provider knows. */
export function signsUrl(signed: string): boolean {
  return signed.includes("{url}") || signed.includes("{decoded_url}");
}

/** Returns the value of one part of a template in a delivery. */
export function partOf(
  part: TemplatePart,
  delivery: Delivery,
  { timestamp, id }: { readonly timestamp: string; readonly id: string },
  urlOf: (delivery: Delivery) => string,
): string | Uint8Array {
  switch (part.kind) {
    case "text":
      return part.text;
    case "header":
      return delivery.headers[part.text] ?? "";
    case "body":
      return delivery.body;
    case "timestamp":
      return timestamp;
    case "id":
      return id;
    case "method":
      return delivery.method;
    case "url":
      return urlOf(delivery);
    case "decoded_url":
      return decodeSome(urlOf(delivery));
  }
}

/**
 * HubSpot's documentation says that these escapes are decoded before signing. All others are left as they
 * are.
 */
function decodeSome(url: string): string {
  return url.replace(/%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)/gi, decodeURIComponent);
}
