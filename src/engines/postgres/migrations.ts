import { HookonceError, messageOf, type Problem } from "../../errors.ts";
import {
  fileOf,
  historyOf as historyOfApplied,
  ownRules,
  sha256,
  userRules,
  type History,
  type MigrationRules,
} from "../migration-history.ts";
import type { Migration } from "../store.ts";
import { ownMigrations } from "./own-migrations.ts";
import { rowsOf, sql } from "./sql.ts";
import { lineAt, meaningful, splitStatements, type SqlStatement } from "./sql-text.ts";
import { writeOwn, guardOwn } from "./transaction.ts";
import { explained } from "./statement-check.ts";
import { stateOf, throwIfAway, troubleOf } from "./trouble.ts";
import type { Wire } from "./wire.ts";

/** Every function here belongs to a transaction that the caller has open. */

/** A set of migrations, with its journal table. */
export interface MigrationSet extends MigrationRules {
  readonly journal: "migrations" | "user_migrations";
}

export const ownSet: MigrationSet = { ...ownRules(ownMigrations), journal: "migrations" };

export const userSet = (migrations: readonly Migration[]): MigrationSet => ({
  ...userRules(migrations),
  journal: "user_migrations",
});

export async function historyOf(wire: Wire, set: MigrationSet): Promise<History> {
  const journal = `hookonce.${set.journal}`;
  const [table] = await rowsOf<{ exists: boolean }>(
    wire,
    sql`select to_regclass(${journal}) is not null as exists`,
  );
  const applied =
    table?.exists === true
      ? await wire.read<{ name: string; sha256: string }>(`select name, sha256 from ${journal} order by name`)
      : [];
  return historyOfApplied(new Map(applied.map(({ name, sha256: hash }) => [name, hash])), set);
}

const JOURNAL = '(name text collate "C" primary key, sha256 text not null, applied_at bigint not null)';

/** Applies migrations of hookonce's own tables. */
export async function applyOwn(wire: Wire, pending: readonly Migration[], now: number): Promise<void> {
  if (pending.length === 0) return;
  await writeOwn(wire);
  await wire.send("create schema if not exists hookonce");
  for (const journal of ["migrations", "user_migrations"])
    await wire.send(`create table if not exists hookonce.${journal} ${JOURNAL}`);
  for (const migration of pending) {
    await wire.script(migration.sql);
    await record(wire, "migrations", migration, now);
  }
}

/** Writes down that a migration was applied. */
export async function record(
  wire: Wire,
  journal: MigrationSet["journal"],
  { name, sql: text }: Migration,
  now: number,
): Promise<void> {
  await writeOwn(wire);
  await wire.send(`insert into hookonce.${journal} (name, sha256, applied_at) values ($1, $2, $3)`, [
    name,
    sha256(text),
    now,
  ]);
}

/** `-- hookonce: no transaction` in the first lines of a migration, for example for `create index concurrently`. */
export const isWithoutTransaction = ({ sql: text }: Migration): boolean =>
  /^(?:\s*--[^\n]*\n)*?\s*--\s*hookonce:\s*no transaction\s*$/im.test(text.split(/^\s*[^\s-]/m)[0] ?? "");

/**
 * The first keywords of a migration's statements. Any other could end its transaction, wait for data, or only change
 * the connection.
 */
const ALLOWED = new Set(
  (
    "ALTER ANALYZE CALL COMMENT CREATE DELETE DO DROP GRANT INSERT MERGE REFRESH REINDEX REVOKE SECURITY SELECT TABLE " +
    "TRUNCATE UPDATE VALUES WITH"
  ).split(" "),
);

/** These cannot run in a transaction at all, or not with every option. */
const ALONE = ["CREATE INDEX CONCURRENTLY", "REINDEX … CONCURRENTLY", "ALTER TYPE … ADD VALUE", "VACUUM"];

/** Finds the statements that a migration must not contain. Needs no database. */
export function problemsOf(migration: Migration): Problem[] {
  return statementsOf(migration).flatMap((statement) => {
    const keyword = keywordOf(statement);
    if (ALLOWED.has(keyword) || (keyword === "VACUUM" && isWithoutTransaction(migration))) return [];
    const what = keyword === "" ? "a statement without a keyword at its beginning" : keyword;
    const message = `${what} is not allowed in a migration. Use only ${[...ALLOWED].join(", ")}: hookonce runs each file in one transaction.`;
    return [{ file: fileOf(migration), line: statement.line, message }];
  });
}

/** A start reads each migration three times: to check it, to rehearse it and to run it. */
const statements = new WeakMap<Migration, readonly SqlStatement[]>();

export function statementsOf(migration: Migration): readonly SqlStatement[] {
  const known = statements.get(migration) ?? splitStatements(migration.sql);
  statements.set(migration, known);
  return known;
}

function keywordOf({ tokens }: SqlStatement): string {
  const first = meaningful(tokens).find(({ text }) => text !== "(");
  return first?.kind === "word" ? first.text.toUpperCase() : "";
}

/**
 * Runs a migration of the user.
 *
 * @param onError receives the error of a statement and its line. If it throws, the caller must roll back
 * @param savepoints whether it may go on after an error: each statement has a savepoint
 */
export async function runStatements(
  wire: Wire,
  migration: Migration,
  onError: (error: unknown, line: number | undefined) => void,
  { savepoints = false }: { readonly savepoints?: boolean } = {},
): Promise<void> {
  await guardOwn(wire);
  let before = await ownSchema(wire);
  for (const statement of statementsOf(migration)) {
    if (savepoints) await wire.send("savepoint hookonce_statement");
    try {
      await wire.send(statement.text);
      const after = await ownSchema(wire);
      if (after !== before) {
        if (!savepoints) before = after;
        throw new Error(
          "a migration may only read what is in the schema hookonce: it belongs to hookonce, and so do its names",
        );
      }
    } catch (error) {
      throwIfAway(error);
      onError(error, lineOf(statement, error));
      if (savepoints) await wire.send("rollback to savepoint hookonce_statement");
    }
  }
  const [temporary] = await wire.read<{ name: string }>(
    "select relname as name from pg_class where relnamespace = pg_my_temp_schema() order by relname limit 1",
  );
  if (temporary !== undefined)
    onError(
      new Error(
        `the temporary object ${temporary.name} would be gone after the start. Drop it at the end of the file, or create it without TEMP`,
      ),
      undefined,
    );
}

/** A hash of what the schema `hookonce` contains. It changes with every definition, and with no row. */
async function ownSchema(wire: Wire): Promise<string> {
  const [found] = await wire.read<{ hash: string }>(OWN_SCHEMA);
  return found?.hash ?? "";
}

const OWN_SCHEMA = `
  with own as (select oid from pg_namespace where nspname = 'hookonce'),
    relations as (select * from pg_class where relnamespace in (select oid from own)),
    parts (part) as (
      select concat_ws(' ', 'relation', oid, relname, relkind, relowner) from relations
      union all
      select concat_ws(' ', 'column', attrelid, attnum, attname, atttypid, attnotnull, atthasdef, attisdropped)
      from pg_attribute where attrelid in (select oid from relations) and attnum > 0
      union all
      select concat_ws(' ', 'trigger', oid, tgrelid, tgname, tgfoid, tgenabled)
      from pg_trigger where tgrelid in (select oid from relations)
      union all
      select concat_ws(' ', 'rule', oid, ev_class, rulename, ev_enabled)
      from pg_rewrite where ev_class in (select oid from relations)
      union all
      select concat_ws(' ', 'constraint', oid, conrelid, conname) from pg_constraint
      where conrelid in (select oid from relations) or confrelid in (select oid from relations)
      union all
      select concat_ws(' ', 'function', oid, proname, md5(prosrc)) from pg_proc
      where pronamespace in (select oid from own)
    )
  select md5(string_agg(part, E'\\n' order by part)) as hash from parts`;

function lineOf(statement: SqlStatement, error: unknown): number {
  const position = error instanceof Error && "position" in error ? Number(error.position) : Number.NaN;
  if (!Number.isInteger(position) || position < 1) return statement.line;
  // The server counts characters, and JavaScript the halves of surrogate pairs.
  return lineAt(
    statement,
    Array.from(statement.text)
      .slice(0, position - 1)
      .join("").length,
  );
}

export function problemOf(migration: Migration, line: number | undefined, error: unknown): Problem {
  const statement = statementsOf(migration).findLast((one) => line !== undefined && one.line <= line);
  const cause = statement === undefined ? messageOf(error) : explained(error, statement);
  const alone =
    stateOf(error) === "25001"
      ? ` If it is one of ${ALONE.join(", ")}, begin the file with the line "-- hookonce: no transaction".`
      : "";
  return {
    file: fileOf(migration),
    line,
    message: `the migration fails, so none of it is applied: ${cause}${alone}`,
  };
}

/** The error of a start. Errors such as a full disk are not the migration's fault, and are returned unchanged. */
export function migrationFailed(migration: Migration, line: number | undefined, error: unknown): unknown {
  if (troubleOf(error) !== "statement") return error;
  const problem = problemOf(migration, line, error);
  const where = line === undefined ? "" : `:${line}`;
  return new HookonceError("migration_failed", `${problem.file}${where}: ${problem.message}`, {
    cause: error,
    problems: [problem],
  });
}
