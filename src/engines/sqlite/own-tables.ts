import type { Database } from "bun:sqlite";

/** Determines what a statement writes. */

const OWN = "tbl_name like 'hookonce\\_%' escape '\\'";

/**
 * Returns those of hookonce's own tables that a statement may write, directly or through triggers. SQLite
 * itself gives the answer: the program to which it compiles the statement and its triggers opens each b-tree
 * that it writes (https://sqlite.org/opcode.html). Takes about 20 µs.
 *
 * @throws SQLiteError if the statement cannot be prepared
 */
export function ownTablesWrittenBy(
  db: Database,
  statement: string,
  program = programOf(db, statement),
): string[] {
  return ownTablesOf(db, program.flatMap(rootWrittenBy));
}

/** The program of a statement, followed by those of its triggers. */
export type Program = readonly Instruction[];

/**
 * Whether a statement writes a view, so that only the view's INSTEAD OF trigger changes rows: its own program
 * opens no table to write, and the trigger's does.
 */
export function writesView(program: Program): boolean {
  // Each program begins at the address 0.
  const end = program.findIndex(([address], index) => address === 0 && index > 0);
  const own = end === -1 ? program : program.slice(0, end);
  return own.some(([, opcode]) => opcode === "Program") && !own.some(([, opcode]) => WRITES.has(opcode));
}

const WRITES = new Set(["OpenWrite", "Clear", "VUpdate"]);

/** @throws SQLiteError if the statement cannot be prepared */
export function programOf(db: Database, statement: string): Program {
  const explain = db.query(`explain ${statement}`);
  const program = explain.values() as Instruction[];
  explain.finalize();
  return program;
}

function ownTablesOf(db: Database, roots: readonly number[]): string[] {
  if (roots.length === 0) return [];
  const own = db.query(`select distinct tbl_name, rootpage from sqlite_schema where ${OWN}`).values() as [
    string,
    number,
  ][];
  return [...new Set(own.filter(([, root]) => roots.includes(root)).map(([table]) => table))];
}

/**
 * The schema of hookonce's own tables, with their indexes and triggers, as text. Two are equal if nothing has
 * changed. TEMP objects are part of it: one with the name of a table comes before it in every statement.
 */
export function ownSchema(db: Database): string {
  const [main, temporary] = ["sqlite_schema", "sqlite_temp_schema"].map((schema) =>
    db.query(`select type, name, sql from ${schema} where ${OWN} order by type, name`).values(),
  );
  return JSON.stringify([main, temporary]);
}

/** The names of the TEMP objects of a connection. They last until it is closed. */
export function temporaryObjects(db: Database): string[] {
  return db
    .query("select name from sqlite_temp_schema where name not like 'sqlite\\_%' escape '\\' order by name")
    .values()
    .map(([name]) => String(name));
}

type Instruction = [address: number, opcode: string, p1: number, p2: number, p3: number, p4: unknown];

const MAIN = 0;

function rootWrittenBy([, opcode, p1, p2, p3]: Instruction): number[] {
  if (opcode === "OpenWrite") return p3 === MAIN ? [p2] : [];
  // DELETE without WHERE empties the whole tree.
  if (opcode === "Clear" || opcode === "Destroy") return [p1];
  return [];
}
