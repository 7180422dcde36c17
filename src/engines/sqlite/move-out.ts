import type { Database } from "bun:sqlite";
import { realpathSync } from "node:fs";
import { HookonceError } from "../../errors.ts";
import { readLeft } from "../marker.ts";
import {
  bytesOfRow,
  MOVED_META,
  MOVED_TABLES,
  type MoveCursor,
  type MovedRow,
  type MovedTable,
  type MovedValue,
  type MoveOut,
  type MovePage,
} from "../move.ts";
import { openToRead } from "./leftover-log.ts";
import { ownSet, pendingMigrations } from "./migrations.ts";
import { tableExists } from "./open.ts";
import { ownMigrations } from "./own-migrations.ts";
import { markMoved, movedIn, unmarkMoved, whyMoved, type Moved } from "./moved-mark.ts";
import { refusingStart } from "./sqlite-error.ts";

/** Reads an inbox on SQLite that moves to another engine. */

const MAX_ROWS = 4000;

/** Of the larger values of one page, in bytes. */
const MAX_BYTES = 4 * 1024 ** 2;

/**
 * Opens the database of an inbox that moves. The caller holds its lock.
 *
 * @throws HookonceError `database_missing`, `database_older`, `database_unusable`, `move_refused`
 */
export function openMoveOut(database: string): MoveOut {
  return refusingStart(database, () => {
    const connection = openToRead(database);
    try {
      connection.run("pragma busy_timeout = 5000");
      refuseUnready(connection, database);
      return moveOut(connection, database);
    } catch (error) {
      connection.close(true);
      throw error;
    }
  });
}

function refuseUnready(connection: Database, database: string): void {
  if (!tableExists(connection, "hookonce_events"))
    throw new HookonceError(
      "database_missing",
      `There is no inbox in ${database}: hookonce has never started on it.`,
    );
  if (pendingMigrations(connection, ownSet(ownMigrations)).length > 0)
    throw new HookonceError(
      "database_older",
      `An older hookonce made the database ${database}. Start hookonce serve once, which brings it up to date, and stop it.`,
    );
  const { killed, verdict } = readLeft(realpathSync(database));
  if (killed || verdict !== undefined)
    throw new HookonceError(
      "move_refused",
      `The last hookonce serve on ${database} was killed, and what it was doing is not recorded yet. Start it once more, and stop it with SIGTERM or Ctrl+C.`,
    );
}

function moveOut(connection: Database, database: string): MoveOut {
  const pages = new Map(MOVED_TABLES.map((table) => [table.name, pageReader(connection, table)]));
  return {
    begin(to, now) {
      const known = movedIn(connection);
      if (known?.to === to) return { move: known.id, isNew: false };
      const why = whyMoved(connection, database);
      if (why !== undefined) throw why;
      const moved: Moved = { id: crypto.randomUUID(), to, at: now };
      markMoved(database, moved);
      return { move: moved.id, isNew: true };
    },
    takeBack: () => unmarkMoved(database),
    totals: () =>
      new Map(
        MOVED_TABLES.map((table) => {
          const text = `select count(*), total(${bytesOfRow(table)}) from hookonce_${table.name} ${whereOf(table.name)}`;
          const [[rows, bytes] = []] = connection.query(text).values() as number[][];
          return [table.name, { rows: rows ?? 0, bytes: bytes ?? 0 }];
        }),
      ),
    openSources: () =>
      connection
        .query(
          "select name from hookonce_sources where name not in (select name from hookonce_source_states where state <> 'resuming') order by name",
        )
        .values()
        .flat() as string[],
    page(after) {
      const start = after === undefined ? 0 : MOVED_TABLES.findIndex(({ name }) => name === after.table);
      if (start === -1) throw new HookonceError("move_refused", `hookonce knows no table "${after?.table}".`);
      for (const { name } of MOVED_TABLES.slice(start)) {
        const page = pages.get(name)?.(after?.table === name ? after : undefined);
        if (page !== undefined) return page;
      }
      return undefined;
    },
    close: () => connection.close(true),
  };
}

const whereOf = (table: string): string =>
  table === "meta" ? `where key in (${MOVED_META.map((key) => `'${key}'`).join(", ")})` : "where true";

/** A column that SQLite has in another form. */
const SELECTED: Readonly<Record<string, string>> = {
  "enqueued.is_bytes": "typeof(body) = 'blob'",
  "enqueued.body": "cast(body as blob)",
};

/** @returns a function that reads the next page; undefined at the end of the table */
function pageReader(connection: Database, table: MovedTable) {
  const { name, key, columns } = table;
  const names = Object.keys(columns);
  const keyAt = key.map((one) => names.indexOf(one));
  const selected = names.map((one) => SELECTED[`${name}.${one}`] ?? `"${one}"`).join(", ");
  const keys = key.map((one) => `"${one}"`).join(", ");
  const from = `from hookonce_${name} ${whereOf(name)}`;
  const behind = `and (${keys}) > (${key.map(() => "?").join(", ")})`;
  const order = `order by ${keys} limit ?`;
  const large = names.filter((one) => columns[one] === "bytes" || LARGE_TEXTS.has(one));
  // Only the sizes are read, not the values.
  const size = large.map((one) => `coalesce(octet_length("${one}"), 0)`).join(" + ") || "0";

  return (after: MoveCursor | undefined): MovePage | undefined => {
    const where = after === undefined ? from : `${from} ${behind}`;
    const begin = after?.after ?? [];
    const sizes = connection
      .query(`select ${size} ${where} ${order}`)
      .values(...begin, MAX_ROWS) as number[][];
    if (sizes.length === 0) return undefined;
    const read = connection.query(`select ${selected} ${where} ${order}`).values(...begin, fitting(sizes));
    const rows = read.map((row) => completed(table, row as MovedValue[]));
    const last = rows.at(-1) ?? [];
    return { table, rows, cursor: { table: name, after: keyAt.map((at) => last[at] as number | string) } };
  };
}

/** Texts that may have many kB. */
const LARGE_TEXTS = new Set([
  "headers",
  "first_headers",
  "last_headers",
  "error",
  "stack",
  "reply",
  "request",
  "answer",
]);

/** How many rows fit into a page: at least one. */
function fitting(sizes: readonly (readonly number[])[]): number {
  let sum = 0;
  const beyond = sizes.findIndex(([bytes = 0]) => (sum += bytes) > MAX_BYTES);
  return beyond === -1 ? sizes.length : Math.max(1, beyond);
}

/** Versions before the column have stored bodies without their hash. */
function completed({ name, columns }: MovedTable, row: readonly MovedValue[]): MovedRow {
  if (name !== "bodies") return row;
  const names = Object.keys(columns);
  const hash = names.indexOf("sha256");
  const body = row[names.indexOf("bytes")];
  if (row[hash] !== null || !(body instanceof Uint8Array)) return row;
  return row.with(hash, new Uint8Array(new Bun.CryptoHasher("sha256").update(body).digest()));
}
