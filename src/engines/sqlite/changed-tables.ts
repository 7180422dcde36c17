import type { Database } from "bun:sqlite";
import type { ChangedRow, ChangedRows, ShownValue } from "../trial.ts";

const KINDS = ["insert", "update", "delete"] as const;

/** How many rows of a table are shown. */
const MAX_SHOWN = 20;

/** How many rows are kept, because some of them end up unchanged. */
const MAX_TOUCHED = 100;

/** Longer text is cut, in characters. */
const MAX_TEXT = 2000;

export interface ChangeWatch {
  /** What was changed in the open transaction. */
  rows(): ChangedRows[];
  /** How many rows the triggers have written. SQLite's total_changes() counts them, too. */
  written(): number;
}

/**
 * Watches what is changed in the user's tables, by temporary triggers: they belong to this connection, and
 * nothing of them is in the database. They count all changes, and keep the first rows of each table as they
 * were before. Virtual tables cannot have triggers.
 */
export function watchChanges(db: Database): ChangeWatch {
  const tables = userTables(db).map((name, index) => watchedTable(db, name, index));
  db.run("create temp table hookonce_changed_rows (of integer not null, kind text not null)");
  for (const table of tables) {
    if (table.keys.length > 0) db.run(touchedTable(table));
    for (const kind of KINDS) db.run(triggerFor(table, kind));
  }
  // Without it, no trigger runs for a row that REPLACE deletes. But the user's own triggers would run, too.
  if (!hasTriggers(db)) db.run("pragma recursive_triggers = on");
  const counted = db.query("select of, kind, count(*) from hookonce_changed_rows group by 1, 2");
  const logs = [
    "hookonce_changed_rows",
    ...tables.flatMap((one) => (one.keys.length > 0 ? one.touched : [])),
  ];
  const written = db.query(
    `select ${logs.map((log) => `(select coalesce(max(rowid), 0) from temp.${log})`).join(" + ")}`,
  );
  return {
    written: () => Number(written.values()[0]?.[0]),
    rows() {
      const counts = counted.values() as [number, (typeof KINDS)[number], number][];
      return tables.flatMap((table, index) => {
        const of = (kind: string): number =>
          counts.find((row) => row[0] === index && row[1] === kind)?.[2] ?? 0;
        const all = { inserted: of("insert"), updated: of("update"), deleted: of("delete") };
        if (all.inserted + all.updated + all.deleted === 0) return [];
        const rows = changedRows(db, table);
        if (rows === undefined) return [{ table: table.name, ...all, rows: [] }];
        const { changed, isCut } = rows;
        const net = (change: ChangedRow["change"]): number =>
          changed.filter((one) => one.change === change).length;
        const exact = { inserted: net("inserted"), updated: net("updated"), deleted: net("deleted") };
        if (changed.length === 0 && !isCut) return [];
        return [{ table: table.name, ...(isCut ? all : exact), rows: changed.slice(0, MAX_SHOWN) }];
      });
    },
  };
}

interface Watched {
  readonly name: string;
  readonly index: number;
  /** The temporary table of its rows as they were. */
  readonly touched: string;
  readonly columns: readonly string[];
  /** What identifies a row: its primary key, else its rowid. Empty if no name is left for that. */
  readonly keys: readonly string[];
}

function userTables(db: Database): string[] {
  return db
    .query(
      `select name from pragma_table_list
       where schema = 'main' and type = 'table' and name not like 'sqlite\\_%' escape '\\'
         and name not like 'hookonce\\_%' escape '\\'
       order by name`,
    )
    .values()
    .map(([name]) => String(name));
}

/** Whether the user's tables have triggers. hookonce's own is on the view `hookonce_outbox`. */
function hasTriggers(db: Database): boolean {
  const found = db.query(
    `select 1 from main.sqlite_schema
     where type = 'trigger' and tbl_name not like 'hookonce\\_%' escape '\\' limit 1`,
  );
  return found.values().length > 0;
}

function watchedTable(db: Database, name: string, index: number): Watched {
  const columns = db
    .query("select name, pk from pragma_table_xinfo(?, 'main') where hidden <> 1 order by cid")
    .values(name) as [string, number][];
  const primary = columns.filter(([, pk]) => pk > 0).map(([column]) => column);
  const names = new Set(columns.map(([column]) => column.toLowerCase()));
  const rowid = ["rowid", "_rowid_", "oid"].find((alias) => !names.has(alias));
  return {
    name,
    index,
    touched: `hookonce_touched_${index}`,
    columns: columns.map(([column]) => column),
    keys: primary.length > 0 ? primary : rowid === undefined ? [] : [rowid],
  };
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

function touchedTable({ touched, keys, columns }: Watched): string {
  const all = [...keys.map((_, at) => `k${at}`), "existed", ...columns.map((_, at) => `c${at}`)];
  return `create temp table ${touched} (${all.join(", ")})`;
}

function triggerFor(table: Watched, kind: (typeof KINDS)[number]): string {
  const kept = table.keys.length === 0 ? [] : keptBy(table, kind);
  const steps = [`insert into hookonce_changed_rows values (${table.index}, '${kind}')`, ...kept];
  return `create temp trigger hookonce_${kind}_${table.index} after ${kind} on main.${quoted(table.name)}
    begin ${steps.map((step) => `${step}; `).join("")}end`;
}

/** The statements that keep each row as it was, once. A row that was not there has only a key. */
function keptBy({ touched, keys, columns }: Watched, kind: (typeof KINDS)[number]): string[] {
  const keysOf = (row: string): string => keys.map((key) => `${row}.${quoted(key)}`).join(", ");
  const isFirst = (row: string): string => {
    const isSameRow = keys.map((key, at) => `${row}.${quoted(key)} is k${at}`).join(" and ");
    // Not `insert or ignore`: the conflict clause of the statement that runs the trigger would take its place.
    return `(select count(*) from temp.${touched}) < ${MAX_TOUCHED}
      and not exists (select 1 from temp.${touched} where ${isSameRow})`;
  };
  const values = columns.map((column) => `old.${quoted(column)}`).join(", ");
  const before = `insert into ${touched} select ${keysOf("old")}, 1, ${values} where ${isFirst("old")}`;
  const nulls = columns.map(() => "null").join(", ");
  const made = `insert into ${touched} select ${keysOf("new")}, 0, ${nulls} where ${isFirst("new")}`;
  return kind === "insert" ? [made] : kind === "delete" ? [before] : [before, made];
}

/** @returns undefined if the rows of the table cannot be told apart */
function changedRows(
  db: Database,
  { name, touched, keys, columns }: Watched,
): { readonly changed: readonly ChangedRow[]; readonly isCut: boolean } | undefined {
  if (keys.length === 0) return undefined;
  const where = keys.map((key) => `${quoted(key)} is ?`).join(" and ");
  const now = db.query(`select ${columns.map(quoted).join(", ")} from main.${quoted(name)} where ${where}`);
  const kept = db.query(`select * from temp.${touched} order by rowid`);
  for (const statement of [now, kept]) statement.safeIntegers(true);
  const all = kept.values();
  const changed = all.flatMap((row): ChangedRow[] => {
    const [existed, ...before] = row.slice(keys.length);
    const after = now.values(...(row.slice(0, keys.length) as string[]))[0] ?? null;
    const was = existed === 1n ? before : null;
    const differ = columns.filter((_, at) => !isSame(was?.[at], after?.[at]));
    if (differ.length === 0 || (was === null && after === null)) return [];
    return [
      {
        change: was === null ? "inserted" : after === null ? "deleted" : "updated",
        before: was === null ? null : shownRow(columns, was),
        after: after === null ? null : shownRow(columns, after),
        changed: differ,
      },
    ];
  });
  return { changed, isCut: all.length === MAX_TOUCHED };
}

function isSame(before: unknown, after: unknown): boolean {
  if (before instanceof Uint8Array && after instanceof Uint8Array) return Buffer.from(before).equals(after);
  return Object.is(before, after);
}

function shownRow(columns: readonly string[], row: readonly unknown[]): Record<string, ShownValue> {
  return Object.fromEntries(columns.map((column, at) => [column, shown(row[at])]));
}

function shown(value: unknown): ShownValue {
  if (typeof value === "string") return value.length <= MAX_TEXT ? value : `${value.slice(0, MAX_TEXT)}…`;
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (!(value instanceof Uint8Array)) return null;
  const hex = Buffer.from(value.subarray(0, MAX_TEXT / 2)).toString("hex");
  return `x'${hex}${value.length > MAX_TEXT / 2 ? "…" : ""}'`;
}
