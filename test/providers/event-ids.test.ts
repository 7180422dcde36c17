import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { TestInbox } from "../support/test-inbox.ts";
import {
  deliveryTo,
  DUPLICATE,
  NOTHING,
  ONE,
  post,
  PROCESSED,
  recordingInbox,
  storedIn,
  type Answer,
} from "./signed-inbox.ts";

const JSON_TYPE = { "content-type": "application/json" };

const MISSING: Answer = { status: 400, said: "missing_event_id" };
const INVALID: Answer = { status: 400, said: "invalid_event_id" };
const BAD_TYPE: Answer = { status: 400, said: "invalid_event_type" };

let inbox: TestInbox;
beforeAll(async () => {
  inbox = await recordingInbox({
    config: `
[sources.body]
provider = "unsigned"
event_id = "body:$.id"
type = "body:$.type"

[sources.joined]
provider = "unsigned"
event_id = { join = ["body:$.account", "body:$.id"], with = "/" }
type = { join = ["header:x-kind", "body:$.action"], with = "." }

[sources.header]
provider = "unsigned"
event_id = "header:x-id"
type = "header:x-type"
`,
    sources: ["body", "joined", "header"],
  });
});
afterAll(() => inbox[Symbol.asyncDispose]());

const sendIdInHeader = (headers: Record<string, string>): Promise<Answer> =>
  post(inbox, "header", "no JSON", headers);

describe("event ids", () => {
  /** `stored` is the id under which the event is recorded. */
  const scenarios: { name: string; json: string; answer: Answer; stored?: string }[] = [
    { name: "text", json: '"evt_1"', answer: PROCESSED, stored: "evt_1" },
    { name: "the same text again", json: '"evt_1"', answer: DUPLICATE, stored: "evt_1" },
    { name: "the same text in escapes", json: '"\\u0065vt_1"', answer: DUPLICATE, stored: "evt_1" },
    { name: "text in capitals is another id", json: '"EVT_1"', answer: PROCESSED, stored: "EVT_1" },
    {
      name: "text with a space after it is another id",
      json: '"evt_1 "',
      answer: PROCESSED,
      stored: "evt_1 ",
    },
    { name: "a zero", json: "0", answer: PROCESSED, stored: "0" },
    { name: "a number and its digits as text are one id", json: '"0"', answer: DUPLICATE, stored: "0" },
    { name: "2^53 + 1", json: "9007199254740993", answer: PROCESSED, stored: "9007199254740993" },
    { name: "2^53, another event", json: "9007199254740992", answer: PROCESSED, stored: "9007199254740992" },
    { name: "2^53 + 1 again", json: "9007199254740993", answer: DUPLICATE, stored: "9007199254740993" },
    { name: "below -2^53", json: "-9007199254740993", answer: PROCESSED, stored: "-9007199254740993" },
    { name: "200 digits", json: "7".repeat(200), answer: PROCESSED, stored: "7".repeat(200) },
    { name: "255 digits", json: "7".repeat(255), answer: PROCESSED, stored: "7".repeat(255) },
    { name: "256 digits", json: "7".repeat(256), answer: INVALID },
    { name: "minus zero", json: "-0", answer: PROCESSED, stored: "-0" },
    { name: "a fraction", json: "1.5", answer: INVALID },
    { name: "an integer written as a fraction", json: "1.0", answer: INVALID },
    { name: "an exponent", json: "1e3", answer: INVALID },
    { name: "an exponent with a capital E", json: "1E3", answer: INVALID },
    { name: "a number beyond the largest double", json: "1e999", answer: INVALID },
    { name: "true", json: "true", answer: INVALID },
    { name: "false", json: "false", answer: INVALID },
    { name: "an object", json: '{"id":"evt_2"}', answer: INVALID },
    { name: "a list", json: '["evt_2"]', answer: INVALID },
    { name: "null", json: "null", answer: MISSING },
    { name: "empty", json: '""', answer: INVALID },
    { name: "255 bytes", json: JSON.stringify("a".repeat(255)), answer: PROCESSED, stored: "a".repeat(255) },
    { name: "256 bytes", json: JSON.stringify("a".repeat(256)), answer: INVALID },
    {
      name: "255 bytes of umlauts",
      json: JSON.stringify(`a${"ä".repeat(127)}`),
      answer: PROCESSED,
      stored: `a${"ä".repeat(127)}`,
    },
    { name: "256 bytes of umlauts", json: JSON.stringify("ä".repeat(128)), answer: INVALID },
    {
      name: "252 bytes of emoji",
      json: JSON.stringify("🐙".repeat(63)),
      answer: PROCESSED,
      stored: "🐙".repeat(63),
    },
    { name: "256 bytes of emoji", json: JSON.stringify("🐙".repeat(64)), answer: INVALID },
    { name: "100 kB", json: JSON.stringify("x".repeat(100_000)), answer: INVALID },
    { name: "a NUL", json: '"evt\\u0000"', answer: INVALID },
    { name: "a line break", json: '"evt\\n"', answer: INVALID },
    { name: "an escape character", json: '"\\u001b[31m"', answer: INVALID },
    { name: "DEL", json: '"\\u007f"', answer: INVALID },
    { name: "a C1 control character", json: '"\\u0085"', answer: INVALID },
    {
      name: "a no-break space is not a control character",
      json: '"\\u00a0"',
      answer: PROCESSED,
      stored: "\u00a0",
    },
    { name: "a lone high surrogate", json: '"evt\\ud800"', answer: INVALID },
    { name: "another lone high surrogate", json: '"evt\\ud801"', answer: INVALID },
    { name: "a lone low surrogate", json: '"\\udc00"', answer: INVALID },
    { name: "a surrogate pair in the wrong order", json: '"\\udc19\\ud83d"', answer: INVALID },
    { name: "a surrogate pair in escapes", json: '"\\ud83d\\udc19"', answer: PROCESSED, stored: "🐙" },
    { name: "é as one character", json: '"\\u00e9"', answer: PROCESSED, stored: "é" },
    { name: "é as two characters is another id", json: '"e\\u0301"', answer: PROCESSED, stored: "e\u0301" },
    {
      name: "SQL",
      json: `"'; drop table effects; --"`,
      answer: PROCESSED,
      stored: "'; drop table effects; --",
    },
    { name: "__proto__", json: '"__proto__"', answer: PROCESSED, stored: "__proto__" },
  ];

  // The order matters: some rows have the id of an earlier row.
  test.each(scenarios.map((row) => [row.name, row] as const))("%s", async (_, { json, answer, stored }) => {
    const given = await deliveryTo(inbox, "body", `{"id":${json},"type":"t"}`, JSON_TYPE);
    expect(given).toEqual({ answer, added: answer === PROCESSED ? ONE : NOTHING });
    if (stored !== undefined) {
      expect(
        inbox.rows("select event_id from hookonce_events where source = 'body' and event_id = ?", stored),
      ).toEqual([{ event_id: stored }]);
    }
  });

  test("answers 400 if there is no id", async () => {
    for (const body of ["{}", "[]", "null", "1", '"evt_1"', '{"Id":"evt_1"}', '{"data":{"id":"evt_1"}}']) {
      expect(await deliveryTo(inbox, "body", body, JSON_TYPE)).toEqual({ answer: MISSING, added: NOTHING });
    }
  });

  test("if a key occurs twice, the last value is the id, for text and for numbers", async () => {
    expect(await post(inbox, "body", '{"id":"twice_1","id":"twice_2","type":"t"}', JSON_TYPE)).toEqual(
      PROCESSED,
    );
    expect(await post(inbox, "body", '{"id":"twice_2","type":"t"}', JSON_TYPE)).toEqual(DUPLICATE);
    expect(
      await post(
        inbox,
        "body",
        '{"id":71000000000000000001,"id":71000000000000000002,"type":"t"}',
        JSON_TYPE,
      ),
    ).toEqual(PROCESSED);
    expect(await post(inbox, "body", '{"id":71000000000000000002,"type":"t"}', JSON_TYPE)).toEqual(DUPLICATE);
    expect(await post(inbox, "body", '{"id":71000000000000000001,"type":"t"}', JSON_TYPE)).toEqual(PROCESSED);
  });

  test("an id in a header is used unchanged, and an empty header is not an id", async () => {
    expect(
      await sendIdInHeader({ "x-id": "72d3162e-cc78-11e3-81ab-4c9367dc0958", "x-type": "push" }),
    ).toEqual(PROCESSED);
    expect(
      await sendIdInHeader({ "x-id": " 72d3162e-cc78-11e3-81ab-4c9367dc0958 ", "x-type": "push" }),
    ).toEqual(DUPLICATE);
    expect(await sendIdInHeader({ "x-id": "9007199254740993", "x-type": "push" })).toEqual(PROCESSED);
    expect(await sendIdInHeader({ "x-id": "9007199254740992", "x-type": "push" })).toEqual(PROCESSED);
    expect(await sendIdInHeader({ "x-id": "1.5", "x-type": "push" })).toEqual(PROCESSED);
    expect(await sendIdInHeader({ "x-id": "a".repeat(256), "x-type": "push" })).toEqual(INVALID);
    // This source accepts any body, so the 400 is about the id.
    expect((await sendIdInHeader({ "x-id": "", "x-type": "push" })).status).toBe(400);
    expect((await sendIdInHeader({ "x-type": "push" })).status).toBe(400);
  });

  test("a joined id needs all of its parts", async () => {
    const send = async (body: string): Promise<Answer> => post(inbox, "joined", body, { "x-kind": "k" });
    expect(await send('{"account":"acct_1","id":9007199254740993}')).toEqual(PROCESSED);
    expect(await send('{"account":"acct_1","id":9007199254740992}')).toEqual(PROCESSED);
    expect(await send('{"account":"acct_1","id":"9007199254740993"}')).toEqual(DUPLICATE);
    expect(await send('{"account":9007199254740993,"id":9007199254740993}')).toEqual(PROCESSED);
    for (const body of [
      '{"id":"evt_1"}',
      '{"account":1}',
      '{"account":1,"id":null}',
      '{"account":1,"id":{}}',
      '{"account":1,"id":true}',
    ]) {
      expect(await deliveryTo(inbox, "joined", body, { "x-kind": "k" })).toEqual({
        answer: MISSING,
        added: NOTHING,
      });
    }
    expect(await send(`{"account":"${"a".repeat(127)}","id":"${"b".repeat(127)}"}`)).toEqual(PROCESSED);
    expect(await send(`{"account":"${"a".repeat(128)}","id":"${"b".repeat(127)}"}`)).toEqual(INVALID);
    expect(
      inbox.rows(
        "select event_id from hookonce_events where source = 'joined' and length(event_id) < 100 order by id",
      ),
    ).toEqual([
      { event_id: "acct_1/9007199254740993" },
      { event_id: "acct_1/9007199254740992" },
      { event_id: "9007199254740993/9007199254740993" },
    ]);
  });

  test("an id joined from numbers has their digits as they are written", async () => {
    const answers: string[] = [];
    for (const id of ["1.5", "1.50", "1e3", '"1e3"']) {
      const body = `{"account":"acct_2","id":${id}}`;
      answers.push((await post(inbox, "joined", body, { "x-kind": "k" })).said);
    }
    expect(answers).toEqual(["processed", "processed", "processed", "duplicate"]);
  });

  test("two different tuples are two events, whatever is in their parts", async () => {
    const send = async (account: unknown, id: unknown): Promise<Answer> =>
      post(inbox, "joined", JSON.stringify({ account, id }), { "x-kind": "k" });
    const tuples = [
      ["1/2", "3"],
      ["1", "2/3"],
      ["1\\", "2/3"],
      ["1\\/2", "3"],
      ["", "1/2/3"],
      ["1/2/3", ""],
      ["/", "/"],
      ["", "//"],
    ];
    for (const tuple of tuples) expect([tuple, await send(tuple[0], tuple[1])]).toEqual([tuple, PROCESSED]);
    for (const tuple of tuples) expect([tuple, await send(tuple[0], tuple[1])]).toEqual([tuple, DUPLICATE]);
    expect(
      inbox.rows(
        "select event_id from hookonce_events where event_id like '%/3' and source = 'joined' order by id",
      ),
    ).toEqual([
      { event_id: "1\\/2/3" },
      { event_id: "1/2\\/3" },
      { event_id: "1\\\\/2\\/3" },
      { event_id: "1\\\\\\/2/3" },
      { event_id: "/1\\/2\\/3" },
    ]);
  });

  test("the same id from two sources is two events", async () => {
    expect(await post(inbox, "body", '{"id":"shared","type":"t"}', JSON_TYPE)).toEqual(PROCESSED);
    expect(await post(inbox, "header", "", { "x-id": "shared", "x-type": "t" })).toEqual(PROCESSED);
    expect(inbox.value("select count(*) from effects where event_id = 'shared'")).toBe(2);
  });
});

const typeOf = async (id: string, body: object, headers: Record<string, string>): Promise<unknown> => {
  expect(await post(inbox, "joined", JSON.stringify({ account: "t", id, ...body }), headers)).toEqual(
    PROCESSED,
  );
  return inbox.value("select type from hookonce_events where event_id = ?", `t/${id}`);
};

describe("event types", () => {
  const scenarios: { name: string; json: string; answer: Answer; stored?: string }[] = [
    { name: "text", json: '"invoice.paid"', answer: PROCESSED, stored: "invoice.paid" },
    { name: "a number", json: "7", answer: PROCESSED, stored: "7" },
    { name: "null means no type", json: "null", answer: PROCESSED, stored: "" },
    { name: "empty text means no type", json: '""', answer: PROCESSED, stored: "" },
    {
      name: "spaces and punctuation",
      json: '"Push Hook ☕ /../ %"',
      answer: PROCESSED,
      stored: "Push Hook ☕ /../ %",
    },
    { name: "255 bytes", json: JSON.stringify("t".repeat(255)), answer: PROCESSED, stored: "t".repeat(255) },
    { name: "256 bytes", json: JSON.stringify("t".repeat(256)), answer: BAD_TYPE },
    { name: "true", json: "true", answer: BAD_TYPE },
    { name: "an object", json: "{}", answer: BAD_TYPE },
    { name: "a list", json: '["a"]', answer: BAD_TYPE },
    { name: "a line break", json: '"a\\nb"', answer: BAD_TYPE },
    { name: "a NUL", json: '"a\\u0000"', answer: BAD_TYPE },
    { name: "a lone surrogate", json: '"a\\ud800"', answer: BAD_TYPE },
  ];

  test.each(scenarios.map((row, index) => [row.name, row, `typed_${index}`] as const))(
    "%s",
    async (_, { json, answer, stored }, id) => {
      const given = await deliveryTo(inbox, "body", `{"id":"${id}","type":${json}}`, JSON_TYPE);
      expect(given).toEqual({ answer, added: answer === PROCESSED ? ONE : NOTHING });
      expect(inbox.value("select type from hookonce_events where event_id = ?", id)).toBe(stored);
    },
  );

  test("a joined type leaves out the missing parts", async () => {
    expect(await typeOf("1", { action: "opened" }, { "x-kind": "issues" })).toBe("issues.opened");
    expect(await typeOf("2", {}, { "x-kind": "push" })).toBe("push");
    expect(await typeOf("3", { action: null }, { "x-kind": "push" })).toBe("push");
    expect(await typeOf("4", { action: "opened" }, {})).toBe("opened");
    expect(await typeOf("5", {}, {})).toBe("");
  });
});

test("no delivery of this file caused a failure", () => {
  expect(storedIn(inbox).failures).toBe(0);
  expect(inbox.fatal).toEqual([]);
});
