import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { ReceivedUpTo } from "../../../src/engines/arrivals.ts";
import { TEXT_PLACES } from "../../../src/engines/forget.ts";
import type {
  Cursor,
  EventFilter,
  Followed,
  ListFilter,
  Newest,
  Reader,
} from "../../../src/engines/reader.ts";
import { createPool } from "../../../src/engines/postgres/pool.ts";
import { createReader } from "../../../src/engines/postgres/reader.ts";
import { createServer } from "../../../src/engines/postgres/server.ts";
import { prepareDatabase } from "../../../src/engines/postgres/start.ts";
import { migrate, ownSet } from "../../../src/engines/sqlite/migrations.ts";
import { openDatabase } from "../../../src/engines/sqlite/open.ts";
import { ownMigrations } from "../../../src/engines/sqlite/own-migrations.ts";
import { openReader } from "../../../src/engines/sqlite/reader.ts";
import type { ClosableReader } from "../../../src/engines/store.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { connect, postgresPrograms, sharedCluster, STARTS_WITHIN_MS } from "./cluster.ts";

/** The same rows in both engines must be read alike. */

type Value = string | number | Uint8Array | boolean | null;
type Row = Readonly<Record<string, Value>>;

const random = (seed: number) => (): number => {
  // https://en.wikipedia.org/wiki/Xorshift
  seed ^= seed << 13;
  seed ^= seed >>> 17;
  seed ^= seed << 5;
  return (seed >>> 0) / 2 ** 32;
};

const bytes = (text: string): Uint8Array => Buffer.from(text);

/** Rows of every table, as a history of events may leave them. */
function madeRows(count: number): Readonly<Record<string, readonly Row[]>> {
  const next = random(4711);
  const below = (most: number): number => Math.floor(next() * most);
  const one = <T>(...items: readonly T[]): T => items[below(items.length)] as T;

  const tables: Record<string, Row[]> = {};
  const add = (table: string, row: Row): void => void (tables[table] ??= []).push(row);
  let at = 1000;
  let failures = 0;
  let change = 0;
  for (let id = 1; id <= count; id++) {
    at += one(0, 0, 1, 50);
    const source = one("shop", "branch", "third");
    const type = one("paid", "paid.late", "😀a", "", "a_b", "other*");
    const event_id = next() < 0.1 ? `both_${below(20)}_${id}` : `evt_${id}`;
    const outcome = one(
      "processed",
      "processed",
      "processed",
      "unhandled",
      "held",
      "ignored",
      "stale",
      "imported",
      "discarded",
    );
    const handler = outcome === "processed" ? one("handlers/shop/paid.sql", "handlers/lib/a.ts") : null;
    const hasChanged = next() < 0.2;
    const sha256 = next() < 0.2 ? bytes(`sha ${below(10)}`) : null;
    const deliveries = one(1, 1, 1, 2, 25);
    add("events", {
      id,
      source,
      event_id,
      type,
      received_at: at,
      outcome,
      handler,
      deliveries,
      last_delivery_at: at + deliveries,
      changed_bodies: hasChanged ? 1 : 0,
      body_sha256: sha256,
      era: next() < 0.05 ? id : 0,
      change: next() < 0.3 ? ++change : null,
      applied_at: null,
    });
    const isOfBatch = next() < 0.2 && id > 2;
    if (outcome !== "ignored" && next() < 0.95) {
      add("results", {
        event: id,
        body: isOfBatch ? id - 1 : id,
        rows_changed: below(4),
        duration_us: below(1000),
        reply: next() < 0.1 ? '{"status":200}' : null,
        handler_hash: handler === null ? null : "hash",
        element: next() < 0.1,
        replays: one(0, 0, 1),
        replayed_by: null,
        reason: one(null, null, "retention", "why"),
      });
      if (!isOfBatch && next() < 0.95)
        add("bodies", {
          id,
          received_at: at,
          headers: '{"x-a":"b"}',
          bytes: bytes(`{"id":"${event_id}","needle":${below(100)}}`),
          sha256: bytes("sha"),
          redacted: one(null, null, 2),
        });
    }
    if (hasChanged)
      add("changed_bodies", { event: id, received_at: at, headers: "{}", body: bytes("changed") });
    if (deliveries > 1)
      for (const number of [0, 1, 2])
        if (number > 0 || next() < 0.5)
          add("deliveries", {
            source,
            event_id,
            era: 0,
            number,
            at: at + number,
            outcome:
              number === 0 ? one("processed", "discarded", "imported") : one("duplicate", "held", "failed"),
            changed_body: next() < 0.5,
          });
    // A failure of the event, or one that is recorded nowhere else.
    if (next() < 0.3) {
      const isOfEvent = outcome === "unhandled" && next() < 0.5;
      failures++;
      add("failures", {
        id: failures,
        source,
        event_id: isOfEvent ? event_id : `failed_${failures}`,
        type,
        handler: one(null, "handlers/shop/paid.sql"),
        handler_hash: one(null, "hash"),
        code: one("handler_error", "handler_timeout", "no_handler"),
        error: one("boom", `needle ${below(100)}`, `${"x".repeat(500)}${below(3)}`),
        stack: null,
        attempts: 1 + below(3),
        deliveries: 1 + below(3),
        first_at: at,
        last_at: at + below(10),
        first_headers: "{}",
        first_body: bytes("first"),
        last_headers: "{}",
        last_body: bytes(`needle ${below(100)}`),
        element: next() < 0.1,
        position: isOfEvent ? id : id - one(0, 0, 0),
        settled_at: next() < 0.2 ? at : null,
        retries: 0,
        next_at: one(null, at, at + 500_000_000),
        failed_answers: 0,
        accepted_at: one(null, at),
      });
    }
    if (next() < 0.3) {
      const state = one("waiting", "waiting", "interrupted", "sending", "delivered", "dead", "discarded");
      const isForward = next() < 0.5;
      add("messages", {
        id,
        message_id: `msg_${id}`,
        destination: one("app", "mail"),
        event: isForward ? id : null,
        source: isForward ? source : "",
        event_id: isForward ? event_id : "",
        type: isForward ? type : "",
        state,
        created_at: at,
        next_at: at + below(1000),
        attempts: below(3),
        tries: below(3),
        since: at,
        settled_at: null,
        last_status: one(null, 500),
        last_error: one(null, "refused"),
        headers: isForward ? null : '{"Content-Type":"text/plain"}',
        body: isForward ? null : bytes("body"),
        run: state === "sending" ? '{"pid":1,"startedAt":null,"bootId":null}' : null,
        reason: null,
      });
      add("attempts", { message: id, number: 1, at, ms: 3, status: 500, error: null, answer: "no" });
    }
  }
  for (let n = 1; n <= 40; n++) {
    add("audit", {
      id: n,
      at: n,
      actor: "me",
      action: "apply",
      target: "x",
      reason: null,
      job: one(null, `job_${n}`),
      count: one(null, n),
    });
    add("jobs", {
      id: `job_${n}`,
      action: one("apply", "import", "discard"),
      actor: `who ${n}`,
      started_at: n * 3,
      ended_at: one(null, n * 3 + 9),
      request: "{}",
      progress: "{}",
    });
    add("tokens", {
      id: n,
      name: `token ${n}`,
      hash: `hash ${n}`,
      scopes: '["read"]',
      created_at: n,
      expires_at: null,
      revoked_at: null,
    });
    add("secrets", { source: one("shop", "branch"), secret: `env:S${n}`, at: n });
    add("interrupted_runs", {
      source: "shop",
      event_id: `evt_${n}`,
      handler_hash: "hash",
      ends: 1,
      code: null,
    });
    add("positions", {
      source: "shop",
      rule: "rule",
      key: `key_${n}`,
      version: String(n),
      event_id: `evt_${n}`,
    });
    add("enqueued", { id: n, destination: "app", body: bytes("b"), message_id: null, headers: null });
    add("alerts", { key: `{"n":${n}}`, since: n, seen_at: n, began_at: null, gone_at: one(null, n) });
    for (const span of ["new", "minute", "hour", "day"])
      add("rollups", {
        span,
        at: n * 60_000,
        source: one("shop", "branch"),
        last_at: n * 60_000 + 1,
        processed: n,
        duplicate: 1,
        t0: n,
        t3: 1,
      });
  }
  for (const name of ["shop", "branch"]) add("stored_bytes", { source: name, bytes: name.length });
  add("source_states", {
    name: "third",
    state: "held",
    since: 1,
    until: null,
    reason: "why",
    stop_on_failure: true,
  });
  add("destinations", { name: "mail", state: "paused", reason: "410", since: 3 });
  add("destinations", { name: "app", state: "open", reason: null, since: 3 });
  return tables;
}

const ROWS = madeRows(300);
const folder = temporaryFolder("both");

function openSqlite(): ClosableReader {
  const path = join(folder, "a.db");
  const { connection } = openDatabase(path);
  migrate(connection, ownSet(ownMigrations), 1);
  for (const [table, rows] of Object.entries(ROWS))
    for (const row of rows) {
      const names = Object.keys(row);
      const marks = names.map(() => "?").join(", ");
      const values = Object.values(row).map((value) => (typeof value === "boolean" ? Number(value) : value));
      connection
        .query(`insert into hookonce_${table} (${names.join(", ")}) values (${marks})`)
        .run(...values);
    }
  connection.close(true);
  return openReader(new Database(path, { readonly: true }));
}

async function openPostgres(): Promise<ClosableReader> {
  const target = await (await sharedCluster()).database();
  const server = createServer(target);
  const plan = { convertToWal: false, rules: [], acceptIdChange: false, migrations: [], now: 1 };
  await prepareDatabase(server, plan, { debug() {}, info() {}, warn() {}, error() {} });
  const connection = await connect(target);
  await connection.send("begin");
  await connection.send("set local hookonce.own = 'on'");
  for (const [table, rows] of Object.entries(ROWS))
    for (const row of rows) {
      const own = table === "enqueued" ? { ...row, is_bytes: true } : row;
      const names = Object.keys(own);
      const marks = names.map((_, index) => `$${index + 1}`).join(", ");
      await connection.send(
        `insert into hookonce.${table} (${names.join(", ")}) values (${marks})`,
        Object.values(own),
      );
    }
  await connection.send("commit");
  await connection.drop();
  return createReader(createPool(server, 3));
}

/** Follows pages to their end. */
async function pages<Key>(
  page: (after: Key | undefined) => Promise<{ items: readonly unknown[]; next: Key | undefined }>,
): Promise<unknown[]> {
  const items: unknown[] = [];
  let after: Key | undefined;
  do {
    const found = await page(after);
    items.push(...found.items);
    after = found.next;
  } while (after !== undefined);
  return items;
}

/** Columns that SQLite's details have beside what {@link EventDetail} names, and what only nodes have. */
const NOT_SHOWN = new Set(["era", "change", "appliedAt", "isTaken"]);

/** Bytes come as Buffer or as Uint8Array. */
const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (name, part: unknown) =>
      NOT_SHOWN.has(name)
        ? undefined
        : part instanceof Uint8Array ||
            (typeof part === "object" && part !== null && "type" in part && part.type === "Buffer")
          ? Buffer.from(
              part instanceof Uint8Array ? part : (part as unknown as { data: number[] }).data,
            ).toString("hex")
          : part,
    ) ?? "null",
  );

async function changedSince(reader: Reader, filter: ListFilter, after: Followed) {
  const { items, followed } = await reader.changes(filter, after, 10_000);
  return { ids: items.map(({ source, eventId }) => `${source} ${eventId}`).sort(), followed };
}

async function foundBy(reader: Reader, id: string) {
  const rows = await reader.find(id, ["shop", "branch", "third"]);
  return rows.map((row) => JSON.stringify(row)).sort();
}

async function owedCounts(reader: Reader, cap: number): Promise<string[]> {
  return [...(await reader.owedByType(cap))].map((row) => JSON.stringify(row)).sort();
}

async function groupsOf(reader: Reader, source: string | undefined, cap: number) {
  const found = await reader.failureGroups({ source }, cap);
  return {
    ...found,
    groups: found.groups.map(({ types, ...group }) => ({ group, types: [...types].sort() })),
  };
}

async function depthsOf(reader: Reader, cap: number): Promise<string[]> {
  return [...(await reader.depths(cap))]
    .map(({ destination, state, count, capped, oldestAt }) =>
      // The oldest of those that were counted.
      [destination, state, count, capped, cap === 3 ? null : oldestAt].join(" "),
    )
    .sort();
}

const FILTERS: readonly EventFilter[] = [
  {},
  { source: "shop" },
  { type: "paid*" },
  { type: "😀*" },
  { type: "other\\*" },
  { type: "" },
  { type: "none" },
  ...(["processed", "unhandled", "failed", "held", "ignored", "stale", "imported", "discarded"] as const).map(
    (outcome) => ({ outcome }),
  ),
  { since: 3000, until: 9000 },
  { search: "needle 7" },
  { search: "evt_70" },
  { search: '"needle":7' },
  { search: "a\u0000b" },
  { source: "branch", outcome: "failed", type: "p*", search: "x" },
];

describe.skipIf(postgresPrograms() === undefined)(
  "a reader of PostgreSQL reads as that of SQLite does",
  () => {
    let sqlite: ClosableReader;
    let postgres: ClosableReader;
    const both = async (read: (reader: Reader) => unknown): Promise<void> => {
      const expected = plain(await read(sqlite));
      expect(plain(await read(postgres))).toEqual(expected);
    };

    beforeAll(async () => {
      sqlite = openSqlite();
      postgres = await openPostgres();
    }, STARTS_WITHIN_MS);
    afterAll(() => {
      sqlite.close();
      postgres.close();
      rmSync(folder, { recursive: true, force: true });
    });

    for (const filter of FILTERS) {
      const name = JSON.stringify(filter);
      const { ids: _ids, ...list } = filter;
      test.each([7, 100])(`lists of ${name} in pages of %i`, async (limit) => {
        await both((reader) => pages<Newest>(async (after) => reader.events(list, after, limit)));
        await both((reader) => pages<Newest>(async (after) => reader.failures(list, after, limit)));
      });

      test(`owed events of ${name}`, async () => {
        await both((reader) => pages<Cursor>(async (after) => reader.owed(filter, after, 7)));
        const until: Followed = { event: 200, failure: 40, change: 30 };
        await both((reader) => pages<Cursor>(async (after) => reader.owed(filter, after, 50, until)));
        await both((reader) => pages<Cursor>(async (after) => reader.recorded(filter, after, 50, until)));
      });

      test(`what has changed, and what has arrived, of ${name}`, async () => {
        // SQLite looks at 32 rows of a kind at least, and at more of them if there is time.
        const last = await sqlite.followed();
        const after = { event: last.event - 30, failure: last.failure - 30, change: last.change - 30 };
        await both((reader) => changedSince(reader, list, after));
        await both(async (reader) => {
          const found: unknown[] = [];
          for (let after: ReceivedUpTo = { position: 0, failure: 0, mark: "", failureMark: "" }; ;) {
            const { items, upTo, isMore } = await reader.arrivals(list, after, 13);
            found.push(...items);
            after = upTo;
            if (!isMore) return { found, after };
          }
        });
      });
    }

    test("ids", async () => {
      const ids = ["evt_3", "evt_30", "failed_7", "none", 'q"\\'];
      await both((reader) => pages<Cursor>(async (after) => reader.owed({ ids }, after, 2)));
      await both((reader) =>
        reader.countKnown("shop", [...ids, ...Array.from({ length: 300 }, (_, n) => `evt_${n}`)]),
      );
      for (const id of ids) await both((reader) => foundBy(reader, id));
    });

    test("counts and groups", async () => {
      for (const cap of [1000, 3]) await both((reader) => owedCounts(reader, cap));
      for (const cap of [1000, 20]) await both((reader) => groupsOf(reader, undefined, cap));
      await both((reader) => groupsOf(reader, "shop", 1000));
    });

    test("places", async () => {
      await both((reader) => reader.followed());
      await both((reader) => reader.lastPlace());
      for (const since of [0, 3000, 5000, 10 ** 12]) await both((reader) => reader.placeBefore(since));
      const place = await sqlite.placeBefore(4000);
      await both((reader) => reader.hasPlace(place));
      await both((reader) => reader.hasPlace({ ...place, mark: "another" }));
      await both((reader) => reader.hasPlace({ ...place, position: 10 ** 9 }));
    });

    test("single events", async () => {
      for (const { source, event_id } of [
        ...(ROWS["events"] ?? []).slice(0, 150),
        ...(ROWS["failures"] ?? []).slice(0, 60),
      ]) {
        const key = [String(source), String(event_id)] as const;
        await both((reader) => reader.event(...key));
        await both((reader) => reader.failure(...key));
        await both((reader) => reader.hasPayload(...key));
        await both((reader) => reader.messagesOf(...key, 10));
        await both((reader) => reader.eventsWithId(...key));
      }
      await both((reader) => reader.event("shop", "none"));
    });

    test("what is due", async () => {
      const sources = ["shop", "branch", "third"];
      const due = async (reader: Reader, now: number, limit: number) =>
        (await reader.due(now, limit, sources)).length;
      for (const [now, limit] of [
        [2000, 5],
        [10 ** 6, 1000],
      ] as const)
        await both((reader) => due(reader, now, limit));
      for (const destination of ["app", "mail", "none"]) {
        for (const [now, limit] of [
          [2000, 5],
          [10 ** 6, 1000],
        ] as const)
          await both((reader) => reader.dueMessages(destination, now, limit));
        await both((reader) => reader.nextDue(destination));
      }
    });

    test("messages", async () => {
      for (const filter of [
        {},
        { state: "dead" },
        { state: "waiting" },
        { state: "delivered" },
        { destination: "app" },
        { source: "shop" },
        { type: "p*" },
        { since: 3000, until: 6000 },
        { state: "dead", destination: "mail" },
      ] as const) {
        await both((reader) => pages<number>(async (before) => reader.messages(filter, before, 7)));
        await both((reader) => reader.messagesWritten(filter, { after: 100, until: 400 }, 10));
      }
      for (const { id } of (ROWS["messages"] ?? []).slice(0, 60)) {
        await both((reader) => reader.message(Number(id)));
        await both((reader) => reader.messageBytes(Number(id)));
        await both((reader) => reader.messageDetails(`msg_${Number(id)}`));
      }
      await both((reader) => reader.message(10 ** 6));
      await both((reader) => reader.listed([1, 2, 3, 50, 51, 52, 53]));
      await both((reader) => reader.lastMessage());
      for (const cap of [1000, 3]) await both((reader) => depthsOf(reader, cap));
      await both((reader) => reader.paused());
      await both((reader) => reader.hasEnqueued());
      await both((reader) => reader.cutCommands());
      for (const cap of [1000, 7]) await both((reader) => reader.failingHandlers(cap));
    });

    test("what is recorded beside the events", async () => {
      for (const span of ["minute", "hour", "day"] as const)
        for (const source of [undefined, "shop"])
          await both((reader) => reader.rollups(span, { since: 0, until: 10 ** 9, source }));
      for (const now of [10 ** 6, 10 ** 12]) await both((reader) => reader.seen(now));
      await both((reader) => reader.matchedSecrets());
      await both((reader) => reader.audit(undefined, 10));
      await both((reader) => reader.audit(20, 100));
      await both((reader) => reader.tokens());
      await both((reader) => reader.token("hash 3"));
      await both((reader) => reader.token("none"));
      await both((reader) => reader.jobs(10));
      await both((reader) => reader.unendedJobs());
      await both((reader) => reader.job("job_3"));
      await both((reader) => reader.job("none"));
      await both((reader) => reader.sourceStates());
      await both((reader) => reader.alerts());
      await both((reader) => reader.storedBytes());
      await both((reader) => reader.discardedByRetention());
    });

    test("every text that forget looks through", async () => {
      for (const place of TEXT_PLACES)
        await both(async (reader) => {
          const values: unknown[] = [];
          for (let after = 0; ;) {
            const { rows, last, isEnd } = await reader.texts(place, after);
            values.push(...rows.map((row) => row.values));
            after = last;
            if (isEnd) return values;
          }
        });
      for (const place of ["bodies", "events", "results", "changed bodies", "failures"] as const)
        for (let row = 1; row < 60; row++) await both((reader) => reader.eventsAt(place, row));
      for (let row = 1; row < 60; row++) await both((reader) => reader.sharedBody(row));
      await both((reader) => reader.jobAt(3));
    });
  },
);
