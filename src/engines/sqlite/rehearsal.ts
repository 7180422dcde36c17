import { Database } from "bun:sqlite";
import { existsSync, statSync } from "node:fs";
import { messageOf, withCode, type Problem } from "../../errors.ts";
import type { HandlerDuration, Migration } from "../store.ts";
import { handlerDurations } from "./handler-durations.ts";
import { largeTables } from "./large-tables.ts";
import { openToRead } from "./leftover-log.ts";
import { refuseLostDatabase } from "./lost-database.ts";
import { isEmpty, isServed, tableExists } from "./open.ts";
import { refusalOf } from "./sqlite-error.ts";
import { createJournal, historyOf, problemsOf, tryMigration, type MigrationSet } from "./migrations.ts";

const JOURNALS = ["hookonce_migrations", "hookonce_user_migrations"] as const;

export interface Rehearsal {
  /**
   * A database in memory with the schema of the real one and the journals of its migrations, but without its
   * rows.
   */
  readonly connection: Database;
  /** Null if the database does not exist yet. */
  readonly journalMode: string | null;
  /** See {@link isServed}. */
  readonly served: boolean;
  /** Empty unless requested: measuring takes longer than everything else here. */
  readonly durations: readonly HandlerDuration[];
  /** Empty unless requested, too. */
  readonly large: ReadonlySet<string>;
}

/**
 * Makes a database in memory to try migrations and handlers on. The real database is only read, and may be in
 * use.
 *
 * @param options.look is called with the real database, if it exists and is not empty
 * @throws HookonceError `database_unusable`, `database_missing`
 */
export function rehearse(
  path: string,
  { durations, look = () => {} }: { readonly durations: boolean; readonly look?: (real: Database) => void },
): Rehearsal {
  const connection = new Database(":memory:", { strict: true });
  connection.run("pragma foreign_keys = on");
  refuseLostDatabase(path);
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0)
    return { connection, journalMode: null, served: false, durations: [], large: new Set() };
  try {
    // An interrupted first start leaves a journal, and a read-only connection cannot roll it back.
    const halfMade = existsSync(`${path}-journal`);
    const real = halfMade ? new Database(path, { readwrite: true, strict: true }) : openToRead(path);
    try {
      real.run("pragma busy_timeout = 5000");
      if (isEmpty(real))
        return { connection, journalMode: null, served: false, durations: [], large: new Set() };
      copySchema(real, connection);
      look(real);
      return {
        connection,
        journalMode: String(real.query("pragma journal_mode").values()[0]?.[0]),
        served: isServed(real),
        durations: durations ? handlerDurations(real) : [],
        large: durations ? largeTables(real) : new Set(),
      };
    } finally {
      // Finalizes the statements too. Otherwise the files would stay open until the next garbage collection.
      real.close(true);
    }
  } catch (error) {
    throw refusalOf(
      error,
      path,
      `Cannot read the database ${path}: ${withCode(error)}. Set database to a SQLite file that hookonce can read.`,
    );
  }
}

/**
 * Checks a set's history and tries its pending migrations in order. It continues after a mistake, to report
 * all of them.
 */
export function rehearseMigrations(
  connection: Database,
  set: MigrationSet,
): { pending: readonly Migration[]; problems: readonly Problem[] } {
  const { pending, refusals } = historyOf(connection, set);
  if (pending.length > 0) createJournal(connection, set);
  const tried = pending.flatMap((migration) => [
    ...problemsOf(migration),
    ...tryMigration(connection, migration, set.keepsOwnTables),
  ]);
  return { pending, problems: [...refusals.map(({ message }) => ({ message })), ...tried] };
}

function copySchema(from: Database, to: Database): void {
  // Tables come before the views, indexes and triggers that need them. A virtual table creates its shadow
  // tables itself, so they may exist already.
  const objects = from
    .query(
      `select sql from sqlite_schema where sql is not null and name not in (select name from pragma_table_list where type = 'shadow' and schema = 'main') and name not like 'sqlite\\_%' escape '\\'
       order by case type when 'table' then 0 when 'view' then 1 when 'index' then 2 else 3 end, sql like 'create virtual%' desc, rowid`,
    )
    .values() as [string][];
  for (const [sql] of objects) {
    try {
      to.run(sql);
    } catch (error) {
      if (!/already exists|^no such (?:module|collation sequence|function)/.test(messageOf(error)))
        throw error;
    }
  }
  for (const journal of JOURNALS) {
    if (!tableExists(from, journal)) continue;
    const insert = to.query(`insert into ${journal} (name, sha256, applied_at) values (?, ?, ?)`);
    for (const row of from.query(`select name, sha256, applied_at from ${journal}`).values())
      insert.run(...(row as [string]));
  }
}
