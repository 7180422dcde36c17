import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { gzipSync } from "node:zlib";
import { onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { parseBody } from "../../src/providers/body/payload.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { providerCalled } from "./four-providers.ts";
import { AT, post, PROCESSED, type Answer } from "./signed-inbox.ts";

const FORM = "application/x-www-form-urlencoded";
const FORM_TYPE = { "content-type": FORM };
const JSON_TYPE = { "content-type": "application/json" };

const github = providerCalled("github");

/** Records what a SQL handler sees: the payload's text, its JSON type, and one field. */
const RECORD = `insert into seen values (:event_id, :type, :payload, json_type(:payload), :payload ->> '$.field');`;

let inbox: TestInbox;
beforeAll(async () => {
  inbox = await testInbox({
    config: `
[sources.body]
provider = "unsigned"
event_id = "body:$.id"
type = "body:$.type"

[sources.header]
provider = "unsigned"
event_id = "header:x-id"
type = "header:x-type"

[sources.github]
provider = "github"
secret = "env:GITHUB"
`,
    environment: { GITHUB: github.secrets[0] },
    clock: () => AT * 1000,
    files: {
      "migrations/0001.sql":
        "create table seen (event_id text, type text, payload text, kind text, field any) strict;",
      "handlers/body/_any.sql": RECORD,
      "handlers/header/_any.sql": RECORD,
      "handlers/github/_any.sql": RECORD,
    },
  });
});
afterAll(() => inbox[Symbol.asyncDispose]());

function parse(body: string | Uint8Array, contentType?: string, formField?: string) {
  const headers: Record<string, string> = contentType === undefined ? {} : { "content-type": contentType };
  return parseBody({ headers, body: Buffer.from(body as string) }, formField);
}

const bytes = (text: string): Buffer => Buffer.from(text, "latin1");
const INVALID_JSON = "invalid_json";
const INVALID_UTF8 = "invalid_utf8";

describe("reads a body as a payload", () => {
  const scenarios: {
    name: string;
    body: string | Uint8Array;
    type?: string;
    formField?: string;
    payload?: unknown;
    problem?: string;
  }[] = [
    { name: "an object", body: '{"id":"a"}', payload: { id: "a" } },
    { name: "a list", body: "[1]", payload: [1] },
    { name: "a string", body: '"a"', payload: "a" },
    { name: "null", body: "null", payload: null },
    { name: "JSON with white space around it", body: ' \r\n{"id":"a"}\n', payload: { id: "a" } },
    { name: "JSON without a Content-Type", body: '{"id":"a"}', payload: { id: "a" } },
    { name: "JSON with the type text/plain", body: '{"id":"a"}', type: "text/plain", payload: { id: "a" } },
    {
      name: "JSON with a key __proto__",
      body: '{"__proto__":{"x":1}}',
      payload: JSON.parse('{"__proto__":{"x":1}}'),
    },
    { name: "JSON after a byte order mark", body: '\uFEFF{"id":"a"}', payload: { id: "a" } },
    { name: "two byte order marks", body: '\uFEFF\uFEFF{"id":"a"}', problem: INVALID_JSON },
    { name: "a byte order mark in a string stays", body: '{"id":"\uFEFFa"}', payload: { id: "\uFEFFa" } },
    { name: "nothing", body: "", problem: INVALID_JSON },
    { name: "a word", body: "hello", problem: INVALID_JSON },
    { name: "two JSON values", body: '{"id":"a"} {}', problem: INVALID_JSON },
    { name: "half an object", body: '{"id":', problem: INVALID_JSON },
    { name: "single quotes", body: "{'id':'a'}", problem: INVALID_JSON },
    { name: "a comma at the end", body: '{"id":"a",}', problem: INVALID_JSON },
    { name: "NaN", body: '{"id":NaN}', problem: INVALID_JSON },
    { name: "a NUL after the JSON", body: '{"id":"a"}\0', problem: INVALID_JSON },
    { name: "an unescaped NUL in a string", body: '{"id":"a\0"}', problem: INVALID_JSON },
    { name: "an escaped NUL in a string", body: '{"id":"a\\u0000"}', payload: { id: "a\0" } },
    { name: "a byte that is not UTF-8", body: bytes('{"id":"\xe9"}'), problem: INVALID_UTF8 },
    { name: "truncated UTF-8", body: bytes('{"id":"\xf0\x9f\x90"}'), problem: INVALID_UTF8 },
    { name: "an overlong encoding of a slash", body: bytes('{"id":"\xc0\xaf"}'), problem: INVALID_UTF8 },
    { name: "a surrogate in UTF-8", body: bytes('{"id":"\xed\xa0\x80"}'), problem: INVALID_UTF8 },
    { name: "UTF-16", body: Buffer.from('{"id":"a"}', "utf16le"), problem: INVALID_JSON },

    { name: "a form", body: "id=a&type=paid", type: FORM, payload: { id: "a", type: "paid" } },
    { name: "a form with a charset", body: "id=a", type: `${FORM}; charset=utf-8`, payload: { id: "a" } },
    {
      name: "a form with its media type in capitals",
      body: "id=a",
      type: "Application/X-WWW-Form-URLencoded",
      payload: { id: "a" },
    },
    {
      name: "a form with repeated fields",
      body: "tag=a&id=1&tag=b&tag=c",
      type: FORM,
      payload: { tag: ["a", "b", "c"], id: "1" },
    },
    {
      name: "a form with pluses, escapes and empty values",
      body: "a=1+2&b=%C3%A9%26&c=&d",
      type: FORM,
      payload: { a: "1 2", b: "é&", c: "", d: "" },
    },
    { name: "an empty form", body: "", type: FORM, payload: {} },
    {
      name: "a form with names that every object inherits",
      body: "__proto__=x&constructor=y&toString=z",
      type: FORM,
      payload: Object.fromEntries([
        ["__proto__", "x"],
        ["constructor", "y"],
        ["toString", "z"],
      ]),
    },
    {
      name: "a form with a number, which stays text",
      body: "id=9007199254740993",
      type: FORM,
      payload: { id: "9007199254740993" },
    },
    { name: "a form that is not UTF-8", body: bytes("id=\xe9"), type: FORM, problem: INVALID_UTF8 },
    {
      name: "JSON with the type that curl -d sends",
      body: '{"id":"a&b=c"}',
      type: FORM,
      payload: { id: "a&b=c" },
    },
    {
      name: "JSON after a line break with the type that curl --data-binary sends",
      body: '\n {"id":"a"}',
      type: FORM,
      payload: { id: "a" },
    },
    {
      name: "JSON after a byte order mark with the type that curl --data-binary sends",
      body: '\uFEFF{"id":"a"}',
      type: FORM,
      payload: { id: "a" },
    },
    { name: "a JSON list with the type that curl -d sends", body: '["a"]', type: FORM, payload: ["a"] },
    {
      name: "broken JSON with the type that curl -d sends",
      body: '{"id":',
      type: FORM,
      problem: INVALID_JSON,
    },

    {
      name: "the form field that contains JSON",
      body: "payload=%7B%22id%22%3A%22a%22%7D",
      type: FORM,
      formField: "payload",
      payload: { id: "a" },
    },
    {
      name: "a form field that should contain JSON and does not",
      body: "payload=hello",
      type: FORM,
      formField: "payload",
      problem: INVALID_JSON,
    },
    {
      name: "a form without that field",
      body: "id=a",
      type: FORM,
      formField: "payload",
      payload: { id: "a" },
    },
    {
      name: "a form with that field twice",
      body: "payload=1&payload=2",
      type: FORM,
      formField: "payload",
      payload: { payload: ["1", "2"] },
    },
    {
      name: "a form with that field for a provider that does not use it",
      body: "payload=%7B%7D",
      type: FORM,
      payload: { payload: "{}" },
    },
  ];

  test.each(scenarios.map((row) => [row.name, row] as const))("%s", (_, row) => {
    const { payload, json, problem } = parse(row.body, row.type, row.formField);
    expect(problem?.code).toBe(row.problem as never);
    expect(payload).toEqual(row.problem === undefined ? row.payload : null);
    // SQL and TypeScript see the same value.
    expect(json === null ? null : (JSON.parse(json) as unknown)).toEqual(payload);
    expect(json === null).toBe(row.problem !== undefined);
  });

  test("a body cannot change what every object inherits", () => {
    parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}');
    parse("__proto__=polluted&constructor=polluted", FORM);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    expect(Object.getPrototypeOf(parse("__proto__=x", FORM).payload)).toBe(Object.prototype);
  });
});

const lists = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
const objects = (depth: number): string => '{"a":'.repeat(depth) + "1" + "}".repeat(depth);
const withDepth = (id: string, depth: number): string =>
  `{"id":"${id}","field":"here","deep":${lists(depth - 1)}}`;

describe("nesting", () => {
  test.each([
    ["900 lists", lists(900), false],
    ["901 lists", lists(901), true],
    ["900 objects", objects(900), false],
    ["901 objects", objects(901), true],
    ["901 levels beside shallow values", `[{}, ${lists(900)}, []]`, true],
    ["100,000 lists, which would overflow a parser's stack", lists(100_000), true],
    ["brackets in a string", JSON.stringify({ id: "[".repeat(5000) }), false],
    ["brackets after an escaped quote in a string", `{"id":"\\"${"{[".repeat(2000)}"}`, false],
    ["brackets after an escaped backslash and the end of a string", `["\\\\",${lists(900)}]`, true],
    ["brackets in a key", `{"${"[".repeat(2000)}":1}`, false],
    ["many lists side by side", `[${"[],".repeat(2000)}[]]`, false],
  ])("%s", (_, body, tooDeep) => {
    if (tooDeep) expect(() => parse(body)).toThrow("The JSON is nested deeper than 900 levels.");
    else expect(parse(body).payload).toEqual(JSON.parse(body));
    // The limit holds for JSON in a form field, too.
    const form = `payload=${encodeURIComponent(body)}`;
    if (tooDeep) expect(() => parse(form, FORM, "payload")).toThrow("nested deeper");
    else expect(parse(form, FORM, "payload").problem).toBeNull();
  });

  test("SQLite reads 900 levels, and 901 are answered 400", async () => {
    expect(await post(inbox, "body", withDepth("deep_900", 900), JSON_TYPE)).toEqual(PROCESSED);
    expect(inbox.rows("select kind, field from seen where event_id = 'deep_900'")).toEqual([
      { kind: "object", field: "here" },
    ]);
    expect(await post(inbox, "body", withDepth("deep_901", 901), JSON_TYPE)).toEqual({
      status: 400,
      said: "json_too_deep",
    });
    expect(await post(inbox, "header", withDepth("x", 901), { "x-id": "deep_901", "x-type": "t" })).toEqual({
      status: 400,
      said: "json_too_deep",
    });
    expect(inbox.value("select count(*) from hookonce_events where event_id = 'deep_901'")).toBe(0);
  });
});

describe("a body that is neither JSON nor a form", () => {
  const neither = [
    ["nothing", Buffer.alloc(0), "invalid_json"],
    ["text", Buffer.from("hello"), "invalid_json"],
    ["bytes", Buffer.of(0, 255, 254, 0, 128), "invalid_utf8"],
    ["XML", Buffer.from("<event id='1'/>"), "invalid_json"],
  ] as const;

  test.each(neither)("%s: answers 400 if the id is in the body", async (_, body, code) => {
    const before = inbox.value("select count(*) from hookonce_events") as number;
    expect(await post(inbox, "body", body, JSON_TYPE)).toEqual({ status: 400, said: code });
    expect(inbox.value("select count(*) from hookonce_events")).toBe(before);
  });

  test.each(neither)(
    "%s: is processed if id and type are in headers, and its bytes are stored",
    async (name, body) => {
      const id = `neither_${name}`;
      expect(await post(inbox, "header", body, { "x-id": id, "x-type": "t" })).toEqual(PROCESSED);
      expect(inbox.rows("select payload, kind, field from seen where event_id = ?", id)).toEqual([
        { payload: null, kind: null, field: null },
      ]);
      const kept = inbox.value(
        "select bytes as body from hookonce_events e join hookonce_results r on r.event = e.id join hookonce_bodies b on b.id = r.body where event_id = ?",
        id,
      ) as Uint8Array;
      expect(Buffer.from(kept).equals(body)).toBe(true);
    },
  );

  test("answers 400 if the id is in a header and the type is in the body", async () => {
    expect(await post(inbox, "header", "hello", { "x-id": "untyped" })).toEqual({
      status: 400,
      said: "invalid_json",
    });
  });
});

describe("forms through the HTTP path", () => {
  test("reads id and type from form fields as from JSON", async () => {
    expect(await post(inbox, "body", "id=form_1&type=paid&field=500", FORM_TYPE)).toEqual(PROCESSED);
    expect(await post(inbox, "body", '{"id":"form_1"}', JSON_TYPE)).toEqual({
      status: 200,
      said: "duplicate",
    });
    expect(inbox.rows("select type, payload, field from seen where event_id = 'form_1'")).toEqual([
      { type: "paid", payload: '{"id":"form_1","type":"paid","field":"500"}', field: "500" },
    ]);
    expect(await post(inbox, "body", "id=a&id=b", FORM_TYPE)).toEqual({
      status: 400,
      said: "invalid_event_id",
    });
    expect(await post(inbox, "body", '{"id":"curl_1","type":"paid"}', FORM_TYPE)).toEqual(PROCESSED);
  });

  test("refuses escapes that are not UTF-8, so that two ids cannot become one", async () => {
    const answers = [
      await post(inbox, "body", "id=%FF&type=t", FORM_TYPE),
      await post(inbox, "body", "id=%FE&type=t", FORM_TYPE),
    ];
    expect(answers.map(({ status }) => status)).toEqual([400, 400]);
  });

  test("GitHub's form: the field payload is the payload, and the whole body is signed", async () => {
    const deliver = async (id: string, form: string): Promise<Answer> =>
      post(inbox, "github", form, {
        ...(await github.sign(form, { secret: github.secrets[0], id, at: AT })),
        "x-github-event": "issues",
        ...FORM_TYPE,
      });
    const payload = { action: "opened", field: "a+b & c" };
    expect(
      await deliver("form_gh", new URLSearchParams({ payload: JSON.stringify(payload) }).toString()),
    ).toEqual(PROCESSED);
    expect(inbox.rows("select type, payload, field from seen where event_id = 'form_gh:issues'")).toEqual([
      { type: "issues.opened", payload: JSON.stringify(payload), field: "a+b & c" },
    ]);
    // Id and type are in headers, so a field that is not JSON is still an event.
    expect(await deliver("form_gh_2", "payload=oops")).toEqual(PROCESSED);
    expect(inbox.rows("select type, payload from seen where event_id = 'form_gh_2:issues'")).toEqual([
      { type: "issues", payload: null },
    ]);
  });
});

test("an unhandled form is applied from what was stored, even if it arrives again changed", async () => {
  await using own = await testInbox({
    config: '[sources.github]\nprovider = "github"\nsecret = "env:GITHUB"',
    environment: { GITHUB: github.secrets[0] },
    files: { "migrations/0001.sql": "create table seen (field text) strict;" },
  });
  const deliver = async (field: string): Promise<Answer> => {
    const form = `payload=${encodeURIComponent(JSON.stringify({ field }))}`;
    const signed = await github.sign(form, { secret: github.secrets[0], id: "one", at: AT });
    return post(own, "github", form, { ...signed, ...FORM_TYPE });
  };
  expect(await deliver("first")).toEqual({ status: 200, said: "unhandled" });
  await own.restart({
    files: { "handlers/github/_any.sql": "insert into seen values (:payload ->> '$.field');" },
  });
  expect(await deliver("second")).toEqual(PROCESSED);
  expect(own.rows("select * from seen")).toEqual([{ field: "first" }]);
});

test("gzip is inflated after the bytes received have been verified, up to max_body", async () => {
  const stripe = providerCalled("stripe");
  await using own = await testInbox({
    config: '[sources.it]\nprovider = "stripe"\nsecret = "env:S"\nmax_body = "4 KiB"',
    environment: { S: stripe.secrets[0] },
    clock: () => AT * 1000,
    files: {
      "migrations/0001.sql": "create table seen (payload text) strict;",
      "handlers/it/_any.sql": "insert into seen values (:payload ->> '$.id');",
    },
  });
  const send = async (body: Buffer, encoding = "gzip"): Promise<number> => {
    const digest = new Bun.CryptoHasher("sha256", stripe.secrets[0])
      .update(`${AT}.`)
      .update(body)
      .digest("hex");
    const headers = { "content-encoding": encoding, "stripe-signature": `t=${AT},v1=${digest}` };
    return (await post(own, "it", body, headers)).status;
  };
  expect(await send(gzipSync('{"id":"evt_1","type":"t"}'))).toBe(200);
  expect(await send(gzipSync(`{"id":"evt_2","type":"t","x":"${"0".repeat(100_000)}"}`))).toBe(413);
  expect(await send(Buffer.from('{"id":"evt_3"}'))).toBe(400);
  expect(await send(gzipSync('{"id":"evt_4","type":"t"}').subarray(0, 30))).toBe(400);
  // The names of codings are case-insensitive (RFC 9110, 8.4.1).
  expect(await send(gzipSync('{"id":"evt_5","type":"t"}'), "GZip")).toBe(200);
  expect(own.rows("select * from seen")).toEqual([{ payload: "evt_1" }, { payload: "evt_5" }]);
  const unsigned = { "content-encoding": "gzip", "stripe-signature": "t=1,v1=00" };
  expect((await post(own, "it", gzipSync("0".repeat(1e6)), unsigned)).status).toBe(401);
});

const docusignHeaders = (body: string): Record<string, string> => ({
  "content-type": "text/xml; charset=utf-8",
  "x-docusign-signature-1": createHmac("sha256", "key").update(body).digest("base64"),
});
const docusignInbox = (more: string): Promise<TestInbox> =>
  testInbox({
    config: `[sources.it]\nprovider = "docusign"\nsecret = "env:S"\n${more}`,
    environment: { S: "key" },
    files: {
      "migrations/0001.sql": "create table seen (type text, payload text, body text) strict;",
      "handlers/it/_any.ts": `import { handler } from "hookonce"; import { sql } from "drizzle-orm";
export default handler(({ event, db }) => void db.run(sql\`insert into seen values (\${event.type}, \${event.payload}, \${new TextDecoder().decode(event.body)})\`));`,
    },
  });
const deliverTo = async (inbox: TestInbox, body: string, headers: Record<string, string>): Promise<unknown> =>
  (await inbox.request("/webhook/it", { method: "POST", body, headers })).json();

describe("a body that its Content-Type calls neither JSON nor a form", () => {
  const XML =
    '<?xml version="1.0"?><DocuSignEnvelopeInformation><Status>Completed</Status></DocuSignEnvelopeInformation>';
  test("has no payload and no type, and is applied once", async () => {
    await using inbox = await docusignInbox("");
    expect(await deliverTo(inbox, XML, docusignHeaders(`${XML} `))).toMatchObject({
      error: { code: "signature_mismatch" },
    });
    expect(await deliverTo(inbox, XML, docusignHeaders(XML))).toMatchObject({ status: "processed" });
    expect(await deliverTo(inbox, XML, docusignHeaders(XML))).toMatchObject({ status: "duplicate" });
    expect(inbox.rows("select * from seen")).toEqual([{ type: "", payload: null, body: XML }]);
  });

  test("has the type that its header names", async () => {
    await using inbox = await docusignInbox('type = "header:x-event"\nevent_id = "header:x-id"\n');
    const headers = { ...docusignHeaders(XML), "x-event": "completed", "x-id": "1" };
    expect(await deliverTo(inbox, XML, headers)).toMatchObject({ status: "processed", event_id: "1" });
    expect(inbox.rows("select type, payload from seen")).toEqual([{ type: "completed", payload: null }]);
  });

  test("is refused if its id is in the body, and so is broken JSON", async () => {
    await using inbox = await docusignInbox('event_id = "body:$.id"\n');
    expect(await deliverTo(inbox, XML, docusignHeaders(XML))).toMatchObject({
      error: { code: "invalid_json" },
    });
    const json = { ...docusignHeaders("{"), "content-type": "application/json" };
    expect(await deliverTo(inbox, "{", json)).toMatchObject({ error: { code: "invalid_json" } });
    expect(inbox.value("select count(*) from hookonce_events")).toBe(0);
  });
});

testUnless(
  onlyInFullRun(),
  "Postmark's inbound mail of 34 MB is accepted, and nothing above 35 MiB",
  async () => {
    await using inbox = await testInbox({
      config: '[sources.it]\nprovider = "postmark"\nsecret = "env:S"\n',
      environment: { S: "user:password" },
      files: {
        "migrations/0001.sql": "create table mails (subject text, bytes integer) strict;",
        "handlers/it/_any.sql":
          "insert into mails values (:payload ->> '$.Subject', length(:payload ->> '$.Attachments[0].Content'));",
      },
      mebibytes: 512,
    });
    const authorization = `Basic ${Buffer.from("user:password").toString("base64")}`;
    const deliver = async (bytes: number): Promise<number> => {
      const mail = { Subject: "Grüße", Attachments: [{ Name: "a.pdf", Content: "A".repeat(bytes) }] };
      const headers = { authorization, "content-type": "application/json" };
      const response = await inbox.request("/webhook/it", {
        method: "POST",
        headers,
        body: JSON.stringify(mail),
      });
      await response.text();
      return response.status;
    };
    expect(await deliver(34_000_000)).toBe(200);
    expect(await deliver(36 * 1024 * 1024)).toBe(413);
    expect(inbox.rows("select * from mails")).toEqual([{ subject: "Grüße", bytes: 34_000_000 }]);
  },
  30_000,
);
