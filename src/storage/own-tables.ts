import type { Database } from "bun:sqlite";

/** hookonce's own tables, and which statements would change them. */

const OWN = "tbl_name like 'hookonce\\_%' escape '\\'";

/**
 * The tables of hookonce's own that a statement may write, by itself or through triggers. SQLite says so: the program that it compiles
 * a statement to, with those of the triggers, opens each b-tree that it writes (https://sqlite.org/opcode.html). Takes about 20 µs.
 *
 * @throws SQLiteError where the statement cannot be prepared
 */
export function ownTablesWrittenBy(db: Database, statement: string): string[] {
  const explain = db.prepare(`explain ${statement}`);
  const written = new Set((explain.values() as Instruction[]).flatMap(rootWrittenBy));
  explain.finalize();
  if (written.size === 0) return [];
  const own = db.prepare(`select distinct tbl_name, rootpage from sqlite_schema where ${OWN}`).values() as [
    string,
    number,
  ][];
  return [...new Set(own.filter(([, root]) => written.has(root)).map(([table]) => table))];
}

/** All that makes them what they are, their indexes and triggers included; equal exactly when it is unchanged. */
export function ownSchema(db: Database): string {
  return JSON.stringify(
    db.prepare(`select type, name, sql from sqlite_schema where ${OWN} order by type, name`).values(),
  );
}

type Instruction = [address: number, opcode: string, p1: number, p2: number, p3: number];

const MAIN = 0;

function rootWrittenBy([, opcode, p1, p2, p3]: Instruction): number[] {
  if (opcode === "OpenWrite") return p3 === MAIN ? [p2] : [];
  // DELETE without WHERE empties the whole tree.
  if (opcode === "Clear" || opcode === "Destroy") return [p1];
  return [];
}
