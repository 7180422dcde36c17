import type { Database } from "bun:sqlite";
import type { ChangedTable } from "../store.ts";

const KINDS = ["insert", "update", "delete"] as const;

/**
 * Counts the rows that are changed in the user's tables, by temporary triggers: they belong to this connection,
 * and nothing of them is in the database. Virtual tables cannot have triggers.
 *
 * @returns what was counted in the open transaction
 */
export function countChanges(db: Database): () => readonly ChangedTable[] {
  const tables = db
    .query(
      `select name from pragma_table_list
       where schema = 'main' and type = 'table' and name not like 'sqlite\\_%' escape '\\'
         and name not like 'hookonce\\_%' escape '\\'
       order by name`,
    )
    .values()
    .map(([name]) => String(name));
  db.run("create temp table hookonce_changed_rows (of integer not null, kind text not null)");
  for (const [index, table] of tables.entries())
    for (const kind of KINDS)
      db.run(
        `create temp trigger hookonce_${kind}_${index} after ${kind} on main."${table.replaceAll('"', '""')}"
         begin insert into hookonce_changed_rows values (${index}, '${kind}'); end`,
      );
  const counted = db.query("select of, kind, count(*) from hookonce_changed_rows group by 1, 2 order by 1");
  return () => {
    const rows = counted.values() as [number, (typeof KINDS)[number], number][];
    return tables.flatMap((table, index) => {
      const of = (kind: string): number => rows.find((row) => row[0] === index && row[1] === kind)?.[2] ?? 0;
      const changed = { table, inserted: of("insert"), updated: of("update"), deleted: of("delete") };
      return changed.inserted + changed.updated + changed.deleted === 0 ? [] : [changed];
    });
  };
}
