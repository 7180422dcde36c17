import { getTableColumns, is, Param, Placeholder, sql, type SQL } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import { drizzle } from "drizzle-orm/sqlite-proxy";
import type { Named, Query } from "./statement.ts";

/** Writes queries, and has no database to run them in. */
export const db = drizzle(() => Promise.reject(new Error("queries are only written here")));

export const p = sql.placeholder;

/** Of one row, where a query takes several. */
export const inRow = (row: number, name: string): Placeholder => p(`${row}.${name}`);

/** A query of drizzle's as a statement is prepared from it: constants stand in its text, and what is named twice is bound once. */
export function write(query: { toSQL(): { sql: string; params: unknown[] } }): Query {
  const { sql, params } = query.toSQL();
  const names: string[] = [];
  const [start = "", ...rest] = sql.split("?");
  const text = rest.map((piece, n) => {
    const param = is(params[n], Param) ? params[n].value : params[n];
    if (!is(param, Placeholder)) return literal(param) + piece;
    if (!names.includes(param.name)) names.push(param.name);
    return `?${names.indexOf(param.name) + 1}${piece}`;
  });
  return { sql: start + text.join(""), params: names.map(named) };
}

/**
 * An INSERT of several rows. So that it can be undone by itself SQLite would put aside a copy of every page that it is about to change;
 * with OR ROLLBACK, which drizzle does not know, an error ends the whole transaction instead, and nothing is copied. No row may name its id
 * then, not even as null.
 *
 * @param rest what follows on the rows
 */
export function insertOrRollback<Table extends SQLiteTable>(
  table: Table,
  rows: readonly { [Column in keyof Table["$inferInsert"]]?: Placeholder | string }[],
  rest: SQL = sql``,
): Query {
  const columns = getTableColumns(table);
  const names = Object.keys(rows[0] ?? {}).map((key) => sql.identifier(columns[key]?.name ?? key));
  const values = rows.map((row) => sql`(${sql.join(Object.values(row), comma)})`);
  const insert = sql`insert or rollback into ${table} (${sql.join(names, comma)}) values ${sql.join(values, comma)}${rest}`;
  return write({ toSQL: () => db.run(insert).getQuery() });
}

const comma = sql`, `;

function literal(value: unknown): string {
  if (typeof value === "number" || value === null) return String(value);
  if (typeof value === "string") return `'${value.replaceAll("'", "''")}'`;
  throw new TypeError(`a constant of type ${typeof value} cannot stand in a query: name it`);
}

function named(name: string): Named {
  const [, row, field] = /^(\d+)\.(.+)$/.exec(name) ?? [];
  return field === undefined ? { name, row: 0 } : { name: field, row: Number(row) };
}
