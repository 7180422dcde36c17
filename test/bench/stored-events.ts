import { Database } from "bun:sqlite";
import { closeSync, fsyncSync, openSync } from "node:fs";
import { join } from "node:path";
import { startServer } from "./child-server.ts";
import { createIds, type IdKind } from "./event-ids.ts";
import { CUSTOMERS, createEvents, customerOf, headersOf } from "./events.ts";
import { databaseOf, writeInboxFolder } from "./inbox-folder.ts";

/** Measured: the disk space of one stored event of 1.2 kB, in bytes. */
export const STORED_EVENT_BYTES = 2300;

type Row = Record<string, string | number | Uint8Array | null>;

const SIXTY_DAYS_MS = 60 * 24 * 3600 * 1000;

/**
 * Makes an inbox that has received `count` events in the last sixty days. hookonce creates the database and
 * stores one event. SQL then copies the rows of this event under new ids. It inserts them in the order in
 * which the events would have arrived, so that the pages of the index are as full as in practice.
 */
export async function makeStoredInbox(
  folder: string,
  binary: string,
  kind: IdKind,
  count: number,
): Promise<void> {
  writeInboxFolder(folder);
  const start = Date.now() - SIXTY_DAYS_MS;
  const nextEvent = createEvents(createIds(kind, start, count / SIXTY_DAYS_MS));
  await deliverOne(folder, binary, nextEvent);
  const path = databaseOf(folder);
  using database = new Database(path, { strict: true });
  // The database need not survive a failure of the machine.
  database.run("pragma journal_mode = delete");
  for (const pragma of ["journal_mode = off", "synchronous = off", "cache_size = -400000"])
    database.run(`pragma ${pragma}`);
  copyEvents(database, nextEvent, count);
  addCustomers(database);
  database.run("pragma journal_mode = wal");
  database.close();
  // Otherwise the kernel would still be writing the file during the measurement.
  const file = openSync(path, "r");
  fsyncSync(file);
  closeSync(file);
}

async function deliverOne(
  folder: string,
  binary: string,
  nextEvent: ReturnType<typeof createEvents>,
): Promise<void> {
  await using server = await startServer(
    (port) => [binary, "serve", folder, "--listen", `127.0.0.1:${port}`],
    join(folder, "server.log"),
  );
  const event = nextEvent();
  const headers = { ...headersOf(event, Math.floor(Date.now() / 1000)), connection: "close" };
  const response = await fetch(`${server.url}/webhook/stripe`, { method: "POST", headers, body: event.body });
  if (response.status !== 200)
    throw new Error(`The event to copy was not accepted: ${await response.text()}`);
}

function copyEvents(database: Database, nextEvent: ReturnType<typeof createEvents>, count: number): void {
  const event = database.query<Row, []>("select * from hookonce_events").get();
  const stored = database.query<Row, []>("select * from hookonce_bodies").get();
  const result = database.query<Row, []>("select * from hookonce_results").get();
  if (event === null || stored === null || result === null)
    throw new Error("The event to copy was not stored.");
  const addEvent = insertInto(database, "hookonce_events", event);
  const addBody = insertInto(database, "hookonce_bodies", stored);
  const addResult = insertInto(database, "hookonce_results", result);
  const add = database.transaction((from: number, to: number) => {
    for (let id = from; id < to; id++) {
      const { id: eventId, body } = nextEvent();
      addEvent({ ...event, id, event_id: eventId });
      addBody({ ...stored, id, bytes: Buffer.from(body, "latin1") });
      addResult({ ...result, event: id, body: id });
    }
  });
  // The first event is already stored.
  for (let id = 2; id <= count; id += 50_000) add(id, Math.min(id + 50_000, count + 1));
}

function insertInto(database: Database, tableName: string, example: Row): (row: Row) => void {
  const columns = Object.keys(example);
  const statement = database.prepare(
    `insert into ${tableName} (${columns.join(", ")}) values (${columns.map((name) => `$${name}`).join(", ")})`,
  );
  return (row) => void statement.run(row);
}

function addCustomers(database: Database): void {
  const add = database.prepare("insert or ignore into credits (customer, cents) values (?, 0)");
  database.transaction(() => {
    for (let n = 0; n < CUSTOMERS; n++) add.run(customerOf(n));
  })();
}
