import { isLoopbackHost } from "../config/address.ts";
import type { ConfiguredDestination } from "../config/destinations.ts";
import { CONFIG_FILE, type ReadConfig } from "../config/load.ts";
import type { Environment } from "../config/secrets.ts";
import type { Rehearsed } from "../engines/store.ts";
import { HookonceError, messageOf, type Problem } from "../errors.ts";
import { refusedAddress } from "../outbox/addresses.ts";
import { checkCommand } from "../outbox/check-command.ts";
import { compileUrlTemplate } from "../outbox/url-template.ts";
import { isExample, PLACEHOLDER, STILL_AN_EXAMPLE } from "./check-warnings.ts";

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
  const { environment } = place;
  const problems: Problem[] = [];
  const warnings: Problem[] = [];
  for (const destination of read.destinations) {
    if (destination.kind === "command") continue;
    warnings.push(...placeholdersIn(destination));
    try {
      const { example } = compileUrlTemplate(destination.url);
      warnings.push(...addressWarnings(destination, example, read, place));
    } catch (error) {
      if (!(error instanceof HookonceError)) throw error;
      problems.push(problemOf(destination, "url", messageOf(error)));
    }
  }
  problems.push(...whereProblems(read, place));
  const failing = environment === null ? [] : commandProblems(read, { ...place, environment });
  return { problems, failing, warnings };
}

type UrlDestination = Extract<ConfiguredDestination, { kind: "url" }>;

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

function commandProblems(
  { destinations }: Pick<ReadConfig, "destinations">,
  { inboxFolder, environment }: { readonly inboxFolder: string; readonly environment: Environment },
): Problem[] {
  return destinations.flatMap((destination) => {
    if (destination.kind === "url") return [];
    const what = checkCommand(destination.command, { inboxFolder, path: environment["PATH"] });
    return what === undefined ? [] : [problemOf(destination, "command", what)];
  });
}

/** Never shows a secret. */
function placeholdersIn(destination: UrlDestination): Problem[] {
  const { url, secret = "", headers } = destination;
  const found = [
    ...(isExample(url) ? ["url"] : []),
    ...(PLACEHOLDER.test(secret) ? ["secret"] : []),
    ...(Object.values(headers).some((value) => PLACEHOLDER.test(value)) ? ["headers"] : []),
  ];
  return found.map((key) => problemOf(destination, key, STILL_AN_EXAMPLE));
}

function addressWarnings(
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
