/** The texts of handlers and tables for tests. */

/** A TypeScript handler with this body, which can use `event`, `db`, `sql`, `effect` and the tables. */
export function ts(body: string, before = ""): string {
  return `import { handler } from "hookonce";
import { eq, sql } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

const effects = sqliteTable("effects", { eventId: text("event_id"), note: text() });
const things = sqliteTable("things", { n: integer().primaryKey(), note: text() });
${before}
export default handler(({ event, db }) => {
  const effect = (note) => db.run(sql\`insert into effects values (\${event.id}, \${note})\`);
${body}
});
`;
}

export const TABLES = `
create table effects (event_id text, note text) strict;
create table things (n integer primary key, note text) strict;
insert into things values (1, 'one'), (2, 'two'), (3, 'three');
`;
