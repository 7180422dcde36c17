import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { inOrder, readConfig, refuseFile, type Config, type ReadConfig } from "../config/load.ts";
import type { Environment } from "../config/secrets.ts";
import { HookonceError, messageOf, type ErrorCode, type Problem } from "../errors.ts";
import type { Handlers, OwedCount } from "../engines/engine.ts";
import type { HandlerDuration } from "../engines/sqlite/handler-durations.ts";
import { openForReading, rehearseStart } from "../engines/sqlite/start.ts";
import { bindHandlers, readHandlers, type HandlersRead } from "../handlers/load.ts";
import type { Fetch } from "../providers/context.ts";
import type { Source } from "../providers/source.ts";
import { missingKeys } from "./missing-keys.ts";
import { pathProblems } from "./path-problems.ts";
import { rulesOf } from "./source-rules.ts";
import { createSources, secretNeeds } from "./sources.ts";
import { warnOfUnsigned } from "./unsigned-sources.ts";
import { readUserMigrations } from "./user-migrations.ts";

export interface Checked {
  readonly problems: readonly Problem[];
  /** The code with which a start is refused if there are problems. */
  readonly code: ErrorCode;
  /** Handlers that fail at each run. They do not refuse a start. */
  readonly failing: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** Null if the config cannot be used. */
  readonly config: Config | null;
  readonly sources: ReadonlyMap<string, Source>;
  /** Read once; a start binds them to its database. */
  readonly handlers: HandlersRead;
  /** Tells which handler a type has. They were bound to the rehearsal, so they cannot run. */
  readonly table: Handlers;
  /** Events that are owed, by source, type and outcome. Empty for a start, which counts them itself. */
  readonly owed: readonly OwedCount[];
  /** The user's migrations that the next start will apply. */
  readonly pending: readonly string[];
}

export interface CheckOptions {
  /** Null if no secret is to be looked up: the sources then only read what is stored. */
  readonly environment: Environment | null;
  readonly clock: () => number;
  /** Fetches providers' keys and certificates. Only tests pass one. */
  readonly fetch?: Fetch | undefined;
  readonly acceptIdChange?: boolean | undefined;
  /** The database to check instead of the config's; an absolute path. */
  readonly database?: string | undefined;
  /** Leaves out what a start does not need: how long handlers took. */
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
  const read = attempt(problems, () => readConfig(inboxFolder, secretNeeds, options.environment));
  const config = read?.config ?? null;
  const sources = createAll(read, options, problems);

  const files = readUserMigrations(inboxFolder);
  problems.push(...files.problems);
  const path = options.database ?? config?.database ?? join(inboxFolder, "data/hookonce.db");
  const rehearsed = attempt(problems, () =>
    rehearseStart(
      {
        database: path,
        convertToWal: config?.convertToWal ?? true,
        // A source that cannot be created because of a problem is not gone.
        rules: config === null || sources.size < config.sources.length ? null : rulesOf(config, sources),
        acceptIdChange: options.acceptIdChange ?? false,
        migrations: files.migrations,
        now: options.clock(),
      },
      { durations: options.forStart !== true },
    ),
  );
  const warnings = [...warnOfDotEnv(inboxFolder), ...warnOfUnsigned(sources)];
  let handlers: HandlersRead = { code: [], files: [], problems: [], warnings: [] };
  let table: Handlers = { for: () => null, files: [] };
  let failing: readonly Problem[] = [];
  if (rehearsed !== null) {
    problems.push(...rehearsed.changedRules, ...rehearsed.problems);
    warnings.push(...warnOfDeadlines(sources, rehearsed.durations));
    handlers = await readHandlers(
      inboxFolder,
      // Without a config, every folder may belong to a source, so its handlers can still be checked.
      config === null
        ? foldersOf(join(inboxFolder, "handlers"))
        : config.sources.map(({ name, handlers }) => handlers ?? name),
      rehearsed.handlerModules,
    );
    const bound = await bindHandlers(handlers, rehearsed);
    problems.push(...bound.problems);
    table = bound.handlers;
    failing = bound.failing;
    warnings.push(...handlers.warnings);
    rehearsed.close();
  }
  const owed = options.forStart === true || rehearsed === null ? [] : await owedIn(path);
  const changedRules = rehearsed?.changedRules.length ?? 0;
  const pending = rehearsed?.pending.map(({ name }) => name) ?? [];
  const code = problems.length === changedRules ? "event_id_rule_changed" : "config_invalid";
  return { problems, code, failing, warnings, config, sources, handlers, table, owed, pending };
}

/** A count of owed events stops here. */
const MAX_COUNTED = 10_000;

async function owedIn(database: string): Promise<Checked["owed"]> {
  try {
    const reader = await openForReading(database);
    const owed = (await reader?.owedByType(MAX_COUNTED)) ?? [];
    reader?.close();
    return owed;
  } catch (error) {
    // The tables are another version's. The rehearsal has reported what a start would refuse.
    if (error instanceof HookonceError) return [];
    throw error;
  }
}

/** Creates the sources that have no problem, and reports the problems of the others. */
function createAll(
  read: ReadConfig | null,
  { clock, fetch, environment }: CheckOptions,
  problems: Problem[],
): ReadonlyMap<string, Source> {
  if (read === null) return new Map();
  const paths = pathProblems(read);
  const readable = read.sources.filter(({ name }) => paths.get(name)?.length === 0);
  const created = createSources(readable, clock, fetch, environment !== null);
  const found = [...read.problems, ...missingKeys(read), ...[...paths.values()].flat(), ...created.problems];
  problems.push(...inOrder(found));
  return created.sources;
}

/** Does `work`. If it is refused, adds the problems to the list and returns null. */
function attempt<Result>(problems: Problem[], work: () => Result): Result | null {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof HookonceError)) throw error;
    problems.push(...(error.problems.length > 0 ? error.problems : [{ message: messageOf(error) }]));
    return null;
  }
}

function warnOfDotEnv(inboxFolder: string): Problem[] {
  const mode = statSync(join(inboxFolder, ".env"), { throwIfNoEntry: false })?.mode ?? 0;
  if (process.platform === "win32" || (mode & 0o077) === 0) return [];
  return [{ file: ".env", message: "other users of this machine can read it: run chmod 600 .env" }];
}

/** Providers that wait longer than this are not checked, because handlers take less. In milliseconds. */
const SHORT_DEADLINE = 5000;

/** Warns of handlers that take at least half of the time that the source's provider waits. */
function warnOfDeadlines(
  sources: ReadonlyMap<string, Source>,
  durations: readonly HandlerDuration[],
): Problem[] {
  return durations.flatMap(({ source, handler, slowestUs }) => {
    const provider = sources.get(source)?.provider;
    const ms = slowestUs / 1000;
    if (provider === undefined || provider.timeoutMs > SHORT_DEADLINE || ms < provider.timeoutMs / 2)
      return [];
    const message = `source "${source}": ${handler} takes ${Math.round(ms)} ms or more for one event in a hundred, and ${provider.title} waits ${provider.timeoutMs / 1000} s for an answer`;
    return [{ message }];
  });
}

function foldersOf(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name !== "lib")
      .map((entry) => entry.name);
  } catch {
    return []; // loadHandlers reports the error
  }
}
