import { expect, setDefaultTimeout, test } from "bun:test";
import { testInFullRun } from "../crash/requirements.ts";
import { statSync } from "node:fs";
import type { StatusJson } from "../../src/http/admin/shapes.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";

// Each waits for conditions, on a machine that may be busy.
setDefaultTimeout(120_000);

const DAY = 86_400_000;
const MIB = 1024 ** 2;

const SOURCE = (name: string): string => `
[sources.${name}]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
`;

const FILES = {
  "migrations/0001_effects.sql": "create table effects (event_id text not null);",
  "handlers/default/paid.sql": "insert into effects values (:event_id);",
};

async function inboxWith(retention: string, files: Record<string, string> = FILES) {
  let now = 1_795_780_800_000;
  const inbox = await testInbox({
    config: `${retention}\n${SOURCE("default")}`,
    files,
    clock: () => now,
    upkeep: { minuteMs: 20 },
  });
  return { inbox, pass: (ms: number): void => void (now += ms) };
}

async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await done())) {
    if (performance.now() > deadline) throw new Error("it did not happen within 60 s");
    await Bun.sleep(10);
  }
}

const bodies = (inbox: TestInbox): number => inbox.value("select count(*) from hookonce_bodies");
const json = async (inbox: TestInbox, path: string): Promise<any> => (await inbox.api(path)).json(); // oxlint-disable-line typescript/no-explicit-any -- tests read single values of an answer
const status = (inbox: TestInbox): Promise<StatusJson> => json(inbox, "/api/status");

async function job(inbox: TestInbox, request: object) {
  const started = await inbox.api("/api/jobs", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
  });
  const { id } = (await started.json()) as { id: string };
  let view = await json(inbox, `/api/jobs/${id}`);
  await until(async () => (view = await json(inbox, `/api/jobs/${id}`)).state !== "running");
  return view;
}

test("without [retention] nothing is removed, however old it is", async () => {
  const { inbox, pass } = await inboxWith("");
  await using _ = inbox;
  await inbox.deliver({ event_id: "evt_1", type: "paid" });
  await inbox.deliver({ event_id: "evt_2", type: "other" });
  pass(4000 * DAY);
  await Bun.sleep(200);
  expect(bodies(inbox)).toBe(2);
  expect((await status(inbox)).retention).toMatchObject({ payloads_ms: null, max_bytes: null, discarded: 0 });
});

test("payloads are removed after their time, and every face says so", async () => {
  const { inbox, pass } = await inboxWith('[retention]\npayloads = "90d"');
  await using _ = inbox;
  await inbox.deliver({ event_id: "evt_1", type: "paid" });
  await inbox.deliver({ event_id: "evt_2", type: "other" });
  pass(89 * DAY);
  await inbox.deliver({ event_id: "evt_3", type: "paid" });
  await Bun.sleep(200);
  expect(bodies(inbox)).toBe(3);

  pass(2 * DAY);
  await until(() => bodies(inbox) === 1);
  await until(() => inbox.log.some(({ msg }) => msg.startsWith("retention discarded unhandled events")));
  const event = await json(inbox, "/api/event?event_id=evt_1");
  expect(event).toMatchObject({
    outcome: "processed",
    payload: null,
    bytes: null,
    payload_removed: true,
    forgotten: null,
  });
  expect(event.headers).toEqual({});
  expect(await json(inbox, "/api/event?event_id=evt_2")).toMatchObject({
    outcome: "discarded",
    reason: "retention",
    payload_removed: true,
  });
  expect(await json(inbox, "/api/event?event_id=evt_3")).toMatchObject({ payload_removed: false });
  const raw = await inbox.api("/api/event/raw?event_id=evt_1");
  expect([raw.status, await raw.json()]).toMatchObject([404, { error: { code: "payload_removed" } }]);
  const { retention } = await status(inbox);
  expect(retention).toMatchObject({ payloads_ms: 90 * DAY, max_bytes: null, discarded: 1 });

  expect((await inbox.deliver({ event_id: "evt_1", type: "paid", n: 2 })).body.status).toBe("duplicate");
  const replayed = await job(inbox, { action: "replay", filter: {}, ids: ["evt_1"], reason: "a test" });
  expect(replayed.failures).toMatchObject([{ code: "payload_removed" }]);
  const applied = await job(inbox, { action: "apply", filter: {}, ids: ["evt_2"], reason: "a test" });
  expect(JSON.stringify(applied.groups)).toContain("other");
  expect(inbox.rows("select event_id from effects")).toEqual([{ event_id: "evt_1" }, { event_id: "evt_3" }]);
  expect(inbox.fatal).toEqual([]);
});

test("an event keeps its payload until its message is settled, and delivered messages go after their time", async () => {
  const { inbox, pass } = await inboxWith('[retention]\npayloads = "30d"');
  await using _ = inbox;
  const states = ["waiting", "sending", "interrupted", "delivered", "discarded", "dead"];
  for (const [n] of states.entries()) await inbox.deliver({ event_id: `evt_${n}`, type: "paid" });
  const at = inbox.value("select max(received_at) from hookonce_events");
  for (const [n, state] of states.entries()) {
    const settled = n < 3 ? "null" : "?2";
    inbox.rows(
      `insert into hookonce_messages (message_id, destination, event, state, created_at, next_at, since, settled_at)
       values ('m${n}', 'app', (select id from hookonce_events where event_id = 'evt_${n}'), ?1, ?2, ?2, ?2, ${settled})`,
      state,
      at,
    );
    inbox.rows(
      "insert into hookonce_attempts select id, 1, created_at, 1, 200, null, 'ok' from hookonce_messages where message_id = ?",
      `m${n}`,
    );
  }
  pass(31 * DAY);
  await until(() => inbox.value("select count(*) from hookonce_messages") === 4);
  const left = () =>
    inbox.rows("select state from hookonce_messages order by id").map(({ state }) => String(state));
  expect(left()).toEqual(["waiting", "sending", "interrupted", "dead"]);
  // A dead message can be sent again.
  await until(() => bodies(inbox) === 4);
  pass(60 * DAY);
  // Dead messages are looked at again within an hour, or after a start.
  await inbox.restart();
  await until(() => left().length === 3);
  expect(left()).toEqual(["waiting", "sending", "interrupted"]);
  expect(inbox.value("select count(*) from hookonce_attempts")).toBe(3);
  await until(() => bodies(inbox) === 3);
  await inbox.close();
  inbox.rows("update hookonce_messages set state = 'delivered', settled_at = 1");
  await inbox.restart();
  await until(() => bodies(inbox) === 0);
  expect(inbox.value("select count(*) from hookonce_events")).toBe(6);
  expect(inbox.value("select count(*) from hookonce_results")).toBe(6);
});

const filler = "x".repeat(20_000);

testInFullRun(
  "above max_size the source that stores the most gives up its oldest payloads, and no other",
  async () => {
    const files = { ...FILES, "handlers/noisy/paid.sql": "insert into effects values (:event_id);" };
    const config = '[retention]\nmax_size = "8 MiB"';
    const { inbox } = await inboxWith(`${config}\n${SOURCE("noisy")}`, files);
    await using _ = inbox;
    for (let n = 0; n < 20; n++)
      await inbox.deliver({ event_id: `quiet_${n}`, type: "paid", filler }, { source: "default" });
    const used = async (): Promise<number> => (await status(inbox)).retention.used_bytes;
    let largest = 0;
    for (let round = 0; round < 12; round++) {
      await Promise.all(
        Array.from({ length: 100 }, (__, n) =>
          inbox.deliver({ event_id: `noisy_${round}_${n}`, type: "paid", filler }, { source: "noisy" }),
        ),
      );
      largest = Math.max(largest, await used());
      await until(async () => (await used()) <= 8 * MIB);
    }
    // 24 MB were delivered. A round brings 2 MB.
    expect(largest).toBeLessThan(12 * MIB);
    const left = (source: string): number =>
      inbox.value(
        "select count(*) from hookonce_bodies where id in (select id from hookonce_events where source = ?)",
        source,
      );
    expect(left("default")).toBe(20);
    expect(left("noisy")).toBeWithin(50, 400);
    // The newest are left.
    expect(inbox.value("select min(id) from hookonce_bodies where id > 20") - 20 + left("noisy") - 1).toBe(
      1200,
    );
    expect(inbox.value("select count(*) from effects")).toBe(1220);
    expect((await status(inbox)).serving).toBeNull();
    expect(inbox.fatal).toEqual([]);
  },
);

const isTooLarge = ({ msg }: { msg: string }): boolean =>
  msg.includes("more than max_size under [retention]");

test("what is owed is never removed for max_size, and a warning says that it is too large", async () => {
  const { inbox } = await inboxWith('[retention]\nmax_size = "2 MiB"', {});
  await using _ = inbox;
  for (let n = 0; n < 150; n++) await inbox.deliver({ event_id: `evt_${n}`, type: "paid", filler });
  await until(() => inbox.log.some(isTooLarge));
  await Bun.sleep(100);
  expect(inbox.log.filter(isTooLarge)).toHaveLength(1);
  expect(bodies(inbox)).toBe(150);
  expect(inbox.value("select count(*) from hookonce_events where outcome = 'unhandled'")).toBe(150);

  await inbox.restart({ files: FILES });
  await job(inbox, { action: "apply", filter: {} });
  expect(inbox.value("select count(*) from effects")).toBe(150);
  await until(() => bodies(inbox) < 100);
});

testInFullRun("free pages return to the disk, and the log does not grow because of it", async () => {
  const { inbox, pass } = await inboxWith('[retention]\npayloads = "90d"');
  await using _ = inbox;
  for (let round = 0; round < 15; round++)
    await Promise.all(
      Array.from({ length: 100 }, (__, n) =>
        inbox.deliver({ event_id: `evt_${round}_${n}`, type: "paid", filler }),
      ),
    );
  pass(91 * DAY);
  let log = 0;
  await until(() => {
    log = Math.max(log, statSync(`${inbox.databasePath}-wal`).size);
    return bodies(inbox) === 0 && statSync(inbox.databasePath).size < 8 * MIB;
  });
  expect(inbox.value("pragma freelist_count") * 4096).toBeLessThan(3 * MIB);
  // 30 MB were delivered.
  expect(log).toBeLessThan(64 * MIB);
  expect(inbox.value("pragma integrity_check")).toBe("ok");
  expect(inbox.value("select count(*) from hookonce_events")).toBe(1500);
});
