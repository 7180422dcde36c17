import { describe, expect, test } from "bun:test";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { effectsTable, left, noteEffect, nothing, type Left } from "./support/effects.ts";
import { rawClient, requestHead } from "./support/raw-client.ts";

const options = {
  config: `
[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"

[sources.headers]
provider = "unsigned"
event_id = "header:x-id"
type     = "header:x-type"
`,
  files: {
    "migrations/0001.sql": effectsTable,
    "handlers/default/_any.sql": noteEffect,
    "handlers/headers/_any.sql": noteEffect,
  },
};

const once: Left = { events: 1, failures: 0, effects: 1 };
const bytes = (...parts: (string | number[])[]): Uint8Array<ArrayBuffer> =>
  new Uint8Array(
    Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : Buffer.from(part)))),
  );
const nested = (depth: number): string => `${"[".repeat(depth)}${"]".repeat(depth)}`;

interface Scenario {
  name: string;
  body: string | Uint8Array<ArrayBuffer>;
  headers?: Record<string, string>;
  /** The answer of the source that reads id and type from the body. */
  inBody: { status: number; code?: string; id?: string; type?: string };
  /**
   * The answer of the source that reads id and type from headers. If it is 200, the body is stored unchanged.
   */
  inHeaders?: { status: number; code?: string };
}

const taken = { status: 200 };

const scenarios: Scenario[] = [
  {
    name: "a NUL in the body",
    body: '{"event_id":"evt_1","note":"a\0b"}',
    inBody: { status: 400, code: "invalid_json" },
    inHeaders: taken,
  },
  {
    name: "an escaped NUL in the body",
    body: String.raw`{"event_id":"evt_1","note":"a\u0000b"}`,
    inBody: { status: 200, id: "evt_1" },
    inHeaders: taken,
  },
  {
    name: "an escaped NUL in the id",
    body: String.raw`{"event_id":"evt\u0000_1"}`,
    inBody: { status: 400, code: "invalid_event_id" },
  },
  {
    name: "a line break in the id",
    body: String.raw`{"event_id":"evt_1\nforged log line"}`,
    inBody: { status: 400, code: "invalid_event_id" },
  },
  {
    name: "a line break in the type",
    body: String.raw`{"event_id":"evt_1","type":"a\r\nb"}`,
    inBody: { status: 400, code: "invalid_event_type" },
  },
  {
    name: "a lone surrogate in the id",
    body: String.raw`{"event_id":"evt_\ud800"}`,
    inBody: { status: 400, code: "invalid_event_id" },
  },
  {
    name: "a lone surrogate elsewhere",
    body: String.raw`{"event_id":"evt_1","note":"\ud800"}`,
    inBody: { status: 200, id: "evt_1" },
    inHeaders: taken,
  },
  {
    name: "a lone surrogate encoded in the body",
    body: bytes('{"event_id":"evt_1","note":"', [0xed, 0xa0, 0x80], '"}'),
    inBody: { status: 400, code: "invalid_utf8" },
    inHeaders: taken,
  },
  {
    name: "an overlong encoding",
    body: bytes('{"event_id":"', [0xc0, 0xaf], '"}'),
    inBody: { status: 400, code: "invalid_utf8" },
    inHeaders: taken,
  },
  {
    name: "bytes that are not UTF-8",
    body: bytes([0xff, 0x00, 0x80, 0xfe]),
    inBody: { status: 400, code: "invalid_utf8" },
    inHeaders: taken,
  },
  {
    name: "a BOM",
    body: bytes([0xef, 0xbb, 0xbf], '{"event_id":"evt_1"}'),
    inBody: { status: 200, id: "evt_1" },
    inHeaders: taken,
  },
  {
    name: "two BOMs",
    body: bytes([0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf], '{"event_id":"evt_1"}'),
    inBody: { status: 400, code: "invalid_json" },
    inHeaders: taken,
  },
  {
    name: "UTF-16",
    body: new Uint8Array(Buffer.from('\ufeff{"event_id":"evt_1"}', "utf16le")),
    inBody: { status: 400, code: "invalid_utf8" },
    inHeaders: taken,
  },
  {
    name: "900 levels",
    body: `{"event_id":"evt_1","x":${nested(899)}}`,
    inBody: { status: 200, id: "evt_1" },
    inHeaders: taken,
  },
  {
    name: "901 levels",
    body: `{"event_id":"evt_1","x":${nested(900)}}`,
    inBody: { status: 400, code: "json_too_deep" },
    inHeaders: { status: 400, code: "json_too_deep" },
  },
  {
    name: "100,000 levels",
    body: `{"event_id":"evt_1","x":${nested(100_000)}}`,
    inBody: { status: 400, code: "json_too_deep" },
    inHeaders: { status: 400, code: "json_too_deep" },
  },
  {
    name: "1,000,000 brackets that are never closed",
    body: "[".repeat(1_000_000),
    inBody: { status: 400, code: "json_too_deep" },
    inHeaders: { status: 400, code: "json_too_deep" },
  },
  {
    name: "1,000 levels in a string",
    body: JSON.stringify({ event_id: "evt_1", note: `\\"${nested(1000)}` }),
    inBody: { status: 200, id: "evt_1" },
    inHeaders: taken,
  },
  {
    name: "__proto__ with an id in it",
    body: '{"__proto__":{"event_id":"evt_1","polluted":true},"type":"paid"}',
    inBody: { status: 400, code: "missing_event_id" },
    inHeaders: taken,
  },
  {
    name: "__proto__ beside the id",
    body: '{"event_id":"evt_1","__proto__":{"type":"evil"},"constructor":{"prototype":{"polluted":true}}}',
    inBody: { status: 200, id: "evt_1", type: "" },
    inHeaders: taken,
  },
  {
    name: "a type named like an inherited property",
    body: '{"event_id":"evt_1","type":"__proto__"}',
    inBody: { status: 200, id: "evt_1", type: "__proto__" },
    inHeaders: taken,
  },
  {
    name: "a type that looks like a path",
    body: '{"event_id":"evt_1","type":"../../../../etc/passwd"}',
    inBody: { status: 200, id: "evt_1", type: "../../../../etc/passwd" },
    inHeaders: taken,
  },
  {
    name: "an id of 255 bytes",
    body: JSON.stringify({ event_id: "ä".repeat(127) + "x" }),
    inBody: { status: 200, id: "ä".repeat(127) + "x" },
  },
  {
    name: "an id of 256 bytes",
    body: JSON.stringify({ event_id: "ä".repeat(128) }),
    inBody: { status: 400, code: "invalid_event_id" },
  },
  {
    name: "an id of 100 kB",
    body: JSON.stringify({ event_id: "x".repeat(100_000) }),
    inBody: { status: 400, code: "invalid_event_id" },
    inHeaders: taken,
  },
  {
    name: "a type of 100 kB",
    body: JSON.stringify({ event_id: "evt_1", type: "x".repeat(100_000) }),
    inBody: { status: 400, code: "invalid_event_type" },
    inHeaders: taken,
  },
  {
    name: "an id that is SQL",
    body: JSON.stringify({ event_id: "'); drop table effects; --" }),
    inBody: { status: 200, id: "'); drop table effects; --" },
  },
  {
    name: "an id beyond 2^53",
    body: '{"event_id":9007199254740993}',
    inBody: { status: 200, id: "9007199254740993" },
    inHeaders: taken,
  },
  {
    name: "an id of 255 digits",
    body: `{"event_id":${"9".repeat(255)}}`,
    inBody: { status: 200, id: "9".repeat(255) },
  },
  {
    name: "an id of 256 digits",
    body: `{"event_id":${"9".repeat(256)}}`,
    inBody: { status: 400, code: "invalid_event_id" },
  },
  {
    name: "an id with an exponent",
    body: '{"event_id":1e3}',
    inBody: { status: 400, code: "invalid_event_id" },
  },
  {
    name: "a body of no bytes",
    body: "",
    inBody: { status: 400, code: "invalid_json" },
    inHeaders: taken,
  },
  {
    name: "white space",
    body: " \r\n\t ",
    inBody: { status: 400, code: "invalid_json" },
    inHeaders: taken,
  },
  { name: "null", body: "null", inBody: { status: 400, code: "missing_event_id" }, inHeaders: taken },
  { name: "an array", body: "[]", inBody: { status: 400, code: "missing_event_id" }, inHeaders: taken },
  { name: "a string", body: '"evt_1"', inBody: { status: 400, code: "missing_event_id" }, inHeaders: taken },
  {
    name: "a form",
    body: "event_id=evt_1&type=paid&__proto__=x",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    inBody: { status: 200, id: "evt_1", type: "paid" },
    inHeaders: taken,
  },
  {
    name: "a form of 1,001 fields",
    body: `event_id=evt_1&type=paid${"&a".repeat(999)}`,
    headers: { "content-type": "application/x-www-form-urlencoded" },
    inBody: { status: 400, code: "too_many_fields" },
    inHeaders: { status: 400, code: "too_many_fields" },
  },
  {
    name: "a form of 1,000 fields, 998 of them of one name",
    body: `event_id=evt_1&type=paid${"&a".repeat(998)}`,
    headers: { "content-type": "application/x-www-form-urlencoded" },
    inBody: { status: 200, id: "evt_1", type: "paid" },
    inHeaders: taken,
  },
  {
    name: "a form that names the id twice",
    body: "event_id=evt_1&event_id=evt_2",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    inBody: { status: 400, code: "invalid_event_id" },
    inHeaders: taken,
  },
];

interface Answer {
  status: number;
  code: string | undefined;
  id: string | undefined;
}

async function deliver(inbox: TestInbox, path: string, { body, headers }: Scenario): Promise<Answer> {
  const response = await inbox.request(path, {
    method: "POST",
    body,
    headers: { "content-type": "application/json", "x-id": "evt_1", "x-type": "blob", ...headers },
  });
  const answer = (await response.json()) as { event_id?: string; error?: { code: string } };
  return { status: response.status, code: answer.error?.code, id: answer.event_id };
}

describe("a hostile body", () => {
  for (const scenario of scenarios) {
    const { name, body, inBody, inHeaders } = scenario;
    test(`${name}: ${inBody.code ?? "accepted"}`, async () => {
      await using inbox = await testInbox(options);
      const answer = await deliver(inbox, "/webhook", scenario);
      expect(answer).toEqual({ status: inBody.status, code: inBody.code, id: inBody.id });
      expect(left(inbox)).toEqual(inBody.status === 200 ? once : nothing);
      if (inBody.status === 200) {
        expect(inbox.rows("select event_id, type from hookonce_events")).toEqual([
          { event_id: inBody.id, type: inBody.type ?? "" },
        ]);
        expect(await deliver(inbox, "/webhook", scenario)).toEqual(answer);
        expect(left(inbox)).toEqual(once);
      }

      if (inHeaders !== undefined) {
        const before = left(inbox).events;
        const { status, code } = await deliver(inbox, "/webhook/headers", scenario);
        expect([status, code]).toEqual([inHeaders.status, inHeaders.code]);
        const kept = inbox.rows(
          "select bytes as body from hookonce_events e join hookonce_results r on r.event = e.id join hookonce_bodies b on b.id = r.body where source = 'headers'",
        );
        expect(kept).toHaveLength(status === 200 ? 1 : 0);
        for (const row of kept) expect(Buffer.from(row.body).equals(Buffer.from(body))).toBe(true);
        expect(left(inbox).effects).toBe(before + kept.length);
      }
      expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
      expect(inbox.fatal).toEqual([]);
    });
  }

  test("two integer ids that JavaScript rounds to the same number are two events", async () => {
    await using inbox = await testInbox(options);
    for (const id of ["9007199254740992", "9007199254740993", "9007199254740993"])
      await inbox.deliver(`{"event_id":${id},"type":"paid"}`);
    expect(inbox.rows("select event_id, deliveries from hookonce_events")).toEqual([
      { event_id: "9007199254740992", deliveries: 1 },
      { event_id: "9007199254740993", deliveries: 2 },
    ]);
  });

  test('the ids 1 and "1" are the same event', async () => {
    await using inbox = await testInbox(options);
    expect((await inbox.deliver('{"event_id":1}')).body.event_id).toBe("1");
    expect((await inbox.deliver('{"event_id":"1"}')).body.status).toBe("duplicate");
  });

  test("ids are not normalized: ids that only look alike are different events", async () => {
    await using inbox = await testInbox(options);
    for (const id of ["é", "e\u0301", "É", " é", "é "]) await inbox.deliver({ event_id: id });
    expect(left(inbox)).toEqual({ events: 5, failures: 0, effects: 5 });
  });
});

describe("hostile headers, over a socket", () => {
  const body = JSON.stringify({ event_id: "evt_1", type: "paid" });
  const length = { "content-length": body.length };

  for (const [name, head, statuses] of [
    ["a header of 100 kB", requestHead("/webhook", { ...length, "x-flood": "x".repeat(100_000) }), [431]],
    [
      "10,000 headers",
      requestHead("/webhook", {
        ...length,
        ...Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`x-flood-${n}`, "x"])),
      }),
      [431],
    ],
    ["a path of 100 kB", requestHead(`/webhook/${"x".repeat(100_000)}`, length), [414, 431]],
    ["a Content-Length that is not a number", requestHead("/webhook", { "content-length": "lots" }), [400]],
    ["a negative Content-Length", requestHead("/webhook", { "content-length": -1 }), [400]],
    [
      "two Content-Length headers",
      `${requestHead("/webhook", length).slice(0, -2)}Content-Length: 3\r\n\r\n`,
      [400],
    ],
    [
      "Content-Length with chunked encoding",
      requestHead("/webhook", { ...length, "transfer-encoding": "chunked" }),
      [400],
    ],
    ["a NUL in a header", requestHead("/webhook", { ...length, "x-flood": "a\0b" }), [400]],
    ["no Host header", requestHead("/webhook", length).replace("host: localhost\r\n", ""), [400]],
    ["bytes that are not HTTP", "\u0016\u0003\u0001\u0002\u0000\u0001\r\n\r\n", [400]],
  ] as const) {
    test(`${name}: ${statuses.join(" or ")}, and nothing is recorded`, async () => {
      await using inbox = await testInbox(options);
      const { url } = inbox.listen();
      using client = await rawClient(url);
      await client.send(head);
      await client.send(body);
      const answer = await client.answer;
      expect(statuses as readonly (number | undefined)[]).toContain(answer?.status);
      expect(left(inbox)).toEqual(nothing);
      const response = await fetch(`${url}/webhook`, { method: "POST", body });
      expect(response.status).toBe(200);
      await response.text();
    });
  }

  test("100 headers of 100 bytes are accepted and stored", async () => {
    await using inbox = await testInbox(options);
    using client = await rawClient(inbox.listen().url);
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`x-many-${n}`, "x".repeat(88)]));
    await client.send(requestHead("/webhook", { ...length, ...many }) + body);
    expect(await client.answer).toMatchObject({ status: 200 });
    const stored = JSON.parse(String(inbox.value("select headers from hookonce_bodies"))) as object;
    expect(stored).toMatchObject(many);
  });

  test("a repeated header is stored once with both values, under its lower-case name", async () => {
    await using inbox = await testInbox(options);
    using client = await rawClient(inbox.listen().url);
    await client.send(
      `${requestHead("/webhook", length).slice(0, -2)}X-Twice: a\r\nx-TWICE: b\r\n\r\n${body}`,
    );
    expect(await client.answer).toMatchObject({ status: 200 });
    const stored = JSON.parse(String(inbox.value("select headers from hookonce_bodies"))) as object;
    expect(stored).toMatchObject({ "x-twice": "a, b" });
  });
});
