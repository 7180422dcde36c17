/** What differs in the declarations of "hookonce" and "hookonce/test" if the database is on PostgreSQL. */

const DATABASE = `/**
 * Drizzle for PostgreSQL, inside the event's transaction. Await each query: it does nothing until then.
 *
 * \`\`\`ts
 * await db.execute(sql\`update credits set cents = 0 where customer = \${customer}\`);
 * const [row] = await db.select().from(credits).where(eq(credits.customer, customer));
 * await db.insert(credits).values({ customer, cents });
 * \`\`\`
 *
 * If you catch an error of a query, PostgreSQL accepts no other query of the event, unless the query was inside
 * \`db.transaction\`, which is a savepoint.
 *
 * It is only valid during this call: after the handler has returned, every statement throws
 * \`handler_finished\`.
 */
export type HandlerDatabase = PgDatabase<Rows, Record<string, never>>;

/** \`db.execute\` returns the rows, each an object. */
export interface Rows extends PgQueryResultHKT {
  type: Extract<this["row"], Record<string, unknown>>[];
}
`;

/** Each left side is in the declarations for SQLite once. */
const CHANGES: Readonly<Record<string, readonly (readonly [from: string | RegExp, to: string])[]>> = {
  "hookonce.d.ts": [
    [
      'import type { BaseSQLiteDatabase } from "drizzle-orm/sqlite-core";',
      'import type { PgDatabase, PgQueryResultHKT } from "drizzle-orm/pg-core";',
    ],
    [
      /\/\*\* The result of `db\.run`[^]*?export type HandlerDatabase = BaseSQLiteDatabase<"sync", RunResult>;\n/,
      DATABASE,
    ],
    [
      `Any other value is a type error here, and fails the
 * event at run time. So do \`async\` handlers and generators: the transaction does not wait for them.`,
      `Any other value is a type error here, and fails the
 * event at run time.`,
    ],
    [
      "The function of a handler. It returns nothing or a {@link reply}.",
      "The function of a handler. It returns nothing or a {@link reply}, or a promise of it.",
    ],
    [
      "(context: HandlerContext<Payload>) => Returned;",
      "(context: HandlerContext<Payload>) => Returned | Promise<Returned>;",
    ],
    [
      "It runs synchronously inside the transaction that records the event",
      "It runs inside the transaction that records the event",
    ],
    [
      `export default handler(({ event, db }) => {
 *   db.run(sql\``,
      `export default handler(async ({ event, db }) => {
 *   await db.execute(sql\``,
    ],
  ],
  "test.d.ts": [
    [
      'import type { Database } from "bun:sqlite";\n',
      `/** A connection to the temporary database: a query in a template literal returns its rows. */
export interface Database {
  <Row = any>(text: TemplateStringsArray, ...values: readonly unknown[]): Promise<Row[]>;
  /** Runs several statements, without values. */
  script(text: string): Promise<void>;
}
`,
    ],
    [
      "readonly prepare?: (db: Database) => void;",
      "readonly prepare?: (db: Database) => void | Promise<void>;",
    ],
    ["on a new database in a\n * temporary folder.", "on a new database of\n * its server."],
  ],
};

/** @throws if a declaration does not have what is to be replaced, so that the build breaks */
export function inPostgres(file: keyof typeof CHANGES, text: string): string {
  return (CHANGES[file] ?? []).reduce((before, [from, to]) => {
    const after = before.replace(from, () => to);
    if (after === before) throw new Error(`${file} does not contain: ${from}`);
    return after;
  }, text);
}
