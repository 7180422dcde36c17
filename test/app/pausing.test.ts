import { describe, expect, test } from "bun:test";
import { TABLES, ts } from "../handlers/sources.ts";
import { testInbox, type TestInbox, type TestInboxOptions } from "../support/test-inbox.ts";

const config = (extra = "", provider = "unsigned"): string => `
[sources.default]
provider = "${provider}"
event_id = "body:$.event_id"
type = "body:$.type"
${extra}
`;

/** The handler fails while the event's id is in a table. */
const FILES = {
  "migrations/0001_effects.sql": `create table effects (event_id text not null, note text);
create table bad (event_id text not null);
create table never (id integer not null);`,
  "handlers/default/paid.sql": `insert into effects values (:event_id, :payload ->> '$.note');
insert into never select null where :event_id in (select event_id from bad);`,
};

const NOW = 1_795_780_800_000;

function shop(options: TestInboxOptions = {}): Promise<TestInbox> {
  return testInbox({ config: config(), files: FILES, upkeep: { minuteMs: 60_000 }, ...options });
}

async function until(done: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!done()) {
    if (performance.now() > deadline) throw new Error("it did not happen within 20 s");
    await Bun.sleep(10);
  }
}

const idOf = (n: number): string => `evt_${n}`;
const idsTo = (count: number): string[] => Array.from({ length: count }, (_, n) => idOf(n));

async function answer(inbox: TestInbox, id: string): Promise<string> {
  const { status, body } = await inbox.deliver({ event_id: id, type: "paid", note: id });
  return `${status} ${body.status ?? body.error.code}`;
}

const effects = (inbox: TestInbox): string[] =>
  inbox.rows("select event_id from effects order by rowid").map(({ event_id: id }) => id as string);
const states = (inbox: TestInbox) =>
  inbox.rows("select name, state, until, reason, stop_on_failure from hookonce_source_states");
const audit = (inbox: TestInbox): string[] =>
  inbox
    .rows("select actor, action, target, reason from hookonce_audit order by id")
    .map((line) => Object.values(line as object).join(" "));
const isOpen = (inbox: TestInbox) => (): boolean => states(inbox).length === 0;
const said = ({ log }: TestInbox, text: string) => log.filter(({ msg }) => msg.includes(text));

describe("a pause", () => {
  test("holds what is delivered with 200, and a resume runs it in the order received", async () => {
    await using inbox = await shop();
    expect(await answer(inbox, "before")).toBe("200 processed");
    await inbox.pausing.pause("default", { reason: "a new handler" }, "sam");
    const { status, body } = await inbox.deliver({ event_id: "evt_0", type: "paid" });
    expect([status, body]).toEqual([200, { status: "held", event_id: "evt_0", message: "Webhook received" }]);
    for (const id of idsTo(150)) expect(await answer(inbox, id)).toBe("200 held");
    expect(await answer(inbox, "before")).toBe("200 duplicate");
    expect(effects(inbox)).toEqual(["before"]);
    expect(states(inbox)).toMatchObject([{ name: "default", state: "held", reason: "a new handler" }]);

    await inbox.pausing.resume("default", {}, "sam");
    await until(isOpen(inbox));
    expect(effects(inbox)).toEqual(["before", ...idsTo(150)]);
    expect(await answer(inbox, "after")).toBe("200 processed");
    expect(audit(inbox)).toEqual(["sam pause default a new handler", "sam resume default "]);
    await until(() => said(inbox, "the source is open again").length > 0);
    expect(said(inbox, "the source is open again")).toMatchObject([{ source: "default", events: 150 }]);
  });

  test("goes on after a restart, and so does a resume", async () => {
    await using inbox = await shop();
    await inbox.pausing.pause("default", {}, "sam");
    await inbox.restart();
    const ids = idsTo(300);
    expect(new Set(await Promise.all(ids.map((id) => answer(inbox, id))))).toEqual(new Set(["200 held"]));
    const received = inbox.rows("select event_id from hookonce_events order by id");
    await inbox.pausing.resume("default", {}, "sam");
    for (let n = 0; n < 3; n++) await inbox.restart();
    await until(isOpen(inbox));
    expect(effects(inbox)).toEqual(received.map(({ event_id: id }) => id as string));
    expect(effects(inbox)).toHaveLength(300);
  });

  test("ends by itself at its time", async () => {
    let now = NOW;
    await using inbox = await shop({ clock: () => now });
    await inbox.pausing.pause("default", { until: NOW + 7_200_000 }, "sam");
    expect(await answer(inbox, "evt_0")).toBe("200 held");
    now += 7_199_999;
    await Bun.sleep(100);
    expect(await answer(inbox, "evt_1")).toBe("200 held");
    now += 1;
    await until(isOpen(inbox));
    expect(effects(inbox)).toEqual(["evt_0", "evt_1"]);
    expect(audit(inbox)).toEqual(["sam pause default ", "hookonce resume default its time is over"]);
  });

  test("ends after its time, however the clock jumps meanwhile, and after a restart at most as long again", async () => {
    const HOUR = 3_600_000;
    let [clock, monotonic] = [NOW, 0];
    let asked = 0;
    await using inbox = await shop({ clock: () => clock, monotonic: () => (asked++, monotonic) });
    /** hookonce has looked at the pause since. */
    const looked = (): Promise<void> => {
      const before = asked;
      return until(() => asked > before + 1);
    };
    await inbox.pausing.pause("default", { until: NOW + 2 * HOUR }, "sam");
    await looked();
    for (const days of [1, -1]) {
      clock = NOW + days * 24 * HOUR;
      monotonic += HOUR - 1;
      await looked();
      expect(states(inbox)).toMatchObject([{ state: "held" }]);
    }
    monotonic += 2;
    await until(isOpen(inbox));

    clock = NOW;
    await inbox.pausing.pause("default", { until: NOW + 2 * HOUR }, "sam");
    await looked();
    clock = NOW - 24 * HOUR;
    await inbox.restart();
    await looked();
    monotonic += 2 * HOUR - 1;
    await looked();
    expect(states(inbox)).toMatchObject([{ state: "held" }]);
    monotonic += 1;
    await until(isOpen(inbox));
  });

  test("that refuses answers 503 and records nothing, also after a restart", async () => {
    await using inbox = await shop();
    await inbox.pausing.pause("default", { refuse: true }, "sam");
    expect(inbox.pausing.isRefusing("default")).toBe(true);
    expect(await answer(inbox, "evt_0")).toBe("503 source_paused");
    await inbox.restart();
    expect(await answer(inbox, "evt_0")).toBe("503 source_paused");
    await until(() => inbox.pausing.isRefusing("default"));
    await inbox.pausing.resume("default", {}, "sam");
    expect(inbox.pausing.isRefusing("default")).toBe(false);
    expect(await answer(inbox, "evt_0")).toBe("200 processed");
    expect(inbox.rows("select deliveries from hookonce_events")).toEqual([{ deliveries: 1 }]);
  });

  test("keeps own retries from running, and they run once the source is open", async () => {
    let now = NOW;
    await using inbox = await shop({ config: config('retry_for = "1d"'), clock: () => now });
    inbox.rows("insert into bad values ('evt_0')");
    expect(await answer(inbox, "evt_0")).toBe("500 failed");
    await inbox.pausing.pause("default", {}, "sam");
    inbox.rows("delete from bad");
    now += 60_000;
    await Bun.sleep(100);
    expect(effects(inbox)).toEqual([]);
    expect(inbox.rows("select retries, attempts from hookonce_failures")).toEqual([
      { retries: 0, attempts: 1 },
    ]);
    await inbox.pausing.resume("default", {}, "sam");
    await until(() => effects(inbox).length === 1);
  });

  test("holds one of two sources only", async () => {
    const other = `[sources.other]\nprovider = "unsigned"\nevent_id = "body:$.event_id"\ntype = "body:$.type"\nhandlers = "default"\n`;
    await using inbox = await shop({ config: config() + other });
    await inbox.pausing.pause("default", {}, "sam");
    expect(await answer(inbox, "evt_0")).toBe("200 held");
    const { body } = await inbox.deliver({ event_id: "evt_0", type: "paid" }, { source: "other" });
    expect(body.status).toBe("processed");
  });
});

describe("a resume", () => {
  test("makes a failure of an event that fails, and goes on", async () => {
    await using inbox = await shop();
    await inbox.pausing.pause("default", {}, "sam");
    for (const id of idsTo(5)) await answer(inbox, id);
    inbox.rows("insert into bad values ('evt_1')");
    await inbox.pausing.resume("default", {}, "sam");
    await until(isOpen(inbox));
    expect(effects(inbox)).toEqual(["evt_0", "evt_2", "evt_3", "evt_4"]);
    const failed = () => said(inbox, "held event run").filter(({ outcome }) => outcome === "failed");
    await until(() => failed().length > 0);
    expect(failed()).toMatchObject([
      { level: 50, event: "evt_1", cause: expect.stringContaining("NOT NULL") },
    ]);
    // It was answered 200, so hookonce retries it.
    expect(inbox.rows("select event_id, next_at > first_at as retried from hookonce_failures")).toEqual([
      { event_id: "evt_1", retried: 1 },
    ]);
    inbox.rows("delete from bad");
    expect(await answer(inbox, "evt_1")).toBe("200 processed");
  });

  test("that stops on a failure pauses the source again, with the reason", async () => {
    await using inbox = await shop();
    await inbox.pausing.pause("default", {}, "sam");
    for (const id of idsTo(5)) await answer(inbox, id);
    inbox.rows("insert into bad values ('evt_1'), ('evt_3')");
    await inbox.pausing.resume("default", { stopOnFailure: true }, "sam");
    await until(() => states(inbox)[0]?.state === "held");
    expect(effects(inbox)).toEqual(["evt_0"]);
    expect(states(inbox)).toMatchObject([{ reason: "an event failed after resume --stop-on-failure" }]);
    expect(audit(inbox).at(-1)).toBe("hookonce pause default an event failed after resume --stop-on-failure");
    await inbox.pausing.resume("default", {}, "sam");
    await until(isOpen(inbox));
    expect(effects(inbox)).toEqual(["evt_0", "evt_2", "evt_4"]);
  });

  test("takes the events that arrive meanwhile after those that are held", async () => {
    await using inbox = await shop();
    await inbox.pausing.pause("default", {}, "sam");
    await Promise.all(idsTo(500).map((id) => answer(inbox, id)));
    const resumed = inbox.pausing.resume("default", {}, "sam");
    const answers = await Promise.all(
      Array.from({ length: 500 }, async (_, n) => {
        await Bun.sleep(n / 5);
        return answer(inbox, idOf(500 + n));
      }),
    );
    await resumed;
    await until(isOpen(inbox));
    expect(answers.every((one) => one === "200 held" || one === "200 processed")).toBe(true);
    const received = inbox.rows("select event_id from hookonce_events order by id");
    expect(effects(inbox)).toEqual(received.map(({ event_id: id }) => id as string));
    expect(effects(inbox)).toHaveLength(1000);
  });
});

test("a resuming source that is no longer in the config is open once its held events are discarded", async () => {
  const other = `[sources.other]\nprovider = "unsigned"\nevent_id = "body:$.event_id"\ntype = "body:$.type"\n`;
  await using inbox = await shop({ config: config() + other });
  await inbox.pausing.pause("other", {}, "sam");
  await inbox.deliver({ event_id: "evt_0" }, { source: "other" });
  await inbox.restart({ config: config(), open: { acceptIdChange: true } });
  await inbox.pausing.resume("other", {}, "sam");
  await Bun.sleep(100);
  expect(states(inbox)).toMatchObject([{ name: "other", state: "resuming" }]);
  const body = JSON.stringify({ action: "discard", filter: { source: "other" }, reason: "it is gone" });
  const headers = { "content-type": "application/json" };
  expect((await inbox.api("/api/jobs", { method: "POST", body, headers })).status).toBe(202);
  await until(isOpen(inbox));
  expect(inbox.rows("select outcome from hookonce_events")).toEqual([{ outcome: "discarded" }]);
});

test("concurrent duplicates while the source is paused and resumed have one effect each, in the order received", async () => {
  await using inbox = await shop();
  const answers: string[] = [];
  const delivered = new AbortController();
  const flips = (async () => {
    for (let n = 0; !delivered.signal.aborted || n % 2 === 1; n++) {
      if (n % 2 === 0) await inbox.pausing.pause("default", {}, "sam");
      else await inbox.pausing.resume("default", {}, "sam");
      await Bun.sleep(n % 7);
    }
  })();
  for (let n = 0; n < 40; n++) {
    const ids = Array.from({ length: 8 }, (_, k) => idOf(8 * n + k));
    answers.push(...(await Promise.all([...ids, ...ids, ...ids].map((id) => answer(inbox, id)))));
  }
  delivered.abort();
  await flips;
  await until(isOpen(inbox));
  expect(answers.filter((one) => !/^200 (?:held|processed|duplicate)$/.test(one))).toEqual([]);
  const received = inbox.rows("select event_id, deliveries from hookonce_events order by id");
  expect(effects(inbox)).toEqual(received.map(({ event_id: id }) => id as string));
  expect(received).toHaveLength(320);
  expect(received.every(({ deliveries }) => deliveries === 3)).toBe(true);
});

test("a pause during a resume takes effect after the run in progress, however many events are held", async () => {
  await using inbox = await shop({
    files: {
      "migrations/0001.sql": TABLES,
      "handlers/default/paid.ts": ts("Bun.sleepSync(5); effect('ran');"),
    },
  });
  await inbox.pausing.pause("default", {}, "sam");
  await Promise.all(idsTo(300).map((id) => answer(inbox, id)));
  for (const least of [1, 20, 40]) {
    await inbox.pausing.resume("default", {}, "sam");
    await until(() => effects(inbox).length >= least);
    const before = effects(inbox).length;
    await inbox.pausing.pause("default", {}, "sam");
    const run = effects(inbox);
    expect(run.length - before).toBeLessThanOrEqual(2);
    await Bun.sleep(100);
    expect(effects(inbox)).toEqual(run);
  }
  await inbox.pausing.resume("default", {}, "sam");
  await until(isOpen(inbox));
  expect(effects(inbox)).toHaveLength(300);
}, 30_000);

describe("hold_after", () => {
  test("pauses the source after so many failures in a row, and says so", async () => {
    await using inbox = await shop({ config: config("hold_after = 3") });
    inbox.rows("insert into bad values ('evt_0'), ('evt_2'), ('evt_3'), ('evt_4'), ('evt_5')");
    const answers: string[] = [];
    for (const id of idsTo(8)) answers.push(await answer(inbox, id));
    // The provider retries what was answered 500.
    answers.push(await answer(inbox, "evt_4"));
    expect(answers).toEqual([
      "500 failed",
      "200 processed",
      "500 failed",
      "500 failed",
      "500 failed",
      "200 held",
      "200 held",
      "200 held",
      "200 held",
    ]);
    const reason = "3 failures in a row (hold_after = 3)";
    expect(states(inbox)).toMatchObject([{ name: "default", state: "held", until: null, reason }]);
    expect(audit(inbox)).toEqual([`hookonce pause default ${reason}`]);
    expect(said(inbox, "hookonce has paused the source")).toMatchObject([
      { level: 40, source: "default", reason },
    ]);
    inbox.rows("delete from bad");
    await inbox.pausing.resume("default", {}, "sam");
    await until(isOpen(inbox));
    const others = idsTo(8).filter((id) => id !== "evt_1");
    expect(effects(inbox)).toEqual(["evt_1", ...others]);
  });

  test("counts failures of deliveries that share a transaction", async () => {
    await using inbox = await shop({ config: config("hold_after = 5") });
    const ids = idsTo(100);
    inbox.rows(`insert into bad values ${ids.map((id) => `('${id}')`).join(", ")}`);
    const answers = await Promise.all(ids.map((id) => answer(inbox, id)));
    expect(answers.filter((one) => one === "500 failed")).toHaveLength(5);
    expect(answers.filter((one) => one === "200 held")).toHaveLength(95);
    expect(said(inbox, "hookonce has paused the source")).toHaveLength(1);
  });
});
