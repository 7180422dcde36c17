import { HookonceError } from "../../errors.ts";
import {
  bytesOfRow,
  MOVED_META,
  MOVED_TABLES,
  type MoveCursor,
  type MovedTable,
  type MovedValue,
  type MoveIn,
  type MovePage,
  type MoveTotals,
} from "../move.ts";
import { lock } from "./locks.ts";
import { nodesSeen } from "./nodes.ts";
import { arrayOf, rowsOf, sql, textOf, type Sql } from "./sql.ts";
import { atomically, writeOwn } from "./transaction.ts";
import { ownFailure } from "./trouble.ts";
import type { Sent, Wire } from "./wire.ts";

/** Writes an inbox that moves to PostgreSQL. */

/** Names the move, and how far it has come. */
const KEY = "moving";

interface Moving {
  readonly move: string;
  readonly cursor?: MoveCursor | undefined;
  readonly rows: number;
  readonly isDone: boolean;
}

/**
 * Refuses a start while a part of an inbox is still to come.
 *
 * @throws HookonceError `move_refused`
 */
export async function refuseHalfMoved(wire: Wire): Promise<void> {
  if ((await movingIn(wire))?.isDone !== false) return;
  throw new HookonceError(
    "move_refused",
    "Only a part of an inbox was moved to this database. Run hookonce import --inbox again with the same folder. It goes on where it was.",
  );
}

/** @param wire nothing else uses it. hookonce's own tables are there */
export function createMoveIn(wire: Wire): MoveIn {
  let moving: Moving = { move: "", rows: 0, isDone: false };
  const inserts = new Map<string, string>(MOVED_TABLES.map((table) => [table.name, insertInto(table)]));

  /** @throws HookonceError `move_refused` if another command has gone on */
  async function goOn(next: Moving): Promise<void> {
    const { count } = await run(
      wire,
      sql`update hookonce.meta set value = ${JSON.stringify(next)} where key = ${KEY} and value = ${JSON.stringify(moving)}`,
    );
    if (count === 1) return;
    throw new HookonceError(
      "move_refused",
      "Another hookonce import --inbox moves the same inbox to this database. Wait until it ends.",
    );
  }

  return {
    begin: (move) =>
      own(wire, async () => {
        // A start holds it, too. Two commands never begin at the same time.
        await run(wire, lock("start"));
        await run(wire, lock("baton"));
        const nodes = await nodesSeen(wire);
        if (nodes.length > 0) throw served(nodes);
        const found = await movingIn(wire);
        if (found?.move === move) moving = found;
        else {
          if (found?.isDone === false) throw otherMove();
          await empty(wire);
          moving = { move, rows: 0, isDone: false };
          await run(
            wire,
            sql`insert into hookonce.meta (key, value) values (${KEY}, ${JSON.stringify(moving)})
                on conflict (key) do update set value = excluded.value`,
          );
        }
        return { cursor: moving.cursor, rows: moving.rows, isDone: moving.isDone };
      }),
    async write(page) {
      const next = { ...moving, cursor: page.cursor, rows: moving.rows + page.rows.length };
      await own(wire, async () => {
        await goOn(next);
        await wire.send(inserts.get(page.table.name) ?? "", valuesOf(page));
      });
      moving = next;
    },
    async finish(totals) {
      const next = { ...moving, isDone: true };
      await own(wire, async () => {
        await goOn(next);
        await compare(wire, totals);
        for (const { name } of NUMBERED) await run(wire, numbersFrom(name));
        await wire.send(
          "select setval('hookonce.changes', greatest(1, max(change))) from hookonce.events having max(change) > 0",
        );
        // Without statistics, the first queries of many rows would scan tables.
        for (const { name } of MOVED_TABLES) await wire.send(`analyze hookonce.${name}`);
      });
      moving = next;
    },
    close: () => wire.drop(),
  };
}

const served = (nodes: readonly string[]): HookonceError =>
  new HookonceError(
    "move_refused",
    `The database is served: ${nodes.join(", ")}. Stop every hookonce serve on it, move the inbox, and start them again. One that was killed counts as running for 30 s.`,
  );

const otherMove = (): HookonceError =>
  new HookonceError(
    "move_refused",
    "Another inbox is being moved to this database. Finish that first, or drop the schema hookonce and begin again.",
  );

/** @throws HookonceError `move_refused` if there are not as many rows and bytes as there were */
async function compare(wire: Wire, totals: MoveTotals): Promise<void> {
  const differing: string[] = [];
  for (const table of MOVED_TABLES) {
    const { name } = table;
    // The sizes of bytes are read without the bytes.
    const text = `select count(*)::bigint as rows, coalesce(sum(${bytesOfRow(table)}), 0)::bigint as bytes from hookonce.${name}`;
    const [found = { rows: 0, bytes: 0 }] = await wire.read<{ rows: number; bytes: number }>(
      name === "meta" ? `${text} where key in (${MOVED_META.map((key) => `'${key}'`).join(", ")})` : text,
    );
    const { rows = 0, bytes = 0 } = totals.get(name) ?? {};
    if (found.rows !== rows || found.bytes !== bytes)
      differing.push(`${name} has ${found.rows} rows and ${found.bytes} bytes, and had ${rows} and ${bytes}`);
  }
  if (differing.length > 0)
    throw new HookonceError(
      "move_refused",
      `Not everything has arrived: ${differing.join("; ")}. To begin again: drop schema hookonce cascade.`,
    );
}

/** Tables whose next id follows the highest one that was moved. */
const NUMBERED = MOVED_TABLES.filter(
  ({ name, key }) => key[0] === "id" && !["bodies", "jobs"].includes(name),
);

function numbersFrom(table: string): Sql {
  // A body has the number of an event.
  const bodies = table === "events" ? "union all select max(id) from hookonce.bodies" : "";
  const text = `select setval(pg_get_serial_sequence('hookonce.${table}', 'id'), max(id))
    from (select max(id) as id from hookonce.${table} ${bodies}) as ids having max(id) > 0`;
  return { texts: [text], values: [] };
}

/** Does work in a transaction that may write hookonce's own tables. */
async function own<Result>(wire: Wire, work: () => Promise<Result>): Promise<Result> {
  try {
    return await atomically(wire, async () => {
      await writeOwn(wire);
      return await work();
    });
  } catch (error) {
    throw ownFailure(error);
  }
}

const run = (wire: Wire, statement: Sql): Promise<Sent> => wire.send(textOf(statement), statement.values);

async function movingIn(wire: Wire): Promise<Moving | undefined> {
  const [row] = await rowsOf<{ value: string }>(
    wire,
    sql`select value from hookonce.meta where key = ${KEY}`,
  );
  return row === undefined ? undefined : (JSON.parse(row.value) as Moving);
}

/** Tables that must be empty before a move: their rows must not be lost, and would clash with the rows that move. */
const KEPT = ["events", "failures", "messages", "tokens"] as const;

/** A start that received nothing has stored its sources and similar rows. The rows that move replace them. */
async function empty(wire: Wire): Promise<void> {
  for (const table of KEPT) {
    const { rows } = await wire.send(`select 1 from hookonce.${table} limit 1`);
    if (rows.length > 0)
      throw new HookonceError(
        "move_refused",
        `There are ${table} in this inbox already, and an inbox can only be moved to a new one. To begin again: drop schema hookonce cascade.`,
      );
  }
  for (const { name } of MOVED_TABLES) if (name !== "meta") await wire.send(`delete from hookonce.${name}`);
  await run(wire, sql`delete from hookonce.meta where key = any(${arrayOf(MOVED_META)}::text[])`);
}

/**
 * One statement for any number of rows: each column is an array. Bytes come one after another in one value, with
 * arrays of where each begins and how long it is: an array of bytes takes the server six times as long to read.
 */
function insertInto({ name, columns }: MovedTable): string {
  const arrays: string[] = [];
  const array = (type: string): string => `c${arrays.push(`$${arrays.length + 1}::text::${type}[]`)}`;
  const packs = Object.values(columns).filter((kind) => kind === "bytes").length;
  let pack = Object.keys(columns).length + packs;
  const selected = Object.values(columns).map((kind) => {
    if (kind !== "bytes") return array(TYPES[kind]);
    const [at, length] = [array("integer"), array("integer")];
    return `substring($${++pack}::bytea from ${at} for ${length})`;
  });
  const names = Object.keys(columns).map((column) => `"${column}"`);
  const given = arrays.map((_, index) => `c${index + 1}`);
  return `insert into hookonce.${name} (${names.join(", ")}) select ${selected.join(", ")}
    from unnest(${arrays.join(", ")}) as given (${given.join(", ")})`;
}

const TYPES = { integer: "bigint", boolean: "boolean", text: "text" } as const;

function valuesOf({ table, rows }: MovePage): (string | Uint8Array)[] {
  const arrays: string[] = [];
  const packs: Uint8Array[] = [];
  for (const [index, kind] of Object.values(table.columns).entries()) {
    const column = rows.map((row) => row[index] ?? null);
    if (kind === "bytes") {
      const packed = pack(column.map(bytesOf));
      arrays.push(packed.begins, packed.lengths);
      packs.push(packed.bytes);
    } else arrays.push(arrayOfItems(column.map((value) => itemOf(kind, value))));
  }
  return [...arrays, ...packs];
}

const arrayOfItems = (items: readonly (string | number | null)[]): string =>
  `{${items.map((item) => item ?? "null").join(",")}}`;

function pack(values: readonly (Uint8Array | null)[]) {
  // The first byte is number 1.
  let next = 1;
  const begins = values.map((value) => {
    const begin = value === null ? null : next;
    next += value?.length ?? 0;
    return begin;
  });
  return {
    bytes: Buffer.concat(values.filter((value) => value !== null)),
    begins: arrayOfItems(begins),
    lengths: arrayOfItems(values.map((value) => value?.length ?? null)),
  };
}

function itemOf(kind: keyof typeof TYPES, value: MovedValue): string | number | null {
  if (value === null) return null;
  if (kind === "integer") return String(value);
  if (kind === "boolean") return value === 1 ? "t" : "f";
  // PostgreSQL stores no NUL.
  return `"${String(value)
    .replaceAll("\0", "\ufffd")
    .replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

function bytesOf(value: MovedValue): Uint8Array | null {
  return value === null || value instanceof Uint8Array ? value : new TextEncoder().encode(String(value));
}
