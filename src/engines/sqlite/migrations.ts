import type { Database } from "bun:sqlite";
import { HookonceError, messageOf, type Problem } from "../../errors.ts";
import {
  fileOf,
  historyOf as historyOfApplied,
  ownRules,
  pendingOf,
  sha256,
  userRules,
  type History,
  type MigrationRules,
} from "../migration-history.ts";
import type { Migration } from "../store.ts";
import { tableExists } from "./open.ts";
import { ownSchema, ownTablesWrittenBy, temporaryObjects } from "./own-tables.ts";
import { troubleOf } from "./sqlite-error.ts";
import { atomically } from "./transaction.ts";
import { splitStatements, type SqlStatement } from "./sql-text.ts";

/** A set of migrations, with its journal table. */
export interface MigrationSet extends MigrationRules {
  readonly journal: "hookonce_migrations" | "hookonce_user_migrations";
  /** Runs in the transaction of the set's first migration. */
  readonly withFirst?: ((db: Database) => void) | undefined;
  /** Whether the migrations must leave hookonce's own tables unchanged. */
  readonly keepsOwnTables: boolean;
}

export function ownSet(migrations: readonly Migration[], withFirst?: (db: Database) => void): MigrationSet {
  const rules = ownRules(migrations, ", or restore the copy made before it was migrated");
  return { ...rules, journal: "hookonce_migrations", withFirst, keepsOwnTables: false };
}

export function userSet(migrations: readonly Migration[]): MigrationSet {
  return { ...userRules(migrations), journal: "hookonce_user_migrations", keepsOwnTables: true };
}

/**
 * The first keywords of a migration's statements. Any other could end its transaction or reach beyond the
 * file.
 */
const ALLOWED = new Set([
  "ALTER",
  "ANALYZE",
  "CREATE",
  "DELETE",
  "DROP",
  "INSERT",
  "REINDEX",
  "REPLACE",
  "SELECT",
  "UPDATE",
  "VALUES",
  "WITH",
]);

/** Finds the statements that a migration must not contain. Needs no database. */
export function problemsOf(migration: Migration): Problem[] {
  return statementsOf(migration).flatMap((statement) => {
    const message = refusalOf(statement);
    return message === undefined ? [] : [{ file: fileOf(migration), line: statement.line, message }];
  });
}

/**
 * Compares with a list of allowed keywords, because EXPLAIN PRAGMA, for example, takes effect when it is
 * prepared.
 */
function refusalOf({ text, keyword }: SqlStatement): string | undefined {
  if (!ALLOWED.has(keyword)) {
    const what = keyword === "" ? "a statement without a keyword at its beginning" : keyword;
    return `${what} is not allowed in a migration. Use only ${[...ALLOWED].join(", ")}: hookonce runs each file in one transaction.`;
  }
  // SQLite would ignore the rest of the statement.
  return text.includes("\0") ? "the statement contains a NUL character. Remove it" : undefined;
}

/**
 * Runs a migration on a scratch database. It continues after a statement that fails, so that one mistake does
 * not hide the next.
 *
 * @returns what is wrong with the migration, besides {@link problemsOf}
 */
export function tryMigration(db: Database, migration: Migration, keepsOwnTables: boolean): Problem[] {
  const problems: Problem[] = [];
  const told = (line: number | undefined, error: unknown): void => {
    problems.push(problemOf(migration, line, error));
  };
  db.run("begin");
  const allowed = statementsOf(migration).filter((statement) => refusalOf(statement) === undefined);
  runStatements(db, allowed, keepsOwnTables, (line, error) => {
    told(line, error);
    if (!db.inTransaction) db.run("begin");
  });
  try {
    db.run("commit");
  } catch (error) {
    told(undefined, error);
    db.run("rollback");
  }
  return problems;
}

/** A start reads each migration three times: to check it, to rehearse it and to run it. */
const statements = new WeakMap<Migration, readonly SqlStatement[]>();

function statementsOf(migration: Migration): readonly SqlStatement[] {
  const known = statements.get(migration) ?? splitStatements(migration.sql);
  statements.set(migration, known);
  return known;
}

export function historyOf(db: Database, set: MigrationSet): History {
  const applied = tableExists(db, set.journal)
    ? (db.query(`select name, sha256 from ${set.journal} order by name`).values() as [string, string][])
    : [];
  return historyOfApplied(new Map(applied), set);
}

/**
 * Returns the migrations of a set that are still to be applied.
 *
 * @throws HookonceError as {@link pendingOf} does
 */
export function pendingMigrations(db: Database, set: MigrationSet): readonly Migration[] {
  return pendingOf(historyOf(db, set));
}

/**
 * Applies the pending migrations. Each runs in one transaction together with its journal row.
 *
 * @throws HookonceError `migration_failed` with file and line. That migration and all later ones are not
 * applied.
 */
export function migrate(db: Database, set: MigrationSet, now: number): readonly Migration[] {
  const pending = pendingMigrations(db, set);
  if (pending.length === 0) return pending;
  createJournal(db, set);
  const record = db.query(`insert into ${set.journal} (name, sha256, applied_at) values (?, ?, ?)`);
  for (const migration of pending) {
    try {
      atomically(db, () => {
        runScript(db, migration, set.keepsOwnTables);
        if (migration === set.migrations[0]) set.withFirst?.(db);
        record.run(migration.name, sha256(migration.sql), now);
      });
    } catch (error) {
      if (error instanceof HookonceError) throw error;
      // A deferred constraint fails only at the commit, so no line is known.
      throw failed(migration, undefined, error);
    }
  }
  return pending;
}

export function createJournal(db: Database, { journal }: MigrationSet): void {
  db.run(
    `create table if not exists ${journal} (name text primary key not null, sha256 text not null, applied_at integer not null)`,
  );
}

function runScript(db: Database, migration: Migration, keepsOwnTables: boolean): void {
  runStatements(db, statementsOf(migration), keepsOwnTables, (line, error) => {
    throw failed(migration, line, error);
  });
}

/** @param onError receives the error of a statement and its line. If it throws, the caller must roll back */
function runStatements(
  db: Database,
  statements: readonly SqlStatement[],
  keepsOwnTables: boolean,
  onError: (line: number, error: unknown) => void,
): void {
  /** TEMP objects → the line of the statement that created them; undefined if that statement failed. */
  let temporary = new Map<string, number | undefined>();
  for (const statement of statements) {
    let line: number | undefined = statement.line;
    try {
      if (keepsOwnTables) runBesideOwn(db, statement);
      else db.run(statement.text);
      if (!db.inTransaction) throw new Error("the statement ended the transaction");
    } catch (error) {
      onError(statement.line, error);
      line = undefined;
    }
    if (keepsOwnTables) {
      const before = temporary;
      temporary = new Map(
        temporaryObjects(db).map((name) => [name, before.has(name) ? before.get(name) : line]),
      );
    }
  }
  for (const [name, line] of temporary) {
    if (line === undefined) continue;
    onError(
      line,
      new Error(
        `the TEMP object ${name} would be gone after the next start. Drop it at the end of the file, or create it without TEMP`,
      ),
    );
  }
}

const WRITES_ROWS = new Set(["WITH", "INSERT", "REPLACE", "UPDATE", "DELETE"]);

/** Runs a statement that must not change hookonce's tables. If this throws, the caller must roll back. */
function runBesideOwn(db: Database, statement: SqlStatement): void {
  const refusal = refusalOf(statement);
  if (refusal !== undefined) throw new Error(refusal);
  const { text, keyword } = statement;
  const before = ownSchema(db);
  const written = WRITES_ROWS.has(keyword) ? ownTablesWrittenBy(db, text) : [];
  db.run(text);
  if (written.length === 0 && ownSchema(db) === before) return;
  throw new Error(
    "a migration may only read the hookonce_… tables: they belong to hookonce, and so do their names",
  );
}

/** Returns errors such as a full disk unchanged, because they are not the migration's fault. */
function failed(migration: Migration, line: number | undefined, error: unknown): unknown {
  if (troubleOf(error) !== "statement") return error;
  const problem = problemOf(migration, line, error);
  const where = line === undefined ? "" : `:${line}`;
  return new HookonceError("migration_failed", `${problem.file}${where}: ${problem.message}`, {
    cause: error,
    problems: [problem],
  });
}

function problemOf(migration: Migration, line: number | undefined, error: unknown): Problem {
  return {
    file: fileOf(migration),
    line,
    message: `the migration fails, so none of it is applied: ${messageOf(error)}`,
  };
}
