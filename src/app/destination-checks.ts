import { isLoopbackHost } from "../config/address.ts";
import type { ConfiguredDestination } from "../config/destinations.ts";
import { CONFIG_FILE, type ReadConfig } from "../config/load.ts";
import type { Environment } from "../config/secrets.ts";
import type { Rehearsed } from "../engines/store.ts";
import { HookonceError, messageOf, type Problem } from "../errors.ts";
import { refusedAddress } from "../outbox/addresses.ts";
import { compileUrlTemplate } from "../outbox/url-template.ts";

export interface DestinationsChecked {
  /** A start is refused for them. */
  readonly problems: readonly Problem[];
  /** Destinations whose messages all fail. They do not prevent a start. */
  readonly failing: readonly Problem[];
  readonly warnings: readonly Problem[];
}

interface Place {
  readonly inboxFolder: string;
  /** Where hookonce receives deliveries. */
  readonly listen: { readonly hostname: string; readonly port: number };
  /** Null if the database cannot be read. */
  readonly rehearsed: Pick<Rehearsed, "checkWhere"> | null;
  /** Null if nothing will be sent. */
  readonly environment: Environment | null;
}

/**
 * Checks what config/destinations.ts cannot see: the paths in URLs, where URLs lead, the commands, and what
 * sources send on.
 */
export function checkDestinations(
  read: Pick<ReadConfig, "sources" | "destinations">,
  place: Place,
): DestinationsChecked {
  const urls = read.destinations.filter((one) => one.kind === "url");
  const templates = urls.map((destination) => ({ destination, ...exampleOf(destination) }));
  return {
    problems: [...templates.flatMap(({ problems }) => problems), ...whereProblems(read, place)],
    failing: [],
    warnings: templates.flatMap(({ destination, example }) =>
      example === undefined ? [] : warningsAbout(destination, example, read, place),
    ),
  };
}

type UrlDestination = Extract<ConfiguredDestination, { kind: "url" }>;

function exampleOf(destination: UrlDestination): { example: URL | undefined; problems: Problem[] } {
  try {
    return { example: compileUrlTemplate(destination.url).example, problems: [] };
  } catch (error) {
    if (!(error instanceof HookonceError)) throw error;
    return { example: undefined, problems: [problemOf(destination, "url", messageOf(error))] };
  }
}

function problemOf({ name, lineOf }: ConfiguredDestination, key: string, what: string): Problem {
  return { file: CONFIG_FILE, line: lineOf(key), message: `destinations.${name}.${key}: ${what}` };
}

function whereProblems(
  { sources }: Pick<ReadConfig, "sources">,
  { rehearsed }: Pick<Place, "rehearsed">,
): Problem[] {
  return sources.flatMap(({ name, forward = [], lineOf }) =>
    forward.flatMap(({ where }, index) => {
      const what = where === undefined ? undefined : rehearsed?.checkWhere(where);
      if (what === undefined) return [];
      const message = `sources.${name}.forward.where: ${what}. It is an SQL expression, as in where = ":payload ->> '$.ref' = 'refs/heads/main'"`;
      return [{ file: CONFIG_FILE, line: lineOf("forward", index, "where"), message }];
    }),
  );
}

function warningsAbout(
  destination: UrlDestination,
  url: URL,
  { sources }: Pick<ReadConfig, "sources">,
  { listen }: Pick<Place, "listen">,
): Problem[] {
  const host = hostOf(url);
  const refused = /^[\d.]+$|:/.test(host) ? refusedAddress(host) : undefined;
  const found: string[] = [];
  if (refused !== undefined)
    found.push(`no message is sent to ${host}, because it is ${refused}. Write another address`);
  if (isListener(url, listen) || sources.some(({ public_url: own }) => isBelow(url, own)))
    found.push(
      "this is hookonce itself, so each message comes back as a delivery. Write the address of your application",
    );
  return found.map((what) => problemOf(destination, "url", what));
}

/** Without the brackets of IPv6. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, "");
}

const isUnspecified = (host: string): boolean => host === "0.0.0.0" || host === "::";

function isListener(url: URL, { hostname, port }: Place["listen"]): boolean {
  const host = hostOf(url);
  const urlPort = Number(url.port || (url.protocol === "https:" ? 443 : 80));
  if (urlPort !== port || url.protocol !== "http:") return false;
  const isOpen = isUnspecified(hostname) || isLoopbackHost(hostname);
  return host === hostname || (isOpen && (isLoopbackHost(host) || isUnspecified(host)));
}

/** Whether a URL is one of those that a provider delivers to. */
function isBelow(url: URL, publicUrl: string | undefined): boolean {
  const own = publicUrl === undefined ? null : URL.parse(publicUrl);
  return own !== null && own.origin === url.origin && url.pathname.startsWith("/webhook");
}
