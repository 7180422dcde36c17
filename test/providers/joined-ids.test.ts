import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { compileSelector } from "../../src/providers/body/selector.ts";
import { refusedStart, testInbox, type TestInbox } from "../support/test-inbox.ts";

test("no two tuples join to the same id, with any separator", () => {
  // Few characters, so that parts often contain the separator.
  const text = fc.string({ unit: fc.constantFrom(":", "-", "\\", "a", "^", "]", "😀"), maxLength: 4 });
  const separators = text.filter((separator) => separator !== "" && !separator.includes("\\"));
  const tuples = fc.array(text, { minLength: 2, maxLength: 3 });
  fc.assert(
    fc.property(separators, tuples, tuples, (separator, one, other) => {
      const join = (parts: readonly string[]): unknown =>
        compileSelector(
          { join: parts.map((_, index) => `body:$[${index}]`), with: separator },
          "absent",
        )({
          headers: {},
          payload: parts,
          body: "",
        });
      fc.pre(JSON.stringify(one) !== JSON.stringify(other));
      // If all parts are empty there is no id.
      for (const parts of [one, other]) fc.pre(parts.some((part) => part !== ""));
      expect(join(one)).not.toBe(join(other));
    }),
    { numRuns: 3000 },
  );
});

test.each(["", "\\", ":\\"])(
  "a separator of ids that could not separate is refused: %j",
  async (separator) => {
    const { problems } = await refusedStart({
      config: `[sources.default]
provider = "unsigned"
type = "body:$.type"
event_id = { join = ["body:$.a", "body:$.b"], with = ${JSON.stringify(separator)} }
`,
    });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({ file: "hookonce.toml", line: 5 });
    expect(problems[0]?.message).toStartWith(
      `sources.default: event_id: with = ${JSON.stringify(separator)} cannot separate the parts of an id`,
    );
  },
);

test("the parts of a type are joined as they are", async () => {
  await using inbox = await testInbox({
    config: `[sources.default]
provider = "unsigned"
event_id = "body:$.id"
type = { join = ["body:$.a", "body:$.b"], with = "" }
`,
  });
  await inbox.deliver({ id: "evt_1", a: "in.voice", b: "\\paid" });
  expect(inbox.value("select type from hookonce_events")).toBe("in.voice\\paid");
});

/** The event as an earlier version identified it: its parts joined, and nothing escaped. */
const EARLIER = "a:b:1";
const PRESENT = "a\\:b:1";
const payload = { kind: "a:b", n: 1, type: "t", amount: 5 };
/** The earlier version took this one for the same event. */
const other = { kind: "a", n: "b:1", type: "t", amount: 7 };

const EFFECT = "insert into effects values (:event_id, :payload ->> '$.amount');";

/** An inbox to which an earlier version has recorded `first`. */
async function upgraded(first: unknown, handler: string | undefined, batch = ""): Promise<TestInbox> {
  const inbox = await testInbox({
    config: `[sources.default]
provider = "unsigned"
event_id = { join = ["body:$.kind", "body:$.n"], with = ":" }
type = "body:$.type"
${batch}
`,
    files: {
      "migrations/0001.sql": "create table effects (event_id text, amount integer) strict;",
      ...(handler === undefined ? {} : { "handlers/default/_any.sql": handler }),
    },
  });
  await inbox.deliver(first);
  for (const table of ["hookonce_events", "hookonce_failures", "hookonce_deliveries"])
    inbox.rows(`update ${table} set event_id = replace(event_id, char(92), '')`);
  return inbox;
}

const effects = (inbox: TestInbox): unknown[] =>
  inbox.rows("select event_id, amount from effects order by rowid");

describe("an event that an earlier version has recorded without escaping", () => {
  test("is a duplicate, and the start is not refused", async () => {
    await using inbox = await upgraded(payload, EFFECT);
    await inbox.restart();
    const answered = { status: "duplicate", event_id: EARLIER };
    expect((await inbox.deliver(payload)).body).toMatchObject(answered);
    inbox.rows("update hookonce_events set received_at = 0, last_delivery_at = 0");
    expect((await inbox.deliver(payload)).body).toMatchObject(answered);
    expect(inbox.rows("select event_id, deliveries from hookonce_events")).toEqual([
      { event_id: EARLIER, deliveries: 3 },
    ]);
    expect(inbox.value("select count(*) from effects")).toBe(1);
  });

  test("does not hide an event that joined to the same id", async () => {
    await using inbox = await upgraded(payload, EFFECT);
    const answered = { status: "processed", event_id: "a:b\\:1" };
    expect((await inbox.deliver(other)).body).toMatchObject(answered);
    expect((await inbox.deliver(other)).body).toMatchObject({ ...answered, status: "duplicate" });
    expect((await inbox.deliver(payload)).body).toMatchObject({ status: "duplicate", event_id: EARLIER });
    expect(inbox.rows("select amount from effects")).toEqual([{ amount: 5 }, { amount: 7 }]);
  });

  test("is applied once if it was unhandled, with its own part of the batch", async () => {
    await using inbox = await upgraded([payload, { ...payload, n: 2 }], undefined, 'batch = "body:$[*]"');
    await inbox.restart({ files: { "handlers/default/_any.sql": EFFECT } });
    const { body } = await inbox.deliver([{ ...payload, n: 3 }, payload]);
    expect(body.events).toMatchObject([
      { status: "processed", event_id: "a\\:b:3" },
      { status: "processed", event_id: EARLIER },
    ]);
    expect(effects(inbox)).toEqual([
      { event_id: "a\\:b:3", amount: 5 },
      { event_id: EARLIER, amount: 5 },
    ]);
    expect(inbox.rows("select event_id, outcome from hookonce_events order by id")).toEqual([
      { event_id: EARLIER, outcome: "processed" },
      { event_id: "a:b:2", outcome: "unhandled" },
      { event_id: "a\\:b:3", outcome: "processed" },
    ]);
  });

  test.each(["", 'batch = "body:$[*]"'])("settles its failure (%s)", async (batch) => {
    const failing = "insert into effects values (:event_id, 'not a number');";
    const sent = batch === "" ? payload : [payload];
    await using inbox = await upgraded(sent, failing, batch);
    const open = "select event_id, deliveries from hookonce_failures where settled_at is null";
    await inbox.deliver(sent);
    expect(inbox.rows(open)).toEqual([{ event_id: EARLIER, deliveries: 2 }]);
    await inbox.restart({ files: { "handlers/default/_any.sql": EFFECT } });
    await inbox.deliver(sent);
    expect(inbox.rows(open)).toEqual([]);
    await inbox.deliver(sent);
    expect(effects(inbox)).toEqual([{ event_id: EARLIER, amount: 5 }]);
    expect(inbox.rows("select event_id, deliveries from hookonce_events")).toEqual([
      { event_id: EARLIER, deliveries: 4 },
    ]);
  });
});

test("an event that no earlier version has recorded has the escaped id", async () => {
  await using inbox = await upgraded({ ...payload, n: 9 }, EFFECT);
  expect((await inbox.deliver(payload)).body).toMatchObject({ status: "processed", event_id: PRESENT });
});
