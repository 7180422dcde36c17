import type { Database } from "bun:sqlite";

/** A table with more rows is large. To count so many takes up to 1 ms, and to scan them as long. */
const MAX_COUNTED = 10_000;

/** For messages. */
export const counted = "10,000 rows";

/** The tables with more rows than that, without virtual ones. */
export function largeTables(db: Database): ReadonlySet<string> {
  const tables = db
    .query(
      "select name from pragma_table_list where schema = 'main' and type = 'table' and name not like 'sqlite\\_%' escape '\\'",
    )
    .values() as [string][];
  const large = tables.filter(([name]) => {
    const quoted = `"${name.replaceAll('"', '""')}"`;
    // The rows are not read: SQLite takes the smallest index, or the pages of the table.
    const count = db.query(`select count(*) from (select 1 from ${quoted} limit ${MAX_COUNTED + 1})`);
    const [rows] = count.values()[0] as [number];
    count.finalize();
    return rows > MAX_COUNTED;
  });
  return new Set(large.map(([name]) => name));
}
