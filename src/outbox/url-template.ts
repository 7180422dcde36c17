import { NumberLiteral } from "../providers/body/exact-numbers.ts";
import { parseJson } from "../providers/body/payload.ts";
import { compileSelector } from "../providers/body/selector.ts";
import type { OutgoingMessage } from "./sender.ts";

/** The URL of a destination, in which a message fills in `{source}` and `{body:$.path}`. */
export interface UrlTemplate {
  /** With `x` in each placeholder. A placeholder is never in the scheme, the host or the port. */
  readonly example: URL;
  /** The URL of one message, or why it has none. No later attempt changes that. */
  readonly urlFor: (message: OutgoingMessage) => { readonly url: string } | { readonly problem: string };
}

const PLACEHOLDER = /(\{[^{}]*\})/u;

/**
 * Each value becomes one percent-encoded segment, so a payload can neither climb to another folder nor add a
 * parameter.
 *
 * @param template as config/destination-url.ts has checked it
 * @throws HookonceError `config_invalid` if the path of a placeholder cannot be read
 */
export function compileUrlTemplate(template: string): UrlTemplate {
  const pieces = template.split(PLACEHOLDER);
  const readers = pieces.map((piece, index) => (index % 2 === 1 ? readerOf(piece.slice(1, -1)) : undefined));
  return {
    example: new URL(pieces.map((piece, index) => (index % 2 === 1 ? "x" : piece)).join("")),
    urlFor: (message) => {
      let url = "";
      for (const [index, piece] of pieces.entries()) {
        const read = readers[index];
        const value = read === undefined ? undefined : read(message);
        const problem = read === undefined ? undefined : problemOf(value);
        if (problem !== undefined) return { problem: `The URL needs ${piece}, but ${problem}.` };
        url += value === undefined ? piece : encodeURIComponent(value);
      }
      return { url };
    },
  };
}

function problemOf(value: string | undefined): string | undefined {
  if (value === undefined) return "the message has no such text or number";
  if (value === "") return "the value is empty";
  // A URL parser takes them for steps to another folder, even if they are percent-encoded.
  if (value === "." || value === "..") return `"${value}" cannot be a part of a URL`;
  return value.isWellFormed() ? undefined : "the value has half of a surrogate pair";
}

function readerOf(name: string): (message: OutgoingMessage) => string | undefined {
  if (name === "source") return ({ source }) => source;
  const read = compileSelector(name, "absent");
  return ({ payloadJson: json }) => {
    if (json === null) return undefined;
    const value = read({ headers: {}, payload: parseJson(json).payload, json, body: "" });
    // A NumberLiteral has the digits as the payload has them.
    const isSegment =
      typeof value === "string" || typeof value === "boolean" || value instanceof NumberLiteral;
    return isSegment ? String(value) : undefined;
  };
}
