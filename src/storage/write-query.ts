import { is, Param, Placeholder, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/sqlite-proxy";
import type { Bindable, Query } from "./statement.ts";

/** Writes queries, and has no database to run them in. */
export const db = drizzle(() => Promise.reject(new Error("queries are only written here")));

export const p = sql.placeholder;

/** A query of drizzle's as a statement is prepared from it. */
export function write(query: { toSQL(): { sql: string; params: unknown[] } }): Query {
  const { sql, params } = query.toSQL();
  return {
    sql,
    params: params.map((param) => {
      const value = is(param, Param) ? param.value : param;
      return is(value, Placeholder) ? { named: value.name } : (value as Bindable);
    }),
  };
}
