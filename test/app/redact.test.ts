import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { check } from "../../src/app/check.ts";
import { until } from "../outbox/support/received.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { EMAIL, event, filesWith, job, nothingIsLeft, rowsWith } from "./support/redacted.ts";

// Each waits for conditions, on a machine that may be busy.
setDefaultTimeout(120_000);

const source = (more = "", redact = '["body:$.customer.email"]'): string => `
[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
redact = ${redact}
${more}`;

const IN_BATCH = source('batch = "body:$.events[*]"');

const files = (sql = "select 1;") => ({ "handlers/default/paid.sql": sql });
const FAILS_AT_FIRST = {
  "migrations/0001.sql": "create table gates (open int); create table never (id int not null);",
  "handlers/default/paid.sql":
    "insert into never select null where not exists (select 1 from gates) and :payload ->> '$.fails' is not null;",
};

const other = (id: string): object => event(id, { type: "other" });

const bodies = (inbox: TestInbox): string[] =>
  inbox
    .rows("select cast(bytes as text) as body from hookonce_bodies order by id")
    .map(({ body }: { body: string }) => body);

/** The events whose own bodies are stored. */
const idsOf = (inbox: TestInbox): Set<string> =>
  new Set(bodies(inbox).map((body) => (JSON.parse(body) as { event_id: string }).event_id));

describe("an event that is done at once", () => {
  test("is stored without the values, which no file has ever had", async () => {
    await using inbox = await testInbox({ config: source(), files: files() });
    expect((await inbox.deliver(event("evt_1"))).body.status).toBe("processed");
    expect(filesWith(inbox)).toEqual([]);
    expect(bodies(inbox)).toEqual(['{"event_id":"evt_1","type":"paid","customer":{"email":"[redacted]"}}']);
    await nothingIsLeft(inbox);
  });

  test("has run with the values as they were received", async () => {
    await using inbox = await testInbox({
      config: source(),
      files: {
        "migrations/0001.sql": "create table seen (id text, email text);",
        ...files("insert into seen values (:event_id, :payload ->> '$.customer.email');"),
      },
    });
    await inbox.deliver(event("evt_1"));
    expect(inbox.rows("select * from seen")).toEqual([{ id: "evt_1", email: EMAIL }]);
  });

  test("may lack the values, and can then be replayed", async () => {
    await using inbox = await testInbox({ config: source(), files: files() });
    await inbox.deliver({ event_id: "evt_1", type: "paid", customer: { email: null } });
    expect(inbox.value("select redacted from hookonce_bodies")).toBeNull();
    const done = await job(inbox, { action: "replay", ids: ["evt_1"], reason: "test" });
    expect(done.groups).toMatchObject([{ processed: 1, failed: 0 }]);
  });

  test("that is a batch is stored in parts, each without the values", async () => {
    await using inbox = await testInbox({ config: IN_BATCH, files: files() });
    await inbox.deliver({ to: EMAIL, events: [event("evt_1"), event("evt_2"), { type: "no id", EMAIL }] });
    expect(filesWith(inbox)).toEqual([]);
    expect(idsOf(inbox)).toEqual(new Set(["evt_1", "evt_2"]));
    const shown: any = await (await inbox.api("/api/event?source=default&event_id=evt_2")).json(); // oxlint-disable-line typescript/no-explicit-any -- tests read single values of an answer
    expect(shown.payload.customer).toEqual({ email: "[redacted]" });
    await nothingIsLeft(inbox);
  });

  test("that is stale has none of them either", async () => {
    const newest = 'newest_wins = { types = ["paid"], key = "body:$.key", version = "body:$.n" }';
    await using inbox = await testInbox({ config: source(newest), files: files() });
    await inbox.deliver(event("evt_2", { key: "k", n: 2 }));
    expect((await inbox.deliver(event("evt_1", { key: "k", n: 1 }))).body.status).toBe("stale");
    await nothingIsLeft(inbox);
  });
});

describe("an event that is owed", () => {
  test("keeps its whole body until its handler succeeds, in a delivery", async () => {
    await using inbox = await testInbox({ config: source(), files: FAILS_AT_FIRST });
    const sent = event("evt_1", { fails: 1 });
    expect((await inbox.deliver(sent)).status).toBe(500);
    expect(rowsWith(inbox)).toBe(1);
    inbox.rows("insert into gates values (1)");
    expect((await inbox.deliver(sent)).body.status).toBe("processed");
    expect(bodies(inbox)[0]).toContain("[redacted]");
    await nothingIsLeft(inbox);
  });

  test("keeps it until apply succeeds", async () => {
    await using inbox = await testInbox({ config: source(), files: FAILS_AT_FIRST });
    await inbox.deliver(event("evt_1", { fails: 1 }));
    inbox.rows("insert into gates values (1)");
    expect((await job(inbox, { action: "apply", ids: ["evt_1"] })).groups).toMatchObject([{ processed: 1 }]);
    expect(bodies(inbox)[0]).toContain("[redacted]");
    await nothingIsLeft(inbox);
  });

  test("keeps it while it is unhandled, and until it is discarded", async () => {
    await using inbox = await testInbox({ config: source() });
    await inbox.deliver(event("evt_1"));
    expect(rowsWith(inbox)).toBe(1);
    await job(inbox, { action: "discard", ids: ["evt_1"], reason: "test" });
    await nothingIsLeft(inbox);
  });

  test("keeps it until it is discarded after it has failed", async () => {
    await using inbox = await testInbox({ config: source(), files: FAILS_AT_FIRST });
    await inbox.deliver(event("evt_1", { fails: 1 }));
    await job(inbox, { action: "discard", ids: ["evt_1"], reason: "test" });
    await nothingIsLeft(inbox);
  });

  test("keeps it until it is imported", async () => {
    await using inbox = await testInbox({ config: source(), files: FAILS_AT_FIRST });
    await inbox.deliver(event("evt_1", { fails: 1 }));
    await inbox.deliver(event("evt_2", { type: "none" }));
    const items = ["evt_1", "evt_2"].map((id) => [id, "paid", 1]);
    await job(inbox, { action: "import", source: "default", events: items });
    expect(inbox.rows("select outcome from hookonce_events")).toEqual([
      { outcome: "imported" },
      { outcome: "imported" },
    ]);
    await nothingIsLeft(inbox);
  });

  test("keeps it while it is held, and until its source resumes", async () => {
    await using inbox = await testInbox({ config: source(), files: files() });
    await inbox.pausing.pause("default", {}, "test");
    expect((await inbox.deliver(event("evt_1"))).body.status).toBe("held");
    expect(rowsWith(inbox)).toBe(1);
    await inbox.pausing.resume("default", {}, "test");
    await until("it is processed", () => inbox.value("select outcome from hookonce_events") === "processed");
    await nothingIsLeft(inbox);
  });

  test("of a batch keeps the batch until the last of them is done", async () => {
    await using inbox = await testInbox({ config: IN_BATCH, files: files() });
    await inbox.deliver({ events: [event("evt_1"), other("evt_2"), other("evt_3")] });
    expect(rowsWith(inbox)).toBe(1);
    await job(inbox, { action: "discard", ids: ["evt_2"], reason: "test" });
    expect(rowsWith(inbox)).toBe(1);
    await job(inbox, { action: "discard", ids: ["evt_3"], reason: "test" });
    expect(idsOf(inbox)).toEqual(new Set(["evt_1", "evt_2", "evt_3"]));
    await nothingIsLeft(inbox);
  });
});

describe("another body of an event", () => {
  test("is stored without the values if the event is done", async () => {
    await using inbox = await testInbox({ config: source(), files: files() });
    await inbox.deliver(event("evt_1"));
    await inbox.deliver(event("evt_1", { more: 1 }));
    expect(inbox.value("select cast(body as text) from hookonce_changed_bodies")).toBe(
      '{"event_id":"evt_1","type":"paid","customer":{"email":"[redacted]"},"more":1}',
    );
    expect(filesWith(inbox)).toEqual([]);
    await nothingIsLeft(inbox);
  });

  test("loses them with the first one if the event is owed", async () => {
    await using inbox = await testInbox({ config: source() });
    await inbox.deliver(event("evt_1"));
    await inbox.deliver(event("evt_1", { more: 1 }));
    expect(rowsWith(inbox)).toBe(2);
    await job(inbox, { action: "discard", ids: ["evt_1"], reason: "test" });
    await nothingIsLeft(inbox);
  });

  test("is noticed by the bytes as received, also after the values were replaced", async () => {
    await using inbox = await testInbox({ config: source(), files: files() });
    await inbox.deliver(event("evt_1"));
    await inbox.deliver(event("evt_1"));
    expect(inbox.value("select changed_bodies from hookonce_events")).toBe(0);
    await inbox.deliver(event("evt_1", { customer: { email: "other@example.com" } }));
    expect(inbox.value("select changed_bodies from hookonce_events")).toBe(1);
    expect(rowsWith(inbox, "other@example.com")).toBe(0);
  });

  test("of a batch is noticed when its events come again in another batch", async () => {
    await using inbox = await testInbox({ config: IN_BATCH, files: files() });
    await inbox.deliver({ events: [event("evt_1"), event("evt_2")] });
    await inbox.deliver({ events: [event("evt_2"), event("evt_3")] });
    expect(inbox.value("select sum(changed_bodies) from hookonce_events")).toBe(0);
    await inbox.deliver({ events: [event("evt_2", { more: 1 })] });
    expect(inbox.value("select sum(changed_bodies) from hookonce_events")).toBe(1);
    await nothingIsLeft(inbox);
  });
});

describe("an event whose values were replaced", () => {
  test("is a duplicate when it is delivered again", async () => {
    await using inbox = await testInbox({ config: source(), files: files() });
    await inbox.deliver(event("evt_1"));
    const all = await Promise.all([1, 2, 3, 4].map(() => inbox.deliver(event("evt_1"))));
    expect(all.map(({ body }) => body.status)).toEqual(Array.from(all, () => "duplicate"));
  });

  test("cannot be replayed, and the answer says why", async () => {
    await using inbox = await testInbox({ config: source(), files: files() });
    await inbox.deliver(event("evt_1"));
    const done = await job(inbox, { action: "replay", ids: ["evt_1"], reason: "test" });
    expect(done.groups).toMatchObject([{ processed: 0, failed: 1 }]);
    expect(done.failures).toMatchObject([{ code: "event_redacted" }]);
  });

  test("cannot be applied after all once it was discarded", async () => {
    await using inbox = await testInbox({ config: source() });
    await inbox.deliver(event("evt_1"));
    await job(inbox, { action: "discard", ids: ["evt_1"], reason: "test" });
    inbox.write(files());
    await inbox.restart();
    const done = await job(inbox, { action: "apply", ids: ["evt_1"], reason: "test" });
    expect(done.failures).toMatchObject([{ code: "event_redacted" }]);
    expect(inbox.value("select outcome from hookonce_events")).toBe("discarded");
  });
});

test("bodies of every size leave nothing in the database, wherever the value is in them", async () => {
  await using inbox = await testInbox({ config: source('max_body = "2 MiB"'), mebibytes: 64 });
  const sizes = Array.from({ length: 60 }, (_, n) => Math.round(1.25 ** n)).filter(
    (size) => size < 1_000_000,
  );
  const sent = sizes.flatMap((size, n) => [
    event(`before_${n}`, { filler: "x".repeat(size) }),
    { filler: "x".repeat(size), ...event(`after_${n}`) },
  ]);
  for (const one of sent) expect((await inbox.deliver(one)).body.status).toBe("unhandled");
  expect(rowsWith(inbox)).toBe(sent.length);
  const { groups } = await job(inbox, { action: "discard", filter: { source: "default" }, reason: "test" });
  expect(groups).toMatchObject([{ discarded: sent.length }]);
  expect(inbox.value("select count(*) from hookonce_bodies where redacted = 1")).toBe(sent.length);
  await nothingIsLeft(inbox);
});

test("retention overwrites what it removes", async () => {
  let now = Date.now();
  await using inbox = await testInbox({
    config: `${source().replace(/redact = .*\n/, "")}\n[retention]\npayloads = "1d"\n`,
    files: files(),
    clock: () => now,
    upkeep: { minuteMs: 20 },
  });
  const sizes = [0, 10, 300, 3000, 5000, 60_000, 300_000];
  for (const [n, size] of sizes.entries())
    await inbox.deliver(event(`evt_${n}`, { filler: "x".repeat(size) }));
  expect(rowsWith(inbox)).toBe(sizes.length);
  now += 2 * 86_400_000;
  await until("they are removed", () => inbox.value("select count(*) from hookonce_bodies") === 0);
  await nothingIsLeft(inbox);
});

test("same_body recognizes an event by its bytes as received", async () => {
  await using inbox = await testInbox({
    config: source('same_body = "duplicate"').replace('"body:$.event_id"', '"header:x-id"'),
    files: files(),
  });
  const send = async (id: string, body: object) =>
    (await inbox.deliver(body, { headers: { "x-id": id } })).body.status;
  expect(await send("a", event("evt_1"))).toBe("processed");
  expect(await send("b", event("evt_1"))).toBe("duplicate");
  expect(await send("c", event("evt_1", { customer: { email: "other@example.com" } }))).toBe("processed");
  await nothingIsLeft(inbox);
});

test("the API says how many values were replaced, and check does not miss what was below them", async () => {
  await using inbox = await testInbox({
    config: source("", '["body:$.customer", "body:$.name"]'),
    files: files(),
  });
  await inbox.deliver(event("evt_1", { name: "Jenny" }));
  await inbox.deliver({ event_id: "evt_2", type: "paid" });
  const counts = await Promise.all(
    ["evt_1", "evt_2"].map(async (id) => {
      const shown: any = await (await inbox.api(`/api/event?source=default&event_id=${id}`)).json(); // oxlint-disable-line typescript/no-explicit-any -- tests read single values of an answer
      return shown.values_redacted;
    }),
  );
  expect(counts).toEqual([2, 0]);
  inbox.write(files("select :payload ->> '$.customer.email', :payload ->> '$.custmer.email';"));
  const { warnings } = await check(inbox.folder, { environment: {}, clock: Date.now });
  expect(warnings.map(({ message }) => message).filter((text) => text.includes("stored event"))).toEqual([
    expect.stringContaining("'$.custmer.email'"),
  ]);
});

test("a source that gets redact later replaces nothing in events that were done before", async () => {
  const without = source().replace(/redact = .*\n/, "");
  await using inbox = await testInbox({ config: without, files: files() });
  await inbox.deliver(event("evt_1"));
  await inbox.restart({ config: source() });
  await inbox.deliver(event("evt_1"));
  await inbox.deliver(event("evt_2"));
  expect(rowsWith(inbox)).toBe(1);
  expect(
    inbox.rows(
      "select event_id from hookonce_events where id in (select id from hookonce_bodies where redacted = 1)",
    ),
  ).toEqual([{ event_id: "evt_2" }]);
});

test("headers and parameters of the query are replaced, also where a proxy repeats the URL", async () => {
  const redact = '["header:X-Name", "query:phone"]';
  const config = source("allow_public = true", redact).replace(
    'type = "body:$.type"',
    'type = ["query:phone_type", "body:$.type"]',
  );
  await using inbox = await testInbox({ config, files: files() });
  const answer = await inbox.request(`/webhook?phone=${EMAIL}&b=2`, {
    method: "POST",
    body: JSON.stringify({ event_id: "evt_1", type: "paid" }),
    headers: {
      "content-type": "application/json",
      "x-name": EMAIL,
      "x-original-uri": `/webhook?a=1&phone=${EMAIL}&b=2`,
    },
  });
  expect(answer.status).toBe(200);
  expect(JSON.parse(inbox.value("select headers from hookonce_bodies"))).toMatchObject({
    "x-name": "[redacted]",
    "x-original-uri": "/webhook?a=1&phone=[redacted]&b=2",
  });
  await nothingIsLeft(inbox);
});
