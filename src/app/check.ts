import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import {
  CONFIG_FILE,
  inOrder,
  readConfig,
  refuseFile,
  type Config,
  type ConfiguredSource,
  type ReadConfig,
} from "../config/load.ts";
import type { DatabaseLocation } from "../config/location.ts";
import type { Environment } from "../config/secrets.ts";
import { usableSettings } from "../config/usable-settings.ts";
import { HookonceError, type ErrorCode, type Problem } from "../errors.ts";
import type { Handlers } from "../engines/engine.ts";
import type { OwedCount } from "../engines/reader.ts";
import type { ClosableReader, Rehearsed } from "../engines/store.ts";
import { bindHandlers, readHandlers, type BoundHandlers, type HandlersRead } from "../handlers/load.ts";
import type { Fetch } from "../providers/context.ts";
import type { Source } from "../providers/source.ts";
import {
  warnOfDeadlines,
  warnOfDotEnv,
  warnOfNoSecrets,
  warnOfPlaceholders,
  warnOfPublicUrls,
  warnOfOpenWindows,
  warnOfSharedOrders,
  warnOfShortRetention,
  warnOfMissingTypes,
  warnOfSharedSecrets,
  warnOfUnusedLimits,
  warnOfWeakSignatures,
} from "./check-warnings.ts";
import type { DestinationsChecked } from "./destination-checks.ts";
import { missingKeys } from "./missing-keys.ts";
import { pathProblems } from "./path-problems.ts";
import { warnOfMissingPaths } from "./missing-paths.ts";
import { attempt, rehearse, rulesIn } from "./rehearse.ts";
import { byStoredName } from "./source-rules.ts";
import { warnOfDestinations } from "./destination-warnings.ts";
import { createSources, secretNeeds } from "./sources.ts";
import type { TrialPlace } from "./trial.ts";
import { warnOfPausedSources } from "./paused-warnings.ts";
import { warnOfUnknownForwards, warnOfUnknownTypes } from "./unknown-types.ts";
import { warnOfUnsigned } from "./unsigned-sources.ts";
import { readUserMigrations } from "./user-migrations.ts";
import { handlerModulesOf, storeOf } from "./store.ts";

export interface Checked {
  readonly problems: readonly Problem[];
  /** The error code of a start that is refused for the problems. */
  readonly code: ErrorCode;
  /** Handlers and commands that fail at each run. They do not prevent a start. */
  readonly failing: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** Those of them that a start logs: they are about the config and the secrets. */
  readonly configWarnings: readonly Problem[];
  /** Null if the config cannot be used. */
  readonly config: Config | null;
  readonly sources: ReadonlyMap<string, Source>;
  /** Read once. A start binds them to its database. */
  readonly handlers: HandlersRead;
  /** The handler for each type. These handlers are bound to the rehearsal, so they cannot run. */
  readonly table: Handlers;
  /** The handlers whose JSON paths were compared with stored events. */
  readonly compared: ReadonlySet<string>;
  /** Events that are owed, by source, type and outcome. Empty for a start, which counts them itself. */
  readonly owed: readonly OwedCount[];
  /** The names of the sources that are not open. */
  readonly paused: readonly string[];
  /** The user's migrations that the next start will apply. */
  readonly pending: readonly string[];
  /** What is worth knowing about the database. */
  readonly notes: readonly string[];
  /** What could not be checked because of the problems. */
  readonly unchecked: readonly string[];
  /** Where handlers can be tried; null if the database or the migrations have a problem. */
  readonly trial: { readonly database: DatabaseLocation; readonly place: TrialPlace } | null;
}

export interface CheckOptions {
  /** Null if no secrets are needed, because the sources only read what is stored. */
  readonly environment: Environment | null;
  /** The secrets of a source instead of those that the config names. The environment must be null. */
  readonly secretsOf?:
    | ((source: ConfiguredSource) => Pick<ConfiguredSource, "secrets" | "verifyToken">)
    | undefined;
  readonly clock: () => number;
  /** Fetches providers' keys and certificates. Only tests pass one. */
  readonly fetch?: Fetch | undefined;
  readonly acceptIdChange?: boolean | undefined;
  /** Sources that may be gone although their events are stored. */
  readonly dropped?: readonly string[] | undefined;
  /** Replaces the config's database. */
  readonly database?: DatabaseLocation | undefined;
  /** Skips what a start does not need: reading how long handlers took. */
  readonly forStart?: boolean | undefined;
}

/**
 * Checks everything that can be checked before a start, and changes nothing: the config, the secrets that it
 * names, the migrations (on the database's schema, rebuilt in memory), and every handler against the tables
 * that the migrations leave.
 *
 * @throws HookonceError `config_invalid` if the folder is a file
 */
export async function check(inboxFolder: string, options: CheckOptions): Promise<Checked> {
  refuseFile(inboxFolder);
  const problems: Problem[] = [];
  const unchecked: string[] = [];
  const read = await attempt(problems, () =>
    withSecrets(readConfig(inboxFolder, secretNeeds, options.environment), options),
  );
  // In a folder that is not an inbox folder, handlers/ belongs to another program and must not be loaded.
  if (!existsSync(join(inboxFolder, CONFIG_FILE))) return { ...NOTHING, problems };
  const config = read?.config ?? null;
  const sources = createAll(read, options, problems);
  const files = readUserMigrations(inboxFolder);
  problems.push(...files.problems);

  const settings = config ?? usableSettings(inboxFolder);
  const location = options.database ?? settings.database;
  const rules = read === null ? null : rulesIn(inboxFolder, read, sources, options.clock);
  const refusals: HookonceError[] = [];
  const rehearsed = await rehearse(
    location,
    inboxFolder,
    read,
    { problems, refusals },
    {
      convertToWal: settings.convertToWal,
      rules,
      acceptIdChange: options.acceptIdChange ?? false,
      dropped: options.dropped,
      migrations: files.migrations,
      now: options.clock(),
      durations: options.forStart !== true,
    },
  );
  const sql = "the migrations and the SQL of the handlers";
  if (rehearsed === null && location !== null) {
    unchecked.push(`${sql}, because the database cannot be read`);
  } else if (rehearsed === null) {
    unchecked.push(`${sql}, because ${CONFIG_FILE} does not say which database they are for`);
  } else if (!rehearsed.isNew && rules === null) {
    unchecked.push("whether a source with stored events is gone or takes its event ids from elsewhere");
  }

  const handlers = await readHandlers(
    inboxFolder,
    // If the config has problems, every folder may belong to a source, so the handlers in all of them are
    // checked.
    [...foldersIn(read), ...(config === null ? foldersOf(join(inboxFolder, "handlers")) : [])],
    () => handlerModulesOf(location),
  );
  const configured = read?.sources ?? [];
  const configWarnings = [
    ...warnOfDotEnv(inboxFolder),
    ...(options.environment === null ? [] : warnOfNoSecrets(configured, sources)),
    ...warnOfSharedSecrets(configured),
    ...warnOfPublicUrls(configured),
    ...warnOfPlaceholders(configured),
    ...warnOfWeakSignatures(configured),
    ...warnOfUnusedLimits(configured),
    ...warnOfOpenWindows(configured),
    ...(config === null ? [] : warnOfShortRetention(config.retention, read?.retentionLine, sources)),
  ];
  const warnings = [...configWarnings, ...files.warnings, ...warnOfUnsigned(sources)];
  let bound: BoundHandlers = { handlers: NOTHING.table, problems: [], failing: [] };
  if (rehearsed === null) {
    problems.push(...handlers.problems);
  } else {
    problems.push(...rehearsed.changedRules, ...rehearsed.problems);
    warnings.push(...rehearsed.warnings.map((message) => ({ message })));
    warnings.push(...warnOfDeadlines(sources, rehearsed.durations));
    bound = await bindHandlers(handlers, rehearsed);
    problems.push(...bound.problems);
    warnings.push(...warnOfSharedOrders(configured, bound.handlers, handlers.code));
    if (options.forStart !== true) {
      for (const { code } of handlers.code) {
        if (bound.problems.every(({ file }) => file !== code.file))
          warnings.push(...rehearsed.doubtsOf(code));
      }
    }
  }
  const destinations =
    read === null || read.destinations.length === 0
      ? NO_DESTINATIONS
      : await (
          await import("./destination-checks.ts")
        ).checkDestinations(read, {
          inboxFolder,
          listen: settings.listen,
          rehearsed,
          environment: options.environment,
        });
  rehearsed?.close();
  problems.push(...destinations.problems);
  // A start goes on without the command, because webhooks are received nevertheless.
  configWarnings.push(...destinations.warnings, ...(options.forStart === true ? destinations.failing : []));
  warnings.push(...destinations.warnings);
  warnings.push(...handlers.warnings);
  if (options.forStart !== true)
    warnings.push(
      ...(await warnOfUnknownTypes(configured, handlers)),
      ...(await warnOfUnknownForwards(configured)),
    );
  const stored = options.forStart === true || rehearsed === null ? null : await openStored(location);
  let compared = NOTHING.compared;
  if (stored !== null) {
    const byName = config === null ? sources : byStoredName(sources, config);
    const inEvents = { reader: stored, sources: byName, table: bound.handlers };
    const paths = await warnOfMissingPaths(handlers, inEvents);
    warnings.push(...paths.warnings);
    compared = paths.compared;
  }
  const owed = (await stored?.owedByType(MAX_COUNTED)) ?? [];
  warnings.push(...(await warnOfDestinations(config?.destinations ?? [], stored)));
  const states = (await stored?.sourceStates()) ?? [];
  warnings.push(...warnOfPausedSources(configured, sources, states, options.clock()));
  stored?.close();
  warnings.push(...warnOfMissingTypes(configured, sources, owed));
  const changedRules = rehearsed?.changedRules.length ?? 0;
  return {
    problems,
    code:
      problems.length === changedRules
        ? "event_id_rule_changed"
        : problems.length === 1
          ? (refusals[0]?.code ?? "config_invalid")
          : "config_invalid",
    failing: [...bound.failing, ...destinations.failing],
    warnings,
    configWarnings,
    config,
    sources,
    handlers,
    table: bound.handlers,
    compared,
    owed,
    paused: states.map(({ name }) => name),
    pending: rehearsed?.pending.map(({ name }) => name) ?? [],
    notes: rehearsed?.notes ?? [],
    unchecked,
    trial: trialIn(location, rehearsed),
  };
}

const NO_DESTINATIONS: DestinationsChecked = { problems: [], failing: [], warnings: [] };

function withSecrets(read: ReadConfig, { secretsOf }: CheckOptions): ReadConfig {
  if (secretsOf === undefined) return read;
  const sources = read.sources.map((source) => ({ ...source, ...secretsOf(source) }));
  return { ...read, sources, config: read.config === null ? null : { ...read.config, sources } };
}

function trialIn(database: DatabaseLocation | null, rehearsed: Rehearsed | null): Checked["trial"] {
  if (database === null || rehearsed === null || rehearsed.problems.length > 0) return null;
  if (rehearsed.isNew) return { database, place: "new" };
  return { database, place: rehearsed.pending.length > 0 ? "copy" : "live" };
}

const NOTHING: Checked = {
  problems: [],
  code: "config_invalid",
  failing: [],
  warnings: [],
  configWarnings: [],
  config: null,
  sources: new Map(),
  handlers: { code: [], files: [], problems: [], warnings: [] },
  table: { for: () => null, files: [] },
  compared: new Set(),
  owed: [],
  paused: [],
  pending: [],
  notes: [],
  unchecked: [],
  trial: null,
};

/** A count of owed events stops here. */
const MAX_COUNTED = 10_000;

async function openStored(database: DatabaseLocation | null): Promise<ClosableReader | null> {
  try {
    return database === null ? null : ((await (await storeOf(database)).openForReading()) ?? null);
  } catch (error) {
    // The tables are those of another version. The rehearsal has reported what a start would refuse.
    if (error instanceof HookonceError) return null;
    throw error;
  }
}

/** Creates the sources that have no problem, and reports the problems of the others. */
export function createAll(
  read: ReadConfig | null,
  {
    clock,
    fetch,
    environment,
    secretsOf,
  }: Pick<CheckOptions, "clock" | "fetch" | "environment" | "secretsOf">,
  problems: Problem[],
): ReadonlyMap<string, Source> {
  if (read === null) return new Map();
  const paths = pathProblems(read);
  const readable = read.sources.filter(({ name }) => paths.get(name)?.length === 0);
  const created = createSources(readable, clock, fetch, environment !== null || secretsOf !== undefined);
  const found = [...read.problems, ...missingKeys(read), ...[...paths.values()].flat(), ...created.problems];
  problems.push(...inOrder(found));
  return created.sources;
}

/** The folders in handlers/ that belong to a source, whatever else is wrong with it. */
export function foldersIn(read: ReadConfig | null): string[] {
  return (read?.written ?? []).map(([name, { handlers }]) =>
    typeof handlers === "string" ? handlers : name,
  );
}

function foldersOf(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name !== "lib")
      .map((entry) => entry.name);
  } catch {
    return []; // readHandlers reports the error
  }
}
