import { literal } from "./literal.ts";

/** Scheme, then user, host and port, then path, query and fragment. */
const PARTS = /^(?<scheme>[^/?#]*):\/\/(?<authority>[^/?#]*)(?<rest>.*)$/s;
const PLACEHOLDER = /\{([^{}]*)\}/g;

/**
 * Why a value cannot be the URL of a destination, and what to write instead; undefined if it can. The path and
 * the query may contain `{source}` and `{body:…}`.
 */
export function urlProblem(url: unknown): string | undefined {
  const found = typeof url === "string" ? PARTS.exec(url)?.groups : undefined;
  const { scheme = "", authority = "", rest = "" } = found ?? {};
  if (authority.includes("@"))
    return 'must not contain a user name or a password: remove it, write headers = { authorization = "env:NAME" }, and put NAME=Basic … into .env';
  if (/[{}]/.test(scheme + authority))
    return `${literal(url)} has braces in its scheme, host or port: write {source} and {body:$.path} only in the path and the query`;
  if (!/^https?$/i.test(scheme))
    return `${literal(url)} is not a URL that begins with http:// or https://: write it whole, as in url = "http://127.0.0.1:3000/webhooks"`;
  const unknown = [...rest.matchAll(PLACEHOLDER)].find(([, name = ""]) => !isPlaceholder(name));
  if (unknown !== undefined)
    return `${literal(url)} has ${unknown[0]} in it: write {source} or {body:$.path}, or %7B and %7D for braces`;
  const filled = rest.replaceAll(PLACEHOLDER, "x");
  if (/[{}]/.test(filled))
    return `${literal(url)} has a brace that is not closed: write {source} or {body:$.path}, or %7B and %7D for braces`;
  // A parser would take the first part of the path for a missing host.
  if (authority === "" || !URL.canParse(`${scheme}://${authority}${filled}`))
    return `${literal(url)} is not a URL: correct its host or port, as in url = "http://127.0.0.1:3000/webhooks"`;
  return undefined;
}

/** app/destination-checks.ts checks the paths with the grammar that compiles them. */
function isPlaceholder(name: string): boolean {
  return name === "source" || /^body:./.test(name);
}
