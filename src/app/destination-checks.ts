import { isLoopbackHost } from "../config/address.ts";
import type { ConfiguredDestination } from "../config/destinations.ts";
import { CONFIG_FILE, type ConfiguredSource, type ReadConfig } from "../config/load.ts";
import type { Environment } from "../config/secrets.ts";
import type { Rehearsed } from "../engines/store.ts";
import { HookonceError, messageOf, type Problem } from "../errors.ts";
import { refusedAddress } from "../outbox/addresses.ts";
import { checkCommand } from "../outbox/check-command.ts";
import { compileUrlTemplate } from "../outbox/url-template.ts";
import { providers } from "../providers/presets.ts";
import { weaknessOf } from "../providers/schemes/weakness.ts";
import { createForwardSigner, whyNotSignedAgain } from "../providers/sign-again.ts";
import { isExample, PLACEHOLDER, STILL_AN_EXAMPLE } from "./check-warnings.ts";
import { settingsOf } from "./sources.ts";

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
export async function checkDestinations(
  read: Pick<ReadConfig, "sources" | "destinations">,
  place: Place,
): Promise<DestinationsChecked> {
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
    const { secret } = destination;
    const unusable = secret === undefined ? undefined : secretProblem(destination, secret);
    if (unusable !== undefined) problems.push(problemOf(destination, "secret", unusable));
  }
  for (const source of read.sources)
    problems.push(...(await whereProblems(source, place)), ...signProblems(source, read));
  const failing = environment === null ? [] : commandProblems(read, { ...place, environment });
  return { problems, failing, warnings };
}

type UrlDestination = Extract<ConfiguredDestination, { kind: "url" }>;

function problemOf({ name, lineOf }: ConfiguredDestination, key: string, what: string): Problem {
  return { file: CONFIG_FILE, line: lineOf(key), message: `destinations.${name}.${key}: ${what}` };
}

/** Why a secret cannot sign, or anybody could guess it. Never shows it. */
function secretProblem(destination: UrlDestination, secret: string): string | undefined {
  const remedy = "copy the receiver's secret, or choose a random one (openssl rand -base64 32)";
  const weakness = weaknessOf(secret);
  if (weakness !== undefined) return `its value ${weakness}, so anybody could guess it: ${remedy}`;
  try {
    createForwardSigner(destination, () => undefined);
    return undefined;
  } catch (error) {
    if (error instanceof HookonceError) return `its value after whsec_ is not base64: ${remedy}`;
    throw error;
  }
}

async function whereProblems(
  { name, forward = [], lineOf }: ConfiguredSource,
  { rehearsed }: Pick<Place, "rehearsed">,
): Promise<Problem[]> {
  const found = await Promise.all(
    forward.map(async ({ where }) => (where === undefined ? undefined : rehearsed?.checkWhere(where))),
  );
  return found.flatMap((what, index) => {
    if (what === undefined) return [];
    const message = `sources.${name}.forward.where: ${what.replace(/\.$/, "")}. It is an SQL expression, as in where = ":payload ->> 'ref' = 'refs/heads/main'"`;
    return [{ file: CONFIG_FILE, line: lineOf("forward", index, "where"), message }];
  });
}

/** The destinations for which the deliveries of a source would have to be signed again, and cannot be. */
function signProblems(
  source: ConfiguredSource,
  { sources, destinations }: Pick<ReadConfig, "sources" | "destinations">,
): Problem[] {
  const { forward = [] } = source;
  const preset = providers.get(source.provider);
  const what = preset === undefined ? undefined : whyNotSignedAgain(settingsOf(source, preset, sources));
  if (what === undefined) return [];
  return destinations
    .filter((one) => one.kind === "url" && one.sign === "provider")
    .filter(({ name }) => forward.some(({ to }) => to === name))
    .map((destination) => problemOf(destination, "sign", what));
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
