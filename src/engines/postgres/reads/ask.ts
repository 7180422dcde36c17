import type { Sql } from "../sql.ts";

/** Runs a statement that only reads, and returns its rows. */
export type Ask = <Row extends object>(statement: Sql) => Promise<Row[]>;

/** The first row. */
export async function askOne<Row extends object>(ask: Ask, statement: Sql): Promise<Row | undefined> {
  const [row] = await ask<Row>(statement);
  return row;
}
