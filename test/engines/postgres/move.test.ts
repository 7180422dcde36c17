import { Database } from "bun:sqlite";
import { beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { moveInbox } from "../../../src/app/move-inbox.ts";
import { fileAt, locationIn } from "../../../src/config/location.ts";
import { markerPathOf } from "../../../src/engines/marker.ts";
import { MOVED_TABLES, type MoveCursor } from "../../../src/engines/move.ts";
import type { PostgresTarget } from "../../../src/config/postgres.ts";
import type { Connection } from "../../../src/engines/postgres/connection.ts";
import { createMoveIn, refuseHalfMoved } from "../../../src/engines/postgres/move-in.ts";
import { register } from "../../../src/engines/postgres/nodes.ts";
import { openMoveIn } from "../../../src/engines/postgres/open-move-in.ts";
import { openMoveOut } from "../../../src/engines/sqlite/move-out.ts";
import { describeUnless } from "../../crash/requirements.ts";
import { refusalOf, testInbox, type TestInbox } from "../../support/test-inbox.ts";
import { tablesIn, tablesOf } from "../all-tables.ts";
import { connect, postgresPrograms, sharedCluster, STARTS_WITHIN_MS } from "./cluster.ts";

interface Place extends AsyncDisposable {
  readonly target: PostgresTarget;
  readonly wire: Connection;
}

/** A new database, in which hookonce has never started. */
async function newPlace(): Promise<Place> {
  const cluster = await sharedCluster();
  const target = await cluster.database();
  const wire = await connect(target);
  return { target, wire, [Symbol.asyncDispose]: () => wire.drop() };
}

const SOURCES = `
[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"
forward  = ["app"]
[sources.many]
provider = "unsigned"
event_id = "body:$.id"
type     = "body:$.type"
batch    = "body:$[*]"
newest_wins = { types = ["*"], key = "body:$.key", version = "body:$.version" }
[destinations.app]
url = "http://127.0.0.1:1/hook"
sign = "none"
`;

const handlers = {
  "migrations/1.sql": "create table effects (event_id text, cents integer) strict;",
  "handlers/default/paid.sql":
    "insert into effects values (:event_id, :payload ->> '$.cents');\ninsert into hookonce_outbox (destination, body) values ('app', 'text'), ('app', x'00ff');",
  "handlers/many/_any.sql": "insert into effects values (:event_id, 1);",
  "handlers/default/broken.sql": "insert into effects select 1, 'no number \"\\ ''';",
};

/** Something in every table. */
async function inboxWithEverything(): Promise<TestInbox> {
  const inbox = await testInbox({ config: SOURCES, files: handlers, upkeep: { minuteMs: 20 } });
  const deliver = (event_id: string, type: string, more: object = {}, source = "default") =>
    inbox.deliver({ event_id, type, ...more }, { source, headers: { "x-note": 'ü "quoted" \\ {,}' } });
  for (let n = 0; n < 30; n++)
    await deliver(`evt_${n}`, "paid", { cents: n, text: "nul \u0000 and \ud83d\ude00" });
  for (let n = 0; n < 30; n++) await deliver(`evt_${n % 3}`, "paid", { cents: n, other: "body" });
  for (let n = 0; n < 5; n++) await deliver(`broken_${n}`, "broken");
  await deliver("ünicode_✓", "nobody's");
  const batch = [1, 2, 3].map((version) => ({ id: `m_${version}`, type: "t", key: "k", version }));
  await inbox.deliver(batch, { source: "many" });
  await inbox.deliver(batch.slice(0, 1), { source: "many" });
  const put = (path: string, body: object) =>
    inbox.api(path, {
      method: "PUT",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json" },
    });
  const post = (path: string, body: object) =>
    inbox.api(path, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json" },
    });
  expect((await post("/api/tokens", { name: "ci", scopes: ["read"] })).status).toBe(201);
  expect((await put("/api/sources/many/state", { state: "held" })).status).toBe(200);
  await inbox.deliver([{ id: "held_1", type: "t", key: "k", version: 9 }], { source: "many" });
  const job = await post("/api/jobs", { action: "discard", ids: ["broken_1"], reason: "test" });
  expect(job.status).toBe(202);
  while (inbox.value("select count(*) from hookonce_jobs where ended_at is null") > 0) await Bun.sleep(10);
  while (inbox.value("select count(*) from hookonce_rollups where span = 'day'") === 0) await Bun.sleep(10);
  await inbox.close();
  using db = new Database(inbox.databasePath, { strict: true });
  // What only time or a crash would bring.
  db.run("insert into hookonce_interrupted_runs values ('default', 'evt_x', 'hash', 2, 'handler_died')");
  db.run('insert into hookonce_alerts values (\'{"alert":"disk_low"}\', 1, 2, 3, null)');
  db.run("insert into hookonce_failing_sources values ('default', 2)");
  db.run("update hookonce_source_states set ran_place = 5, ran_failure = 2");
  db.run("update hookonce_failures set event = 3 where event_id = 'broken_2'");
  db.run("insert into hookonce_secrets values ('default', 'env:S', 7)");
  db.run(
    "insert into hookonce_attempts select id, 1, 5, 6, 503, 'away', 'answer' from hookonce_messages limit 3",
  );
  db.run("insert into hookonce_enqueued (destination, body) values ('app', 'text'), ('app', x'00ff')");
  db.run("insert into hookonce_stored_bytes values ('default', 1200)");
  db.run("insert into hookonce_meta values ('hidden_ids', '1')");
  db.run("insert into hookonce_destinations values ('app', 'paused', 'maintenance', 3)");
  return inbox;
}

async function move(path: string, { target }: Place, pages = Infinity): Promise<boolean> {
  const from = openMoveOut(path);
  const to = await openMoveIn(target, 1);
  try {
    const progress = await to.begin(from.begin("postgres://app@db/shop", 1).move);
    let cursor: MoveCursor | undefined = progress.cursor;
    for (let n = 0; n < pages; n++) {
      const page = from.page(cursor);
      if (page === undefined) {
        await to.finish(from.totals());
        return true;
      }
      await to.write(page);
      ({ cursor } = page);
    }
    return false;
  } finally {
    from.close();
    await to.close();
  }
}

/** Columns that PostgreSQL alone has. An inbox on SQLite has nothing for them. */
const OF_POSTGRES = /^(?:enqueued\.written_in|interrupted_runs\.node|nodes\..*|claims\..*)$/;

setDefaultTimeout(STARTS_WITHIN_MS);

const why = postgresPrograms() === undefined ? "no PostgreSQL server is installed" : undefined;

describeUnless(why, "an inbox moves to PostgreSQL", () => {
  let inbox: TestInbox;
  beforeAll(async () => {
    await sharedCluster();
    inbox = await inboxWithEverything();
  }, STARTS_WITHIN_MS);

  test("every table and every column moves, or is named here as left behind", async () => {
    await using place = await newPlace();
    await (await openMoveIn(place.target, 1)).close();
    const { rows } = await place.wire.send(
      "select table_name, column_name from information_schema.columns where table_schema = 'hookonce' and is_generated = 'NEVER' and table_name in (select tablename from pg_tables) and table_name not like '%migrations' order by 1, 2",
    );
    const there = rows.map((row) => row.join(".")).filter((one) => !one.endsWith(".seq"));
    const moved = MOVED_TABLES.flatMap(({ name, columns }) =>
      Object.keys(columns).map((one) => `${name}.${one}`),
    );
    expect(there.filter((one) => !OF_POSTGRES.test(one)).sort()).toEqual(moved.sort());
    using db = new Database(inbox.databasePath, { readonly: true });
    const here = db
      .query(
        "select substr(t.name, 10) || '.' || c.name from sqlite_schema t, pragma_table_info(t.name) c where t.type = 'table' and t.name like 'hookonce\\_%' escape '\\'",
      )
      .values()
      .flat();
    const onlyHere = here.filter(
      (one) => !moved.includes(String(one)) && !/^(?:user_)?migrations\./.test(String(one)),
    );
    expect(onlyHere).toEqual([]);
  });

  test("with all its rows, and their ids go on", async () => {
    await using place = await newPlace();
    const before = tablesOf(inbox.databasePath);
    // Otherwise the comparison proves nothing about it.
    for (const [table, rows] of Object.entries(before))
      expect([table, rows.length > 0]).toEqual([table, true]);
    expect(await move(inbox.databasePath, place)).toBe(true);
    expect(await tablesIn(place.wire)).toEqual(tablesOf(inbox.databasePath));
    await place.wire.send("begin");
    await place.wire.send("select set_config('hookonce.own', 'on', true)");
    const { rows } = await place.wire.send(
      "insert into hookonce.events (source, event_id, type, received_at, outcome, last_delivery_at) values ('s', 'new', '', 1, 'processed', 1) returning id, nextval('hookonce.changes')",
    );
    await place.wire.send("rollback");
    const [event = 0, change = 0] = inbox
      .rows("select max(id), max(change) from hookonce_events")
      .flatMap((row) => Object.values(row as object)) as number[];
    expect(rows.map((row) => row.map(Number))).toEqual([[event + 1, change + 1]]);
    await refuseHalfMoved(place.wire);
  });

  test("after an interruption at any page, it goes on where it was", async () => {
    const before = tablesOf(inbox.databasePath);
    const pages = MOVED_TABLES.length;
    for (const done of [0, Math.floor(pages / 2), pages - 1]) {
      await using place = await newPlace();
      expect(await move(inbox.databasePath, place, done)).toBe(false);
      expect((await refusalOf(() => refuseHalfMoved(place.wire))).message).toContain(
        "Only a part of an inbox was moved",
      );
      const other = await refusalOf(() => createMoveIn(place.wire).begin("another"));
      expect(other.message).toContain("Another inbox is being moved to this database");
      expect(await move(inbox.databasePath, place)).toBe(true);
      expect(await tablesIn(place.wire)).toEqual(before);
      const again = await openMoveIn(place.target, 1);
      const out = openMoveOut(inbox.databasePath);
      expect(await again.begin(out.begin("postgres://app@db/shop", 2).move)).toMatchObject({ isDone: true });
      expect((await refusalOf(() => again.begin("another"))).message).toContain(
        "events in this inbox already",
      );
      out.close();
      await again.close();
    }
  });

  test("it fails unless each table has as many rows and bytes as before", async () => {
    await using place = await newPlace();
    const from = openMoveOut(inbox.databasePath);
    const to = await openMoveIn(place.target, 1);
    await to.begin(from.begin("postgres://app@db/shop", 1).move);
    for (let page = from.page(undefined); page !== undefined; page = from.page(page.cursor))
      await to.write(page);
    for (const [change, says] of [
      ["update hookonce.bodies set bytes = bytes || 'x' where id = 1", "bodies has"],
      ["delete from hookonce.deliveries where number = 1", "deliveries has"],
    ] as const) {
      await place.wire.script(`begin; set local hookonce.own = 'on'; ${change}; commit`);
      const { message } = await refusalOf(() => to.finish(from.totals()));
      expect(message).toContain("Not everything has arrived: ");
      expect(message).toContain(says);
      expect((await refusalOf(() => refuseHalfMoved(place.wire))).code).toBe("move_refused");
    }
    from.close();
    await to.close();
  });

  test("it is refused while a node serves the other database", async () => {
    await using place = await newPlace();
    const from = openMoveOut(inbox.databasePath);
    const to = await openMoveIn(place.target, 1);
    await place.wire.script("begin; set local hookonce.own = 'on'");
    await register(place.wire, "id", "host:/srv/inbox");
    await place.wire.script("commit");
    const refused = await refusalOf(() => to.begin(from.begin("postgres://app@db/shop", 1).move));
    expect(refused.message).toStartWith("The database is served: host:/srv/inbox. Stop every");
    await place.wire.script("begin; set local hookonce.own = 'on'; delete from hookonce.nodes; commit");
    expect(await to.begin(from.begin("postgres://app@db/shop", 1).move)).toMatchObject({ isDone: false });
    from.close();
    await to.close();
  });

  test("of two commands that move the same inbox, one goes on", async () => {
    await using place = await newPlace();
    const from = openMoveOut(inbox.databasePath);
    const id = from.begin("postgres://app@db/shop", 1).move;
    const [one, other] = [await openMoveIn(place.target, 1), await openMoveIn(place.target, 1)];
    await one.begin(id);
    await other.begin(id);
    const page = from.page(undefined);
    if (page === undefined) throw new Error("the inbox is empty");
    await one.write(page);
    expect((await refusalOf(() => other.write(page))).message).toContain("moves the same inbox");
    expect((await refusalOf(() => other.finish(from.totals()))).message).toContain("moves the same inbox");
    from.close();
    await one.close();
    await other.close();
  });

  test("each page has a few MiB, and at least one row", async () => {
    await using large = await testInbox();
    for (let n = 0; n < 12; n++)
      await large.deliver({ event_id: `evt_${n}`, type: "t", text: "x".repeat(900_000) });
    await large.close();
    const from = openMoveOut(large.databasePath);
    const sizes: number[] = [];
    for (let page = from.page(undefined); page !== undefined; page = from.page(page.cursor))
      if (page.table.name === "bodies") sizes.push(page.rows.length);
    from.close();
    expect(sizes).toEqual([4, 4, 4]);
  });

  test("a body whose hash was never stored gets it", async () => {
    await using old = await testInbox();
    await old.deliver({ event_id: "evt_1", type: "t" });
    await old.close();
    using db = new Database(old.databasePath);
    db.run("update hookonce_bodies set sha256 = null");
    await using place = await newPlace();
    await move(old.databasePath, place);
    const { rows } = await place.wire.send("select sha256 = sha256(bytes) from hookonce.bodies");
    expect(rows).toEqual([[true]]);
  });

  test("no start is accepted on the old database, from the first page on", async () => {
    await using old = await testInbox();
    await old.deliver({ event_id: "evt_1", type: "t" });
    await old.close();
    await using place = await newPlace();
    await move(old.databasePath, place, 1);
    const { code, message } = await refusalOf(() => old.restart());
    expect(code).toBe("inbox_moved");
    expect(message).toContain("was moved to postgres://app@db/shop on 1970-01-01");
    const elsewhere = openMoveOut(old.databasePath);
    expect((await refusalOf(() => elsewhere.begin("postgres://app@db/other", 2))).code).toBe("inbox_moved");
    elsewhere.close();
  });

  test("from its folder or its file, into the database that a config names", async () => {
    await using old = await testInbox();
    await old.deliver({ event_id: "evt_1", type: "t" });
    await old.close();
    await using place = await newPlace();
    const [server] = place.target.servers;
    const url = `postgres://postgres@/${place.target.database}?host=${server?.host}&port=${server?.port}`;
    const config = { inboxFolder: old.folder, database: locationIn(old.folder, [url]) };
    const seen: number[] = [];
    const options = {
      config,
      signal: new AbortController().signal,
      onProgress: (rows: number) => void seen.push(rows),
    };
    const moved = await moveInbox({ ...options, inbox: old.databasePath });
    expect(moved).toMatchObject({ from: old.databasePath, to: url, isDone: true });
    expect(seen.at(-1)).toBe(moved.rows);
    expect(await tablesIn(place.wire)).toEqual(tablesOf(old.databasePath));
    expect(await moveInbox({ ...options, inbox: old.folder })).toMatchObject({
      rows: moved.rows,
      events: 1,
      wasDone: true,
      openSources: ["default"],
    });
    const inFile = { ...config, database: fileAt(old.databasePath) };
    for (const [given, says] of [
      [{ inbox: dirname(old.folder) }, "contains no hookonce.toml"],
      [{ inbox: `${old.folder}/no` }, "does not exist"],
      [{ inbox: old.folder, config: inFile }, "Set it to a URL"],
    ] as const)
      expect((await refusalOf(() => moveInbox({ ...options, ...given }))).message).toContain(says);
  });

  test("an inbox that the other database refuses stays where it is, and can be served", async () => {
    await using place = await newPlace();
    const [server] = place.target.servers;
    const url = `postgres://postgres@/${place.target.database}?host=${server?.host}&port=${server?.port}`;
    const inboxes = [await testInbox(), await testInbox()] as const;
    const move = async (inbox: TestInbox) =>
      moveInbox({
        config: { inboxFolder: inbox.folder, database: locationIn(inbox.folder, [url]) },
        inbox: inbox.databasePath,
        signal: new AbortController().signal,
        onProgress: () => {},
      });
    for (const inbox of inboxes) {
      await inbox.deliver({ event_id: "evt_1", type: "t" });
      await inbox.close();
    }
    expect((await move(inboxes[0])).isDone).toBe(true);
    expect((await refusalOf(() => move(inboxes[1]))).message).toContain(
      "There are events in this inbox already",
    );
    await inboxes[1].restart();
    expect(await inboxes[1].deliver({ event_id: "evt_1", type: "t" })).toMatchObject({ status: 200 });
    for (const inbox of inboxes) await inbox[Symbol.asyncDispose]();
  });

  test("it is refused while the result of a killed serve is not recorded", async () => {
    await using killed = await testInbox();
    await killed.deliver({ event_id: "evt_1", type: "t" });
    await killed.close();
    writeFileSync(markerPathOf(killed.databasePath), "");
    expect((await refusalOf(() => openMoveOut(killed.databasePath))).message).toContain(
      "was killed, and what it was doing",
    );
  });
});
