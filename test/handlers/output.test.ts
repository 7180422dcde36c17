import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { TABLES, ts } from "./sources.ts";
import { testInFullRun } from "../crash/requirements.ts";

const LEVELS = { debug: 20, info: 30, warn: 40, error: 50 } as const;

let inbox: TestInbox;
beforeAll(async () => {
  inbox = await testInbox({
    open: { queue: { maxWorkMs: 10_000 } },
    files: {
      "migrations/0001.sql": TABLES,
      "handlers/lib/deep.ts": 'export function deep() {\n  throw new Error("deep");\n}\n',
      "handlers/default/writes.ts": ts(`
        console.log("customer %s pays", event.payload.customer, { cents: 5 });
        console.info("i"); console.warn("w"); console.error(new Error("e")); console.debug("d");`),
      "handlers/default/fails.ts": ts('console.log("before");\nthrow new Error("on purpose");'),
      "handlers/default/deep.ts": ts("deep();", 'import { deep } from "../lib/deep.ts";'),
      "handlers/default/query.ts": ts("\ndb.run(sql`insert into nowhere values (1)`);"),
      "handlers/default/text.ts": ts("throw 'only text';"),
      "handlers/default/broken.sql":
        "insert into things values (9, 'x');\n\ninsert into things\n  values (1, 'again');\n",
      "handlers/default/loops.ts": ts("for (let n = 0; n < 5000; n++) console.log('line', n);"),
      "handlers/default/large.ts": ts("for (let n = 0; n < 3; n++) console.log('x'.repeat(60000));"),
      "handlers/default/getter.ts": ts(
        "console.log({ get [Symbol.toStringTag]() { throw new Error('trap'); } });",
      ),
      "handlers/default/slow.ts": ts("Bun.sleepSync(1010);"),
      "handlers/default/slow_fails.ts": ts("Bun.sleepSync(1010); throw new Error('late');"),
    },
  });
});
afterAll(() => inbox[Symbol.asyncDispose]());

async function linesOf(type: string, id = type): Promise<Record<string, unknown>[]> {
  await inbox.deliver({ event_id: id, type, customer: "ada" });
  return inbox.log
    .filter(({ event }) => event === id)
    .map(({ time: _time, pid: _pid, hostname: _hostname, ...line }) => line);
}

describe("what a handler writes with console", () => {
  test("becomes log lines with the handler and the event", async () => {
    const lines = (await linesOf("writes")).filter(({ msg }) => msg !== "delivery");
    const fields = {
      source: "default",
      event: "writes",
      type: "writes",
      handler: "handlers/default/writes.ts",
    };
    expect(lines.slice(0, 3)).toEqual([
      { ...fields, level: LEVELS.info, msg: "customer ada pays { cents: 5 }" },
      { ...fields, level: LEVELS.info, msg: "i" },
      { ...fields, level: LEVELS.warn, msg: "w" },
    ]);
    expect(lines[3]).toMatchObject({
      level: LEVELS.error,
      msg: expect.stringContaining("Error: e") as string,
    });
    expect(lines[4]).toMatchObject({ level: LEVELS.debug, msg: "d" });
  });

  test("is logged when the handler fails, too", async () => {
    expect((await linesOf("fails")).map(({ msg }) => msg)).toEqual(["before", "delivery"]);
  });

  test("is logged once when another event makes the batch run again", async () => {
    const before = inbox.log.length;
    await Promise.all([
      inbox.deliver({ event_id: "once", type: "writes", customer: "ada" }),
      inbox.deliver({ event_id: "breaks", type: "broken" }),
    ]);
    expect(inbox.log.slice(before).filter(({ event, msg }) => event === "once" && msg === "w")).toHaveLength(
      1,
    );
  });

  test("is cut after 1000 lines", async () => {
    const lines = await linesOf("loops");
    expect(lines.map(({ msg }) => msg)).toHaveLength(1002);
    expect(lines.at(-2)).toMatchObject({
      level: LEVELS.warn,
      msg: "4,000 more lines of this run were dropped",
    });
  });

  test("is cut after 64 KiB", async () => {
    const lines = (await linesOf("large")).map(({ msg }) => String(msg).length);
    expect(lines[0]).toBe(60_000);
    expect(lines[1]).toBe(65_536 - 60_000);
  });

  test("never fails the handler", async () => {
    await linesOf("getter");
    expect(inbox.value("select outcome from hookonce_events where event_id = 'getter'")).toBe("processed");
  });
});

describe("an error logs where it was thrown", () => {
  test.each([
    ["fails", "handlers/default/fails.ts:11"],
    ["deep", "handlers/lib/deep.ts:2"],
    ["query", "handlers/default/query.ts:11"],
    ["broken", "handlers/default/broken.sql:3"],
    ["text", undefined],
  ])("%s: %s", async (type, at) => {
    const line = (await linesOf(type, `at_${type}`)).find(({ msg }) => msg === "delivery");
    expect(line).toMatchObject({ outcome: "failed", handler: expect.stringContaining(type) as string });
    expect(line?.["at"]).toBe(at);
  });
});

for (const type of ["slow", "slow_fails"])
  testInFullRun(`a handler that takes longer than 1 s is a warning: ${type}`, async () => {
    const line = (await linesOf(type)).find(({ level }) => level === LEVELS.warn);
    expect(line).toMatchObject({ source: "default", event: type, handler: `handlers/default/${type}.ts` });
    expect(line?.["ms"]).toBeGreaterThan(1000);
    expect(line?.["msg"]).toStartWith("the handler was slow");
  });
