import { Database } from "bun:sqlite";
import { existsSync, realpathSync } from "node:fs";
import { HookonceError, messageOf, type Problem } from "../../errors.ts";
import type {
  ClosableReader,
  Migration,
  OpenStore,
  Rehearsed,
  SourceRule,
  StartLog,
  StartPlan,
} from "../store.ts";
import { readLeft } from "../marker.ts";
import { logRecovered } from "../recovered-runs.ts";
import { heldByItself } from "../source-states.ts";
import { copyBeforeMigration } from "./backup.ts";
import { expressionProblem } from "./bindings.ts";
import { recoverRuns } from "./interrupted-runs.ts";
import { openToRead, setForeignLogAside } from "./leftover-log.ts";
import { tellServed } from "./lock-text.ts";
import { repeatMark, writeNewMark } from "./log-mark.ts";
import { readMeta, writeMeta } from "./meta.ts";
import { migrate, ownSet, pendingMigrations, userSet, type MigrationSet } from "./migrations.ts";
import { moveLog } from "./move-log.ts";
import { whyMoved } from "./moved-mark.ts";
import { openDatabase, tableExists, withoutSyncs, type OpenOptions } from "./open.ts";
import { ownMigrations } from "./own-migrations.ts";
import { refuseDamagedTables } from "./probe.ts";
import { rehearse, rehearseMigrations } from "./rehearsal.ts";
import { reconcileSources, refuseChanges } from "./source-rules.ts";
import { createSourceStates } from "./source-states.ts";
import { doubtsOf } from "./statement-doubts.ts";
import { createSqliteEngine, handlerModules, loadHandler } from "./sqlite-engine.ts";
import { refusingStart } from "./sqlite-error.ts";

/** The steps of a start on SQLite, in order: rehearse, lock (lock.ts), open, make the engine. */

/**
 * Does what a start would do, on a copy of the schema in memory. The real database is only read.
 *
 * @param durations whether to read how long handlers took, which takes longer than everything else here
 * @throws HookonceError `database_unusable`, `database_missing`, `inbox_moved`
 */
export function rehearseStart(
  database: string,
  plan: StartPlan,
  { durations }: { readonly durations: boolean },
): Rehearsed {
  const problems: Problem[] = [];
  const changedRules: Problem[] = [];
  let moved: HookonceError | undefined;
  const rehearsal = rehearse(database, {
    durations,
    look: (real) => {
      moved = whyMoved(real, database);
      const { rules } = plan;
      if (rules !== null) collect(changedRules, () => refuseChanges(real, rules, plan));
    },
  });
  const { connection, journalMode, served } = rehearsal;
  if (moved !== undefined) {
    connection.close(true);
    throw moved;
  }
  if (journalMode !== null && journalMode !== "wal" && !served && !plan.convertToWal) {
    problems.push({
      message: `The database ${database} is in ${journalMode} mode, and hookonce needs WAL mode. To let it convert the database, set convert_to_wal = true.`,
    });
  }
  collect(problems, () => migrate(connection, ownSet(ownMigrations), plan.now));
  const tried = rehearseMigrations(connection, userSet(plan.migrations));
  problems.push(...tried.problems);
  return {
    isNew: journalMode === null,
    notes: journalMode === null ? [`the database does not exist yet: it will be made at ${database}`] : [],
    warnings: [],
    problems,
    changedRules,
    pending: tried.pending,
    durations: rehearsal.durations,
    doubtsOf: (code) => (code.language === "sql" ? doubtsOf(connection, code, rehearsal.large) : []),
    loadHandler: async (code) => loadHandler(connection, code),
    handlerModules,
    checkWhere: (expression) => expressionProblem(connection, expression),
    close: () => connection.close(true),
  };
}

/** Adds the problems of a refusal to the list. */
function collect(problems: Problem[], work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof HookonceError)) throw error;
    problems.push(...(error.problems.length > 0 ? error.problems : [{ message: messageOf(error) }]));
  }
}

/**
 * Opens the database only to read it, while another process may be serving it.
 *
 * @returns undefined if it holds no event yet: it does not exist, or hookonce has never started on it
 * @throws HookonceError `database_older` if a start would change hookonce's own tables first;
 *   `database_unusable`, `database_locked`
 */
export async function openForReading(database: string): Promise<ClosableReader | undefined> {
  if (!existsSync(database)) return undefined;
  if (!refusingStart(database, () => isReadable(database))) return undefined;
  const { openReader } = await import("./reader.ts");
  return openReader(openToRead(database));
}

/**
 * Whether the database holds hookonce's tables.
 *
 * @throws HookonceError `database_older`
 */
function isReadable(database: string): boolean {
  const connection = openToRead(database);
  try {
    if (!tableExists(connection, "hookonce_events")) return false;
    if (pendingMigrations(connection, ownSet(ownMigrations)).length === 0) return true;
    throw new HookonceError(
      "database_older",
      `An older hookonce made the database ${database}. Start hookonce serve once, which brings it up to date.`,
    );
  } finally {
    connection.close(true);
  }
}

/**
 * Opens the database and migrates it. Everything that can be refused is refused before anything is changed.
 *
 * @throws HookonceError with the code and every problem that prevents a start
 */
export function openStore(
  database: string,
  plan: StartPlan & { readonly rules: readonly SourceRule[] },
  log: StartLog,
  /** Only tests and measurements pass these. */
  options: Pick<OpenOptions, "synchronous"> = {},
): OpenStore {
  const { convertToWal } = plan;
  const foreignLog = refusingStart(database, () => setForeignLogAside(database, plan.now));
  if (foreignLog !== undefined) {
    log.warn(
      { database, log: foreignLog },
      "the write-ahead log of another database was beside this one: it was renamed and has no effect",
    );
  }
  const { connection, created, restored } = openDatabase(database, { convertToWal, ...options });
  if (restored) log.info({ database }, "put a copy of the database into WAL mode");
  try {
    refusingStart(database, () => {
      // An application may be writing to its database now. A start waits for it, but a delivery never does.
      connection.run("pragma busy_timeout = 5000");
      const moved = whyMoved(connection, database);
      if (moved !== undefined) throw moved;
      refuseChanges(connection, plan.rules, plan);
      migrateAll(connection, database, { ...plan, created }, log);
      reconcileSources(connection, plan.rules, plan);
      recover(connection, database, plan, log);
      refuseDamagedTables(connection, plan.now);
      secure(connection);
      tellServed(realpathSync(database));
      connection.run("pragma busy_timeout = 0");
    });
  } catch (error) {
    connection.close(true);
    throw error;
  }
  return {
    engine: (engineOptions) => createSqliteEngine(connection, engineOptions),
    close: () => connection.close(true),
  };
}

/** Syncs everything in the log to the disk, and marks the log as belonging to this database. */
function secure(connection: Database): void {
  const isOwn = readMeta(connection, "created_by") === "hookonce";
  if (!moveLog(connection) || !isOwn) return;
  withoutSyncs(connection, () => writeNewMark(connection));
  const inFile = moveLog(connection);
  withoutSyncs(connection, () => repeatMark(connection, { inFile }));
}

/** A run that has hung or ended the process is a failure of its source, which may be paused for it. */
function recover(
  connection: Database,
  database: string,
  { rules, now }: StartPlan & { readonly rules: readonly SourceRule[] },
  log: StartLog,
): void {
  const states = createSourceStates(connection, { countsForHold: () => true });
  const recovered = recoverRuns(connection, readLeft(realpathSync(database)), ({ source: name, handler }) => {
    states.read();
    const source = rules.find((rule) => rule.name === name) ?? { name };
    states.count(source, { outcome: "failed", handler, error: null }, now, "held");
  });
  logRecovered(recovered, log);
  for (const { source, reason } of states.committed()) log.warn({ source, reason }, heldByItself(source));
}

function migrateAll(
  connection: Database,
  database: string,
  plan: StartPlan & { readonly created: boolean },
  log: StartLog,
): void {
  const { created } = plan;
  const own = ownSet(ownMigrations, created ? (db) => writeMeta(db, "created_by", "hookonce") : undefined);
  const user = userSet(plan.migrations);
  const first = firstPending(connection, own, user);
  const copy =
    created || first === undefined
      ? undefined
      : copyBeforeMigration(connection, database, first.name, plan.now);
  const migrateBoth = (): void => {
    for (const { name } of migrate(connection, own, plan.now))
      log.debug({ migration: name }, "migrated hookonce's own tables");
    for (const { name } of migrate(connection, user, plan.now)) log.info({ migration: name }, "migrated");
  };
  try {
    // The sources are stored afterwards, and that commit syncs the tables of a new database.
    if (created) withoutSyncs(connection, migrateBoth);
    else migrateBoth();
  } finally {
    // If nothing was migrated after all, every start that fails like this would leave one more copy.
    if (firstPending(connection, own, user)?.name === first?.name) copy?.discard();
    else if (copy !== undefined) log.info({ copy: copy.path }, "copied the database before migrating it");
  }
}

function firstPending(connection: Database, ...sets: readonly MigrationSet[]): Migration | undefined {
  for (const set of sets) {
    const [first] = pendingMigrations(connection, set);
    if (first !== undefined) return first;
  }
  return undefined;
}
