import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Webhook } from "standardwebhooks";
import { EMPTY } from "../../src/app/empty-reader.ts";
import { conditionsOf, textOf } from "../../src/inbox/conditions.ts";
import { testInbox, type TestInbox, type TestInboxOptions } from "../support/test-inbox.ts";

const HOUR = 3_600_000;
const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

const config = (port: number, sign = 'sign = "none"'): string => `
[alerts]
to = "ops"
[admin]
url = "https://hooks.example.com"
[sources.shop]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
[destinations.ops]
url = "http://127.0.0.1:${port}/"
${sign}
[destinations.app]
url = "http://127.0.0.1:9/"
sign = "none"
`;

/** The handler fails while the event's id is in a table, and its error shows a part of the payload. */
const FILES = {
  "migrations/0001_bad.sql": "create table bad (id text);",
  "handlers/shop/paid.sql":
    "select json_extract('{}', :payload ->> '$.note') where :event_id in (select id from bad);",
};

interface Alert {
  readonly type: string;
  readonly timestamp: string;
  readonly text: string;
  readonly data: {
    readonly alert: string;
    readonly source: string | null;
    readonly handler: string | null;
    readonly destination: string | null;
    readonly since: string;
    readonly url: string | null;
  };
}

interface Got {
  readonly body: string;
  readonly headers: Record<string, string>;
}

/** A destination, and what it was sent. */
function receiver() {
  const got: Got[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      got.push({ body: await request.text(), headers: request.headers.toJSON() });
      return new Response();
    },
  });
  const all = (): Alert[] => got.map(({ body }) => JSON.parse(body) as Alert);
  return {
    port: Number(server.port),
    got,
    all,
    /** In words. Tests may run in memory, which may have less space than a disk should have. */
    said: (): string[] =>
      all()
        .filter(({ data }) => data.alert !== "disk_low")
        .map(({ type, text }) => `${type.replace("hookonce.alert.", "")}: ${text}`),
    [Symbol.dispose]: () => void server.stop(true),
  };
}

async function until(isDone: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!isDone()) {
    if (performance.now() > deadline) throw new Error("it did not happen within 20 s");
    await Bun.sleep(5);
  }
}

const open = (port: number, options: TestInboxOptions = {}): Promise<TestInbox> =>
  testInbox({
    config: config(port),
    files: FILES,
    alerts: { everyMs: 5, holdMs: 0 },
    upkeep: { minuteMs: 60_000 },
    sendsOn: true,
    ...options,
  });

function change(inbox: TestInbox, ...statements: readonly string[]): void {
  using db = new Database(inbox.databasePath);
  db.run("pragma busy_timeout = 5000");
  for (const statement of statements) db.run(statement);
}

const paid = (id: string) => ({ event_id: id, type: "paid", note: "a customer's secret" });

const dead = (id: string, destination: string): string =>
  `insert into hookonce_messages (message_id, destination, state, created_at, next_at, since, settled_at, body)
   values ('${id}', '${destination}', 'dead', 1, 1, 1, 1, 'x')`;

describe("[alerts]", () => {
  test("tells when a handler begins to fail and when it has ended, without its error", async () => {
    using ops = receiver();
    await using inbox = await open(ops.port);
    change(inbox, "insert into bad values ('evt_1')");
    expect((await inbox.deliver(paid("evt_1"), { source: "shop" })).status).toBe(500);
    await until(() => ops.said().length === 1);
    change(inbox, "delete from bad");
    expect((await inbox.deliver(paid("evt_1"), { source: "shop" })).status).toBe(200);
    await until(() => ops.said().length === 2);
    expect(ops.said()).toEqual([
      "began: handlers/shop/paid.sql fails, and 1 event of the source shop is owed.",
      "ended: No event of the source shop is owed any more because of handlers/shop/paid.sql.",
    ]);
    const began = ops.all().find(({ data }) => data.alert === "handler_failing");
    expect(began?.data).toMatchObject({
      source: "shop",
      handler: "handlers/shop/paid.sql",
      destination: null,
      url: "https://hooks.example.com/failures",
    });
    expect(inbox.value("select error from hookonce_failures")).toContain("customer");
    expect(ops.got.map(({ body }) => body).join("\n")).not.toContain("customer");
    expect(inbox.value("select count(*) from hookonce_alerts where key not like '%disk_low%'")).toBe(0);
  });

  test("tells of a paused source, and of a hold that is old", async () => {
    using ops = receiver();
    let now = Date.now();
    await using inbox = await open(ops.port, { clock: () => now });
    await inbox.pausing.pause("shop", {}, "sam");
    await inbox.deliver(paid("evt_1"), { source: "shop" });
    await until(() => ops.said().length === 1);
    now += 25 * HOUR;
    await until(() => ops.said().length === 2);
    await inbox.pausing.resume("shop", {}, "sam");
    await until(() => ops.said().length === 4);
    const [paused = "", old = "", ...ended] = ops.said();
    expect(paused).toBe("began: The source shop is paused, and holds its events.");
    expect(old).toStartWith("began: The source shop has held events for 25h.");
    expect(new Set(ended)).toEqual(
      new Set([
        "ended: The source shop is not paused any more.",
        "ended: The source shop holds nothing any more that is old or too much.",
      ]),
    );
  });

  test("tells of a source that is silent for longer than ever before", async () => {
    using ops = receiver();
    let now = Math.floor(Date.now() / HOUR) * HOUR;
    await using inbox = await open(ops.port, { clock: () => now });
    const hours = Array.from({ length: 60 }, (_, hour) => now - (60 - hour) * 2 * HOUR);
    change(
      inbox,
      ...hours.map(
        (at) =>
          `insert into hookonce_rollups (span, at, source, last_at, processed) values ('hour', ${at}, 'shop', ${at}, 1)`,
      ),
    );
    await inbox.deliver(paid("evt_1"), { source: "shop" });
    // Twice the longest pause of two hours, and the delivery of now.
    now += 3.9 * HOUR;
    const looks = inbox.log.length;
    await Bun.sleep(50);
    expect([ops.said(), inbox.log.length >= looks]).toEqual([[], true]);
    now += 0.2 * HOUR;
    await until(() => ops.said().length === 1);
    expect(inbox.alerting.warnings().map(({ code }) => code)).toEqual(["source_silent"]);
    await inbox.deliver(paid("evt_2"), { source: "shop" });
    await until(() => ops.said().length === 2);
    expect(inbox.alerting.warnings()).toEqual([]);
    expect(ops.said()[0]).toStartWith("began: The source shop has received nothing since ");
    expect(ops.said()[0]).toEndWith("Before that, its longest pause in two weeks was 2h.");
    expect(ops.said()[1]).toBe("ended: The source shop is not silent any more.");
  });

  test("tells of dead messages, but not of those that go where it is told", async () => {
    using ops = receiver();
    await using inbox = await open(ops.port);
    change(inbox, dead("own", "ops"), dead("other", "app"));
    await until(() => ops.said().length === 1);
    change(inbox, "update hookonce_messages set state = 'discarded' where message_id = 'other'");
    await until(() => ops.said().length === 2);
    expect(ops.said()).toEqual([
      "began: hookonce has given up on 1 message to app. To see them: hookonce messages --destination app --state dead",
      "ended: No message to app is dead any more.",
    ]);
    expect(inbox.rows("select key from hookonce_alerts where key like '%ops%'")).toEqual([]);
  });

  test("is repeated by no restart, and ends after one", async () => {
    using ops = receiver();
    await using inbox = await open(ops.port);
    await inbox.pausing.pause("shop", {}, "sam");
    await until(() => ops.said().length === 1);
    for (let n = 0; n < 3; n++) await inbox.restart();
    const lookedAt = inbox.value("select seen_at from hookonce_alerts where key like '%source_paused%'");
    await inbox.pausing.resume("shop", {}, "sam");
    await until(() => ops.said().length === 2);
    expect(lookedAt).toBeNumber();
    expect(ops.said()).toEqual([
      "began: The source shop is paused, and holds its events.",
      "ended: The source shop is not paused any more.",
    ]);
  });

  test("is a Standard Webhook if its destination signs so", async () => {
    using ops = receiver();
    await using inbox = await open(ops.port, {
      config: config(ops.port, 'sign = "standard-webhooks"\nsecret = "env:OPS"'),
      environment: { OPS: SECRET },
    });
    await inbox.pausing.pause("shop", {}, "sam");
    await until(() => ops.said().length === 1);
    const { body = "", headers = {} } = ops.got.find((one) => one.body.includes("source_paused")) ?? {};
    const read = new Webhook(SECRET).verify(body, headers) as Alert;
    expect([read.type, read.data.alert, headers["content-type"]]).toEqual([
      "hookonce.alert.began",
      "source_paused",
      "application/json",
    ]);
  });

  test("goes to the standard input of a command", async () => {
    const ops = 'url = "http://127.0.0.1:9/"\nsign = "none"\n[destinations.app]';
    await using inbox = await open(9, {
      config: config(9).replace(ops, 'command = ["/bin/sh", "tell.sh"]\n[destinations.app]'),
      files: { ...FILES, "tell.sh": "cat >> told\n" },
    });
    await inbox.pausing.pause("shop", {}, "sam");
    const told = join(inbox.folder, "told");
    await until(() => existsSync(told) && readFileSync(told, "utf8").includes('"alert":"source_paused"'));
  });

  test("is off without the table", async () => {
    using ops = receiver();
    await using inbox = await open(ops.port, {
      config: config(ops.port).replace('[alerts]\nto = "ops"', ""),
    });
    await inbox.pausing.pause("shop", {}, "sam");
    await Bun.sleep(50);
    expect([ops.got, inbox.rows("select * from hookonce_alerts")]).toEqual([[], []]);
    expect(inbox.alerting.warnings()).toEqual([]);
  });
});

const found = async (freeBytes: number | null) => {
  const none = { reader: EMPTY, sources: [], now: 10 * HOUR, startedAt: 0 };
  return (await conditionsOf({ ...none, freeBytes })).found.map((one) => [one.subject, textOf(one)]);
};

test("a disk with less than 1 GiB is a condition, unless the system does not say what is free", async () => {
  expect(await found(1024 ** 3)).toEqual([]);
  expect(await found(null)).toEqual([]);
  expect(await found(500 * 1024 ** 2)).toEqual([
    [
      { alert: "disk_low" },
      "Only 500 MiB are free on the disk of the database. Without space, deliveries are answered 503.",
    ],
  ]);
});
