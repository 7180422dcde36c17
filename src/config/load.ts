import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { HookonceError, messageOf, type Problem } from "../errors.ts";
import { parseAddress } from "./address.ts";
import { DEFAULT_ADMIN_LISTEN } from "./admin-schema.ts";
import type { Alerts } from "./alerts-schema.ts";
import { alertsProblem } from "./destination-checks.ts";
import { readDestinations, type ConfiguredDestination } from "./destinations.ts";
import { retentionOf, type Retention } from "./retention-schema.ts";
import {
  rawSources,
  readConfigFile,
  readSource,
  tableOf,
  type ConfigFile,
  type SourceConfig,
} from "./schema.ts";
import { CONFIG_FILE, problemsInMisnamedSources, problemsOf } from "./schema-problems.ts";
import { createSecretLookup, type Environment } from "./secrets.ts";
import { checkSource, type SecretNeeds, type Table } from "./source-checks.ts";
import { readToml, TomlError, type TomlDocument } from "./toml.ts";
import { readTextFile } from "./text-file.ts";
import { readLocation } from "./database-problems.ts";
import { locationIn, writtenLocation, type DatabaseLocation } from "./location.ts";

export { CONFIG_FILE };
export { envName, type SecretNeeds } from "./source-checks.ts";

/** A source as the config has it, with its secrets looked up. */
export interface ConfiguredSource extends Omit<SourceConfig, "secret" | "verify_token"> {
  readonly name: string;
  /** Empty if they were not looked up. */
  readonly secrets: readonly string[];
  /** The references to them, in the same order, such as `env:STRIPE_SECRET`. */
  readonly secretNames: readonly string[];
  readonly verifyToken: string | undefined;
  /**
   * The line of one of its keys in hookonce.toml, for problems that are found later. If the key is missing,
   * the line of the table where it would be.
   */
  readonly lineOf: (...keys: readonly PropertyKey[]) => number | undefined;
}

export interface Config {
  readonly inboxFolder: string;
  readonly listen: Address;
  readonly admin: AdminConfig;
  readonly database: DatabaseLocation;
  readonly convertToWal: boolean;
  readonly retention: Retention;
  /** Null: nobody is told. */
  readonly alerts: Alerts | null;
  readonly sources: readonly ConfiguredSource[];
  readonly destinations: readonly ConfiguredDestination[];
  /** The NAME of each `env:NAME` in the file. */
  readonly secretVariables: readonly string[];
  /** The PATH of each `file:PATH` in the file. */
  readonly secretFiles: readonly string[];
}

interface Address {
  readonly hostname: string;
  readonly port: number;
}

/** `[admin]` */
export interface AdminConfig {
  /** Null if the page is off. */
  readonly listen: Address | null;
  /** The origin at which a proxy publishes the page. */
  readonly url: string | null;
}

/** `hookonce.toml` as far as it can be read. */
export interface ReadConfig {
  /** Null if there are problems. */
  readonly config: Config | null;
  readonly problems: readonly Problem[];
  /**
   * The sources that have no problem themselves. They can be checked further, whatever is wrong elsewhere.
   */
  readonly sources: readonly ConfiguredSource[];
  /** The destinations that have no problem themselves. */
  readonly destinations: readonly ConfiguredDestination[];
  /** Every source as it is written, whatever is wrong with it. */
  readonly written: readonly [name: string, source: Table][];
  /**
   * The line of a source's key, counted from 1. If the key is missing, the line of the table where it would
   * be.
   */
  readonly lineOf: (source: string, ...keys: readonly string[]) => number | undefined;
  /** The NAME of each `env:NAME` and the PATH of each `file:PATH` in the file. */
  readonly secretVariables: readonly string[];
  readonly secretFiles: readonly string[];
  /** The line of `database`; undefined if it has its default. */
  readonly databaseLine: number | undefined;
  /** The line of `retention.payloads`. */
  readonly retentionLine: number | undefined;
}

/**
 * Reads `hookonce.toml` and looks up the secrets that it names.
 *
 * @param providers the names that `provider` may have, and what each needs
 * @throws HookonceError `config_invalid` with every problem and its line
 */
export function loadConfig(
  inboxFolder: string,
  providers: ReadonlyMap<string, SecretNeeds>,
  environment: Environment | null,
): Config {
  const { config, problems } = readConfig(inboxFolder, providers, environment);
  if (config !== null) return config;
  throw new HookonceError("config_invalid", `${join(inboxFolder, CONFIG_FILE)} has errors.`, { problems });
}

/**
 * Reads as much of `hookonce.toml` as can be read, so that every problem is reported at once.
 *
 * @param environment null if no secret is to be looked up, because nothing will be received
 * @throws HookonceError `config_invalid` if the file does not exist or is not TOML
 */
export function readConfig(
  inboxFolder: string,
  providers: ReadonlyMap<string, SecretNeeds>,
  environment: Environment | null,
): ReadConfig {
  const document = readDocument(inboxFolder);
  const parsed = readConfigFile(document.value);
  const written = rawSources(document.value).map(([name, source]): [string, Table] => [
    name,
    tableOf(source),
  ]);
  const problems = parsed.success ? [] : parsed.error.issues.flatMap((issue) => problemsOf(issue, document));
  problems.push(...problemsInMisnamedSources(document));

  const lookUp = environment === null ? withoutLookingUp : createSecretLookup(inboxFolder, environment);
  const sources: ConfiguredSource[] = [];
  for (const [name, table] of written) {
    const checked = checkSource(name, Object.fromEntries(written), providers, lookUp);
    for (const { key, text, at } of checked.problems) {
      const line = document.lineOf(["sources", name, ...(at?.split(".") ?? [])]);
      const field = key === undefined ? "" : `.${key}`;
      problems.push({ file: CONFIG_FILE, line, message: `sources.${name}${field}${text}` });
    }
    const source = parsed.success ? parsed.data.sources[name] : readSource(table).data;
    if (source === undefined || !checked.hasSecrets) continue;
    const { secret: references, verify_token: _reference, ...rest } = source;
    const { verifyToken } = checked;
    const secrets = environment === null ? [] : checked.secrets;
    const secretNames = references === undefined ? [] : [references].flat();
    const lineOf = (...keys: readonly PropertyKey[]): number | undefined =>
      document.lineOf(["sources", name, ...keys]);
    sources.push({ ...rest, name, secrets, secretNames, verifyToken, lineOf });
  }
  const { destinations, problems: wrong } = readDestinations(document, environment === null ? null : lookUp);
  problems.push(...wrong, ...problemsWithAlerts(document));
  const database = readDatabase(inboxFolder, document);
  problems.push(...database.problems);
  const isWhole = parsed.success && problems.length === 0;
  const references = [document.value, database.references];
  const secretVariables = [...new Set(referencesIn(references, "env:"))];
  const secretFiles = [...new Set(referencesIn(references, "file:"))];
  return {
    config: isWhole
      ? { ...settingsOf(inboxFolder, parsed.data), sources, destinations, secretVariables, secretFiles }
      : null,
    problems: inOrder(problems),
    sources,
    destinations,
    written,
    lineOf: (source, ...keys) => document.lineOf(["sources", source, ...keys]),
    secretVariables,
    secretFiles,
    databaseLine: document.lineOf(["database"]),
    retentionLine: document.lineOf(["retention", "payloads"]),
  };
}

const withoutLookingUp = (): { secret: string } => ({ secret: "" });

/** What the references of a kind in a value of the file name. */
function referencesIn(value: unknown, kind: "env:" | "file:"): string[] {
  if (typeof value === "string") return value.startsWith(kind) ? [value.slice(kind.length)] : [];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap((inner) => referencesIn(inner, kind));
}

function readDatabase(inboxFolder: string, document: TomlDocument) {
  const location = writtenLocation(inboxFolder, tableOf(document.value)["database"]);
  if (location === null) return { problems: [], references: [] };
  const { problems, references } = readLocation(location);
  const placed = problems.map(({ index, message }): Problem => {
    const line = document.lineOf(["database", index]);
    return { file: CONFIG_FILE, line, message: `database: ${message}` };
  });
  return { problems: placed, references };
}

function problemsWithAlerts(document: TomlDocument): Problem[] {
  const { alerts, destinations } = tableOf(document.value);
  const { to } = tableOf(alerts);
  const message = typeof to === "string" ? alertsProblem(to, tableOf(destinations)) : undefined;
  if (message === undefined) return [];
  return [{ file: CONFIG_FILE, line: document.lineOf(["alerts", "to"]), message: `alerts.to: ${message}` }];
}

function settingsOf(
  inboxFolder: string,
  { listen, admin = {}, database, convert_to_wal: convertToWal, retention, alerts }: ConfigFile,
): Omit<Config, "sources" | "destinations" | "secretVariables" | "secretFiles"> {
  return {
    inboxFolder,
    listen: parseAddress(listen),
    admin: adminOf(admin),
    database: locationIn(inboxFolder, database),
    convertToWal,
    retention: retentionOf(retention),
    alerts: alerts ?? null,
  };
}

function adminOf({ listen = DEFAULT_ADMIN_LISTEN, url }: NonNullable<ConfigFile["admin"]>): AdminConfig {
  return {
    listen: listen === "off" ? null : parseAddress(listen),
    url: url === undefined ? null : new URL(url).origin,
  };
}

/** The refusal of a source that has errors. If only others have some, the source may need them. */
export function sourceInvalid(name: string, { problems }: Pick<ReadConfig, "problems">): HookonceError {
  const own = problems.filter(({ message }) => /^sources\.([\w-]+)[.:]/.exec(message)?.[1] === name);
  return new HookonceError("config_invalid", `The source "${name}" has errors in ${CONFIG_FILE}.`, {
    problems: own.length > 0 ? own : problems,
  });
}

/**
 * Refuses a path to a file, such as hookonce.toml itself, where an inbox folder is expected.
 *
 * @throws HookonceError `config_invalid`
 */
export function refuseFile(inboxFolder: string): void {
  if (statSync(inboxFolder, { throwIfNoEntry: false })?.isFile() !== true) return;
  throw new HookonceError(
    "config_invalid",
    `${inboxFolder} is a file, not an inbox folder. Give the folder that contains it: ${dirname(inboxFolder)}`,
  );
}

function readDocument(inboxFolder: string): TomlDocument {
  refuseFile(inboxFolder);
  const path = join(inboxFolder, CONFIG_FILE);
  if (!existsSync(path)) {
    throw new HookonceError(
      "config_invalid",
      `${path} does not exist. To make an inbox folder: hookonce init ${inboxFolder}. If you have one, name it with --folder.`,
    );
  }
  try {
    return readToml(readTextFile(path));
  } catch (error) {
    if (!(error instanceof TomlError)) {
      throw new HookonceError("config_invalid", `${path} cannot be read: ${messageOf(error)}`, {
        cause: error,
      });
    }
    throw new HookonceError("config_invalid", `${path} is not valid TOML.`, {
      problems: [{ file: CONFIG_FILE, line: error.line, message: error.message }],
    });
  }
}

/** In the order of the file. */
export function inOrder(problems: readonly Problem[]): Problem[] {
  return [...problems].sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
}
