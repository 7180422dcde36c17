import { nearest } from "./nearest.ts";
import { tableOf } from "./schema.ts";
import type { Table } from "./source-checks.ts";

/** A problem with a key of a table. */
export interface KeyProblem {
  readonly keys: readonly PropertyKey[];
  readonly text: string;
}

/** Returns what is wrong with a destination because of keys that do not belong together. */
export function contradictionsOf(name: string, table: Table): KeyProblem[] {
  const has = (key: string): boolean => Object.hasOwn(table, key);
  const found: KeyProblem[] = [];
  const refuse = (key: string, text: string): void => void found.push({ keys: [key], text });
  if (!has("url") && !has("command")) {
    const text =
      'has neither url nor command: write where its messages go, as in url = "http://127.0.0.1:3000/webhooks" or command = ["./deploy.sh"]';
    return [{ keys: [], text }];
  }
  if (has("url") && has("command"))
    refuse(
      "command",
      `this destination has a url, too: keep one, and make another destination for the other`,
    );
  if (has("command") && !has("url")) {
    for (const key of ["sign", "secret", "headers"].filter(has))
      refuse(key, "is only for a destination with a url: remove it, because a command gets no request");
  }
  if (has("url") && !has("command") && has("on_stop"))
    refuse("on_stop", "is only for a destination with a command: remove it");
  if (has("url") && !has("command")) {
    const isSigned = table["sign"] === "standard-webhooks";
    if (has("secret") && !isSigned)
      refuse("secret", 'nothing is signed with it: write sign = "standard-webhooks", or remove secret');
    if (!has("secret") && isSigned) {
      const env = variable(name, "SECRET");
      found.push({
        keys: ["secret"],
        text: `is missing: write secret = "env:${env}" and put ${env}=whsec_… into .env`,
      });
    }
  }
  return [...found, ...headerProblems(name, tableOf(table["headers"]))];
}

/**
 * The most messages to URLs that are under way at a time, of all destinations together. Bun makes at most 256
 * requests at a time, and one that hangs holds its place: without this limit, one destination could stop the
 * others, and the requests for a provider's keys.
 */
const MAX_REQUESTS = 200;

/** Whether the destinations with a URL may send more messages at a time than the process can. */
export function sumProblem(
  destinations: readonly { readonly name: string; readonly kind: string; readonly concurrency: number }[],
): string | undefined {
  const urls = destinations.filter(({ kind }) => kind === "url");
  const sum = urls.reduce((total, { concurrency }) => total + concurrency, 0);
  if (sum <= MAX_REQUESTS) return undefined;
  const each = urls.map(({ name, concurrency }) => `${name} ${concurrency}`).join(", ");
  return `the destinations with a url send up to ${sum} messages at a time (${each}), but hookonce can send ${MAX_REQUESTS}: lower their concurrency`;
}

/** A name for `.env`. */
const variable = (destination: string, what: string): string =>
  `${destination}_${what}`.toUpperCase().replaceAll(/\W/g, "_");

/** hookonce or the runtime sets these itself. */
const OWN_HEADERS =
  /^(?:connection|content-length|expect|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade|hookonce-.*)$/;
/** Names of headers whose value is a secret. */
const SECRET_NAME =
  /^(?:cookie|.*(?:authorization|authentication|secret|token|password|passwd|credential|signature|api-?key|access-?key|auth-?key).*|x-auth|x-key)$/;
/** How secrets of well-known services begin, or text that nobody would type by hand. */
const SECRET_VALUE =
  /^(?:(?:bearer|basic|token|apikey|key) \S|(?:whsec|sk|pk|rk|ghp|gho|ghs|github_pat|glpat|xox[a-z]|shp[a-z]{2}|SG|AKIA|eyJ)[-_.A-Z\d]|-----BEGIN )/i;
const RANDOM = /^(?=.*\d)(?=.*[A-Za-z])[\w+/=-]{32,}$/;
const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i;

function headerProblems(destination: string, headers: Table): KeyProblem[] {
  const seen = new Set<string>();
  return Object.entries(headers).flatMap(([written, value]) => {
    const name = written.toLowerCase();
    const keys = ["headers", written];
    const isRepeated = seen.has(name);
    seen.add(name);
    if (isRepeated) return [{ keys, text: "is there twice, because case does not matter: remove one" }];
    if (OWN_HEADERS.test(name)) return [{ keys, text: "is a header that hookonce sets itself: remove it" }];
    if (typeof value !== "string" || /^(?:env|file):./.test(value)) return [];
    const isSecret =
      SECRET_NAME.test(name) || SECRET_VALUE.test(value) || (RANDOM.test(value) && !UUID.test(value));
    if (!isSecret) return [];
    const env = variable(destination, name);
    const text = `the config must not contain a secret: write ${written} = "env:${env}" and put ${env}=… into .env, or write "file:path"`;
    return [{ keys, text }];
  });
}

/**
 * Returns what is wrong with `forward` of a source because of the destinations that there are, or because of
 * its other elements.
 *
 * @param forward as it is written
 * @param destinations by name, whatever is wrong with them
 */
export function forwardProblems(forward: unknown, destinations: ReadonlyMap<string, unknown>): KeyProblem[] {
  if (!Array.isArray(forward)) return [];
  const found: KeyProblem[] = [];
  const elements = forward.map((one: unknown): Table =>
    typeof one === "string" ? { to: one } : tableOf(one),
  );
  for (const [index, element] of elements.entries()) {
    const { to, types, where } = element;
    if (typeof to !== "string") continue;
    if (!destinations.has(to)) {
      const remedy = `add it, as in [destinations.${to}] with url = "http://…" or command = ["./…"]`;
      const known = [...destinations.keys()];
      const text = `there is no destination "${to}"; ${known.length === 0 ? remedy : nearest(to, known, remedy)}`;
      found.push({ keys: [index], text });
    }
    const others = elements.slice(0, index).filter((one) => one["to"] === to);
    const isSame = others.some((one) => Bun.deepEquals([one["types"], one["where"]], [types, where]));
    const takesAll = [element, ...others].some(
      (one) => one["types"] === undefined && one["where"] === undefined,
    );
    if (isSame) found.push({ keys: [index], text: `"${to}" is there twice: remove one` });
    else if (others.length > 0 && takesAll)
      found.push({
        keys: [index],
        text: `"${to}" is there twice, and once without types and where, so it gets every event: remove one`,
      });
  }
  return found;
}

/**
 * Why alerts cannot go to a destination. Undefined if they can.
 *
 * @param destinations by name, as they are written
 */
export function alertsProblem(
  to: string,
  destinations: Readonly<Record<string, unknown>>,
): string | undefined {
  if (!Object.hasOwn(destinations, to)) {
    const known = Object.keys(destinations);
    const remedy = `add it, as in [destinations.${to}] with url = "https://…" or command = ["./…"]`;
    return `there is no destination "${to}"; ${known.length === 0 ? remedy : nearest(to, known, remedy)}`;
  }
  const { url, sign = "provider" } = tableOf(destinations[to]);
  if (url === undefined || sign !== "provider") return undefined;
  return `the messages to "${to}" are signed as their provider signs, and an alert has no provider: write sign = "standard-webhooks" or sign = "none" in [destinations.${to}], or name another destination`;
}
