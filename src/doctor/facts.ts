import { kindOf } from "../providers/schemes.ts";
import type { Fact } from "../providers/schemes/scheme.ts";
import { isMissing, signatureHeaderOf } from "./headers.ts";
import { contextOf, type Examined, type Trial } from "./trial.ts";

/** What the source expects. */
export function expectedOf({ scheme, settings, secrets }: Omit<Trial, "delivery">): Fact[] {
  const kind = kindOf(scheme);
  const facts = [...kind.expectedFacts(scheme)];
  if (kind.coversUrl(scheme)) {
    const { publicUrl } = settings;
    facts.push({
      label: "URL",
      text: publicUrl === undefined ? "public_url is not set" : withoutQuery(publicUrl),
    });
  }
  if (kind.needsSecret) facts.push({ label: "secret", text: countOf(secrets) });
  return facts;
}

function countOf({ length }: readonly string[]): string {
  if (length === 0) return "none is configured";
  return length === 1 ? "one is configured" : `${length} are configured; any may match`;
}

/** What the request carried. */
export function foundIn(examined: Examined): Fact[] {
  const { scheme, delivery } = examined;
  const kind = kindOf(scheme);
  const header = signatureHeaderOf(scheme);
  const missing = isMissing(examined);
  return [
    ...(header === undefined ? [] : [{ label: header, text: missing ? "missing" : "present" }]),
    ...(missing ? [] : kind.foundFacts(scheme, delivery, contextOf(examined))),
    ...(kind.coversUrl(scheme) ? [{ label: "requested", text: withoutQuery(delivery.url) }] : []),
    { label: "body", text: bodyInWords(examined) },
  ];
}

function bodyInWords({ delivery: { body, headers } }: Examined): string {
  const traits = [
    `${body.byteLength} ${body.byteLength === 1 ? "byte" : "bytes"}`,
    headers["content-type"] === undefined ? "no content type" : printable(headers["content-type"]),
  ];
  if (body.at(-1) === 10) traits.push("with a line break at its end");
  if (body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf) traits.push("with a byte order mark");
  return traits.join(", ");
}

/** Makes text safe for a terminal: text that others wrote must not move its cursor. */
function printable(text: string): string {
  return text.slice(0, 200).replaceAll(/[^\u0020-\u007e]/g, "?");
}

function withoutQuery(url: string): string {
  return printable(url.replace(/[?#].*$/, ""));
}
