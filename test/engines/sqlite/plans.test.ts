import type { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { ListFilter } from "../../../src/engines/reader.ts";
import type { RetentionStep } from "../../../src/engines/retention.ts";
import { SQL } from "../../../src/engines/sqlite/delivery-statements.ts";
import { migrate, ownSet } from "../../../src/engines/sqlite/migrations.ts";
import { openDatabase } from "../../../src/engines/sqlite/open.ts";
import { ownMigrations } from "../../../src/engines/sqlite/own-migrations.ts";
import { createEventStore } from "../../../src/engines/sqlite/event-store.ts";
import { createInterruptedRuns } from "../../../src/engines/sqlite/interrupted-runs.ts";
import { createRetention } from "../../../src/engines/sqlite/retention.ts";
import { createSettledEvents } from "../../../src/engines/settled-events.ts";
import { openReader } from "../../../src/engines/sqlite/reader.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

/** A database in which SQLite has counted one row in each table, as the first stop may do. */
function withCountedRows(work: (connection: Database) => void): void {
  const folder = temporaryFolder("plans");
  const { connection } = openDatabase(join(folder, "a.db"));
  try {
    migrate(connection, ownSet(ownMigrations), 1);
    const body = new Uint8Array(32);
    connection.prepare(SQL.insertEvent).values("default", "evt_1", "", 1, "processed", null, 1, 1, body);
    connection.prepare(SQL.insertBody).run(1, 1, "{}", body, body);
    connection.prepare(SQL.insertResult).run(1, 1, 0, 0, null, null);
    connection.prepare(SQL.insertDelivery).run("default", "evt_1", 1, 1, "processed", 0);
    connection.prepare(SQL.keepChangedBody).run(1, 1, "{}", body);
    connection.run(
      "insert into hookonce_sources (name, provider, event_id_rule, retry_window_ms) values ('default', 'unsigned', 'x', 1)",
    );
    connection.run("analyze");
    expect(connection.prepare("select count(*) from sqlite_stat1").values()[0]?.[0]).toBeGreaterThan(4);
    work(connection);
  } finally {
    connection.close(true);
    rmSync(folder, { recursive: true });
  }
}

/** Which tables of events a statement reads from end to end, unless an index gives it the order of its rows. */
function scansOf(connection: Database, sql: string, ordered: string): string[] {
  const allowed = new RegExp(`^SCAN hookonce_\\w+ USING (?:COVERING )?INDEX hookonce_\\w+_(?:${ordered})\\b`);
  return connection
    .prepare(`explain query plan ${sql}`)
    .values()
    .map((row) => String(row[3]))
    .filter((detail) => /^SCAN hookonce_(?:events|failures|deliveries|bodies|results)\b/.test(detail))
    .filter((detail) => !allowed.test(detail))
    .map((detail) => `${detail}: ${sql}`);
}

/**
 * The first stop counts the rows that exist (`pragma optimize`): perhaps one. A million more may come before
 * the next.
 */
test("no statement of a delivery scans a table, even if SQLite has counted one row in each", () =>
  withCountedRows((connection) => {
    expect(Object.values(SQL).flatMap((sql) => scansOf(connection, sql, "open|newest"))).toEqual([]);
  }));

/** The statements that are prepared on the connection from now on. */
function spyOn(connection: Database): { spy: Database; statements: Set<string> } {
  const statements = new Set<string>();
  const spy = new Proxy(connection, {
    get(target, name) {
      const found: unknown = Reflect.get(target, name);
      if (typeof found !== "function") return found;
      return (...args: unknown[]): unknown => {
        if (name === "prepare" || name === "query") statements.add(String(args[0]));
        return found.apply(target, args);
      };
    },
  });
  return { spy, statements };
}

test("nor does one that lists and finds events", () =>
  withCountedRows((connection) => {
    const { spy, statements } = spyOn(connection);
    const reader = openReader(spy);
    const filters: ListFilter[] = [
      {},
      { search: "evt_1" },
      { search: "evt_1", source: "default", type: "x*", since: 0, until: 9 },
      { source: "default" },
      { type: "x" },
      { since: 0, until: 9 },
      ...(["processed", "failed", "unhandled", "discarded"] as const).map((outcome) => ({ outcome })),
    ];
    for (const filter of filters) {
      void reader.changes(filter, { event: 0, failure: 0, change: 0 }, 10);
      void reader.arrivals(filter, { position: 0, failure: 0, mark: "", failureMark: "" }, 10);
      for (const after of [undefined, { at: 9, failure: 0, id: 9 } as const]) {
        void reader.events(filter, after, 10);
        void reader.failures(filter, after, 10);
      }
    }
    void reader.failureGroups({}, 10);
    void reader.failingHandlers(10);
    void reader.event("default", "evt_1");
    expect(statements.size).toBeGreaterThan(20);
    const ordered = "open|newest|received_at|not_processed|unhandled|change";
    expect([...statements].flatMap((sql) => scansOf(connection, sql, ordered))).toEqual([]);
  }));

test("what is due is found by a search of an index, however much waits", () =>
  withCountedRows((connection) => {
    const { spy, statements } = spyOn(connection);
    const reader = openReader(spy);
    void reader.due(9, 10, ["default"]);
    void reader.dueMessages("app", 9, 10);
    void reader.nextDue("app");
    void reader.messageBytes(1);
    const due = [...statements].filter((sql) => sql.startsWith("select"));
    expect(due.length).toBe(7);
    const plans = due.map((sql) =>
      connection
        .prepare(`explain query plan ${sql}`)
        .values()
        .map((row) => String(row[3])),
    );
    expect(plans.flat().filter((detail) => /SCAN|TEMP B-TREE/.test(detail))).toEqual([]);
    const times = plans.flat().filter((detail) => /_due\b/.test(detail));
    expect(times.filter((detail) => detail.includes("next_at"))).toHaveLength(4);
  }));

/** After a count of two rows, SQLite finds a row by its id in a scan, until the next checkpoint counts again. */
test("nor does a step of retention, once three rows are counted", () =>
  withCountedRows((connection) => {
    for (const id of [2, 3]) connection.prepare(SQL.insertBody).run(id, 1, "{}", new Uint8Array(), null);
    connection.run("analyze");
    const { spy, statements } = spyOn(connection);
    const store = createEventStore(connection);
    const retain = createRetention(spy, store, createInterruptedRuns(connection), createSettledEvents());
    const steps: RetentionStep[] = [
      { remove: "nothing", after: 0 },
      { remove: "payloads of", source: "default", bytes: 0, after: 0 },
      { remove: "messages", before: 9, deadBefore: 9, after: 0 },
      { remove: "failure bodies", before: 9, after: 0 },
      { remove: "payloads", before: 9, after: 0 },
    ];
    // A step ends after some milliseconds, so a slow machine needs more than one.
    for (const step of steps) {
      for (let after = -1, position = 0; position > after;) {
        after = position;
        const done = retain({ kind: "retention", step: { ...step, after }, at: 9 });
        if (!done.isEnd) ({ position } = done);
      }
    }
    expect(connection.prepare("select count(*) from hookonce_bodies").values()).toEqual([[0]]);
    expect(statements.size).toBeGreaterThan(8);
    expect([...statements].flatMap((sql) => scansOf(connection, sql, "settled"))).toEqual([]);
  }));

test("a page of a list does not read again what was received in the same millisecond", () =>
  withCountedRows((connection) => {
    const insert = connection.prepare(SQL.insertEvent);
    for (let n = 2; n < 100; n++)
      insert.values("default", `evt_${n}`, "", 9, "processed", null, 1, 1, new Uint8Array(32));
    const { spy, statements } = spyOn(connection);
    const reader = openReader(spy);
    void reader.events({}, { at: 9, failure: 0, id: 9 }, 10);
    void reader.events({ outcome: "discarded" }, { at: 9, failure: 0, id: 9 }, 10);
    void reader.failures({}, { at: 9, failure: 1, id: 9 }, 10);
    const searches = [...statements].flatMap((sql) =>
      connection
        .prepare(`explain query plan ${sql}`)
        .values()
        .map(
          (row) =>
            /\((?<columns>[^()]*(?:received_at|first_at)[^()]*)\)$/.exec(String(row[3]))?.groups?.["columns"],
        ),
    );
    expect(new Set(searches.filter((columns) => columns !== undefined))).toEqual(
      new Set([
        "received_at=?",
        "received_at=? AND rowid<?",
        "received_at<?",
        "first_at=? AND id<?",
        "first_at<?",
        "outcome=? AND received_at=? AND rowid<?",
        "outcome=? AND received_at<?",
      ]),
    );
  }));

/** From which tables a statement reads columns. It may open a table and read only its index. */
function rowsReadBy(connection: Database, sql: string): number {
  const steps = connection.prepare(`explain ${sql}`).values() as [number, string, number, ...unknown[]][];
  const tables = new Set(
    steps
      .filter(([, name, , , , key]) => name === "OpenRead" && !String(key).startsWith("k("))
      .map(([, , cursor]) => cursor),
  );
  return steps.filter(([, name, cursor]) => name === "Column" && tables.has(cursor)).length;
}

test("lists and groups of failures read only their index, because a row may take some MiB", () =>
  withCountedRows((connection) => {
    const { spy, statements } = spyOn(connection);
    const reader = openReader(spy);
    for (const filter of [{}, { source: "default", type: "x*", since: 0, until: 9 }])
      void reader.failures(filter, undefined, 10);
    void reader.failureGroups({ source: "default" }, 10);
    void reader.failingHandlers(10);
    expect(statements.size).toBeGreaterThan(3);
    expect([...statements].filter((sql) => rowsReadBy(connection, sql) > 0)).toEqual([]);
    expect(
      rowsReadBy(connection, "select error from hookonce_failures where settled_at is null"),
    ).toBeGreaterThan(0);
  }));
