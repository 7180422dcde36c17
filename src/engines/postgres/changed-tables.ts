import type { ChangedRow, ChangedRows, ChangedTable, ShownValue } from "../trial.ts";
import { arrayOf } from "./sql.ts";
import { stateOf } from "./trouble.ts";
import type { Wire } from "./wire.ts";

/** How many rows of a table are shown. */
const MAX_SHOWN = 20;

/** How many rows are read, because some of them end up unchanged. */
const MAX_TOUCHED = 100;

/** The changed rows of a larger table are only counted. Finding them reads all of it: 40 ms for so many rows. */
const MAX_SEARCHED = 200_000;

/** Longer text is cut, in characters. */
const MAX_TEXT = 2000;

export interface ChangeWatch {
  /** Call it when the transaction has begun. */
  begin(): Promise<void>;
  /** How many rows were changed in the user's tables since then. */
  counts(): Promise<ChangedTable[]>;
  /** The same with the rows. */
  rows(): Promise<ChangedRows[]>;
}

interface Counts extends ChangedTable {
  readonly id: number;
  /** An estimate; -1 if it was never analyzed. */
  readonly size: number;
}

const COUNTS = `
  select s.relid::bigint as id, s.relid::regclass::text as "table", c.reltuples::float8 as size,
    n_tup_ins as inserted, n_tup_upd as updated, n_tup_del as deleted
  from pg_stat_xact_user_tables s join pg_class c on c.oid = s.relid
  where s.schemaname <> 'hookonce' and n_tup_ins + n_tup_upd + n_tup_del > 0 order by 2`;

/** Of the open transaction and of its savepoints. */
const OWN_IDS = `
  select transactionid::text as id from pg_locks
  where locktype = 'transactionid' and mode = 'ExclusiveLock' and pid = pg_backend_pid()`;

const COLUMNS = `
  select quote_ident(attname) as quoted, attname as name, format_type(atttypid, atttypmod) as type,
    atttypid in (20, 21, 23, 26, 700, 701, 1700) as "isNumber", coalesce(attnum = any (indkey), false) as "isKey"
  from pg_attribute left join pg_index on indrelid = attrelid and indisprimary
  where attrelid = $1::oid and attnum > 0 and not attisdropped order by attnum`;

interface Column {
  readonly quoted: string;
  readonly name: string;
  readonly type: string;
  readonly isNumber: boolean;
  readonly isKey: boolean;
}

/** Its values as text. */
type Row = readonly (string | null)[];

/**
 * Watches what a transaction changes. The server counts it. The rows are found by the transaction that has written
 * them, and another connection sees them as they were before.
 *
 * @param wire the connection of the transaction
 */
export function watchChanges(wire: Wire, outside: Wire): ChangeWatch {
  let before = new Map<number, Counts>();

  // The statistics of the last transaction may still be among them.
  async function counts(): Promise<Counts[]> {
    return (await wire.read<Counts>(COUNTS)).flatMap((now) => {
      const { inserted = 0, updated = 0, deleted = 0 } = before.get(now.id) ?? {};
      const since = {
        ...now,
        inserted: now.inserted - inserted,
        updated: now.updated - updated,
        deleted: now.deleted - deleted,
      };
      return since.inserted + since.updated + since.deleted > 0 ? [since] : [];
    });
  }

  async function rowsOf({ id, size, ...all }: Counts): Promise<ChangedRows | undefined> {
    const columns = await wire.read<Column>(COLUMNS, [id]);
    if (size > MAX_SEARCHED || !columns.some(({ isKey }) => isKey)) return { ...all, rows: [] };
    const touched = await touchedRows(wire, outside, all.table, columns);
    const changed = touched.flatMap((one) => changedRow(columns, one));
    if (touched.length > MAX_TOUCHED) return { ...all, rows: changed.slice(0, MAX_SHOWN) };
    const net = (change: ChangedRow["change"]): number =>
      changed.filter((one) => one.change === change).length;
    if (changed.length === 0) return undefined;
    const exact = { inserted: net("inserted"), updated: net("updated"), deleted: net("deleted") };
    return { table: all.table, ...exact, rows: changed.slice(0, MAX_SHOWN) };
  }

  return {
    async begin() {
      before = new Map((await wire.read<Counts>(COUNTS)).map((one) => [one.id, one]));
    },
    counts: async () => (await counts()).map(({ id: _id, size: _size, ...one }) => one),
    async rows() {
      const found: ChangedRows[] = [];
      for (const one of await counts()) {
        const rows = await rowsOf(one);
        if (rows !== undefined) found.push(rows);
      }
      return found;
    },
  };
}

interface Touched {
  /** Undefined: it was inserted. */
  readonly before: Row | undefined;
  /** Undefined: it was deleted. */
  readonly after: Row | undefined;
}

/** The rows of a table that the open transaction has written, also those that are as before. */
async function touchedRows(
  wire: Wire,
  outside: Wire,
  table: string,
  columns: readonly Column[],
): Promise<Touched[]> {
  const ids = arrayOf((await wire.read<{ id: string }>(OWN_IDS)).map(({ id }) => id));
  const list = columns.map(({ quoted }) => `${quoted}::text`).join(", ");
  const written = async (from: Wire, by: "xmin" | "xmax") =>
    (
      await rowsIn(from, `select ctid::text, ${list} from ${table} where ${by} = any ($1::xid[]) limit $2`, [
        ids,
        MAX_TOUCHED + 1,
      ])
    ).map(([place, ...row]) => ({ place: place ?? "", row }));
  const after = await written(wire, "xmin");
  const replaced = await written(outside, "xmax");
  // A row that is still there was only locked, for example by a foreign key.
  const locked = await rowsIn(wire, `select ctid::text from ${table} where ctid = any ($1::tid[])`, [
    arrayOf(replaced.map(({ place }) => place)),
  ]);
  const places = new Set(locked.map(([place]) => place));
  const keyOf = (row: Row): string => JSON.stringify(row.filter((_, at) => columns[at]?.isKey === true));
  const gone = new Map(
    replaced.filter(({ place }) => !places.has(place)).map(({ row }) => [keyOf(row), row]),
  );
  const isKey = columns
    .filter((column) => column.isKey)
    .map(({ quoted, type }, at) => `${quoted} = $${at + 1}::text::${type}`);
  const select = `select ${list} from ${table} where ${isKey.join(" and ")}`;
  const touched: Touched[] = [];
  for (const { row } of after) {
    const key = keyOf(row);
    // While another transaction locks the row, it is not found by the one that has replaced it.
    const before = gone.get(key) ?? (await rowsIn(outside, select, JSON.parse(key) as string[]))[0];
    gone.delete(key);
    touched.push({ before, after: row });
  }
  return [...touched, ...Array.from(gone.values(), (before) => ({ before, after: undefined }))];
}

/** @returns no row if the table is only in the open transaction */
async function rowsIn(wire: Wire, text: string, values: readonly (string | number)[]): Promise<Row[]> {
  try {
    return (await wire.send(text, values)).rows as readonly Row[] as Row[];
  } catch (error) {
    if (stateOf(error) === "42P01" || stateOf(error) === "42703") return [];
    throw error;
  }
}

function changedRow(columns: readonly Column[], { before, after }: Touched): ChangedRow[] {
  const changed = columns.filter((_, at) => before?.[at] !== after?.[at]).map(({ name }) => name);
  if (changed.length === 0) return [];
  return [
    {
      change: before === undefined ? "inserted" : after === undefined ? "deleted" : "updated",
      before: before === undefined ? null : shownRow(columns, before),
      after: after === undefined ? null : shownRow(columns, after),
      changed,
    },
  ];
}

const shownRow = (columns: readonly Column[], row: Row): Record<string, ShownValue> =>
  Object.fromEntries(columns.map((column, at) => [column.name, shown(column, row[at] ?? null)]));

function shown({ isNumber }: Column, text: string | null): ShownValue {
  if (text === null) return null;
  // Otherwise a number would not show all of its digits.
  if (isNumber && String(Number(text)) === text) return Number(text);
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}…`;
}
