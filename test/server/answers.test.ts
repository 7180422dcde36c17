import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { effectsTable, left, noteEffect, noteOrFail, nothing, type Left } from "./support/effects.ts";
import { githubSignature, secrets, signedSources, stripeSignature } from "./support/signed.ts";

const unsigned = (name: string, extra = ""): string => `
[sources.${name}]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"
${extra}
`;

const config = [
  signedSources,
  unsigned("default"),
  unsigned("quiet"),
  unsigned("ignoring", 'unhandled = "ignore"'),
  unsigned("strict", 'unhandled = "fail"'),
  unsigned("changing", "require_change = true"),
  unsigned("small", 'max_body = "1 KiB"'),
].join("");

const files = {
  "migrations/0001.sql": effectsTable,
  "handlers/default/_any.sql": noteOrFail,
  "handlers/default/leaky.ts": `import { handler } from "hookonce";
export default handler(() => { throw new Error("no such file: /home/ada/secret-token"); });`,
  "handlers/default/half.ts": `import { handler } from "hookonce";
import { sql } from "drizzle-orm";
export default handler(({ event, db }) => {
  db.run(sql\`insert into effects values ('default', \${event.id}, 'half')\`);
  throw new Error("half way");
});`,
  "handlers/stripe/_any.sql": noteEffect,
  "handlers/github/_any.sql": noteEffect,
  "handlers/changing/_any.sql": "update effects set note = 1 where event_id = 'nobody';",
};

const event = { event_id: "evt_1", type: "paid", note: 5 };
const body = JSON.stringify(event);
const stripeEvent = JSON.stringify({ id: "evt_1", type: "paid" });

interface Scenario {
  name: string;
  /** Deliveries made before this one. */
  before?: { path?: string; body: string }[];
  method?: string;
  path?: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array<ArrayBuffer>;
  remoteAddress?: string;
  /** The status of the answer. */
  status: number;
  /** The exact body of the answer, without the line break at its end. */
  answer?: string;
  /** The error code in the answer. */
  code?: string;
  /** Headers of the answer. null means that the header must be absent. */
  with?: Record<string, string | null>;
  left: Left;
}

const answered = (status: string, message: string, id = "evt_1"): string =>
  `{"status":"${status}","event_id":"${id}","message":"${message}"}`;

const scenarios: Scenario[] = [
  {
    name: "processes a new event",
    body,
    status: 200,
    answer: answered("processed", "Webhook received and processed"),
    with: { "content-type": "application/json", "retry-after": null },
    left: { events: 1, failures: 0, effects: 1 },
  },
  {
    name: "answers a duplicate when the same event arrives again",
    before: [{ body }],
    body,
    status: 200,
    answer: answered("duplicate", "Event already processed"),
    left: { events: 1, failures: 0, effects: 1 },
  },
  {
    name: "treats the same id at another source as another event",
    before: [{ body }],
    path: "/webhook/stripe",
    headers: { "stripe-signature": stripeSignature(stripeEvent) },
    body: stripeEvent,
    status: 200,
    answer: answered("processed", "Webhook received and processed"),
    left: { events: 2, failures: 0, effects: 2 },
  },
  {
    name: "keeps an event without a handler",
    path: "/webhook/quiet",
    body,
    status: 200,
    answer: answered("unhandled", "Webhook received"),
    left: { events: 1, failures: 0, effects: 0 },
  },
  {
    name: 'keeps only the id of an event without a handler if unhandled = "ignore"',
    path: "/webhook/ignoring",
    body,
    status: 200,
    answer: answered("ignored", "Webhook received"),
    left: { events: 1, failures: 0, effects: 0 },
  },
  {
    name: 'fails an event without a handler if unhandled = "fail"',
    path: "/webhook/strict",
    body,
    status: 500,
    answer: answered("failed", "Internal Server Error"),
    left: { events: 0, failures: 1, effects: 0 },
  },
  {
    name: "rolls back what a SQL handler wrote before it failed",
    body: JSON.stringify({ ...event, fail: true }),
    status: 500,
    answer: answered("failed", "Internal Server Error"),
    with: { "content-type": "application/json" },
    left: { events: 0, failures: 1, effects: 0 },
  },
  {
    name: "rolls back what a TypeScript handler wrote before it threw",
    body: JSON.stringify({ ...event, type: "half" }),
    status: 500,
    answer: answered("failed", "Internal Server Error"),
    left: { events: 0, failures: 1, effects: 0 },
  },
  {
    name: "does not reveal the message that a handler throws",
    body: JSON.stringify({ ...event, type: "leaky" }),
    status: 500,
    answer: answered("failed", "Internal Server Error"),
    left: { events: 0, failures: 1, effects: 0 },
  },
  {
    name: "fails an event whose handler changed no rows if require_change = true",
    path: "/webhook/changing",
    body,
    status: 500,
    answer: answered("failed", "Internal Server Error"),
    left: { events: 0, failures: 1, effects: 0 },
  },
  {
    name: "returns an id that JSON must escape unchanged",
    body: JSON.stringify({ ...event, event_id: 'a"b\\c\u2028' }),
    status: 200,
    answer: JSON.stringify({
      status: "processed",
      event_id: 'a"b\\c\u2028',
      message: "Webhook received and processed",
    }),
    left: { events: 1, failures: 0, effects: 1 },
  },

  { name: "no event id", body: '{"type":"paid"}', status: 400, code: "missing_event_id", left: nothing },
  {
    name: "an event id that is null",
    body: '{"event_id":null}',
    status: 400,
    code: "missing_event_id",
    left: nothing,
  },
  {
    name: "an empty event id",
    body: '{"event_id":""}',
    status: 400,
    code: "invalid_event_id",
    left: nothing,
  },
  {
    name: "an event id that is an object",
    body: '{"event_id":{}}',
    status: 400,
    code: "invalid_event_id",
    left: nothing,
  },
  {
    name: "an event id that is a fraction",
    body: '{"event_id":1.5}',
    status: 400,
    code: "invalid_event_id",
    left: nothing,
  },
  {
    name: "a type that is an object",
    body: '{"event_id":"evt_1","type":{}}',
    status: 400,
    code: "invalid_event_type",
    left: nothing,
  },
  { name: "an empty body", body: "", status: 400, code: "invalid_json", left: nothing },
  { name: "broken JSON", body: '{"event_id":', status: 400, code: "invalid_json", left: nothing },
  {
    name: "a body that is not UTF-8",
    body: Uint8Array.of(0xff, 0xfe, 0x7b),
    status: 400,
    code: "invalid_utf8",
    left: nothing,
  },
  {
    name: "JSON that is nested too deeply",
    body: `{"event_id":"evt_1","x":${"[".repeat(950)}${"]".repeat(950)}}`,
    status: 400,
    code: "json_too_deep",
    left: nothing,
  },
  {
    name: "a signed delivery without the header that carries the id",
    path: "/webhook/github",
    headers: { "x-hub-signature-256": githubSignature("{}"), "x-github-event": "push" },
    body: "{}",
    status: 400,
    code: "missing_event_id",
    left: nothing,
  },

  {
    name: "no signature",
    path: "/webhook/stripe",
    body: stripeEvent,
    status: 401,
    code: "signature_missing",
    left: nothing,
  },
  {
    name: "a signature header without a signature",
    path: "/webhook/stripe",
    headers: { "stripe-signature": "t=1" },
    body: stripeEvent,
    status: 401,
    code: "signature_malformed",
    left: nothing,
  },
  {
    name: "the signature of another body",
    path: "/webhook/stripe",
    headers: { "stripe-signature": stripeSignature("{}") },
    body: stripeEvent,
    status: 401,
    code: "signature_mismatch",
    left: nothing,
  },
  {
    name: "a signature without a timestamp",
    path: "/webhook/stripe",
    headers: { "stripe-signature": `v1=${"0".repeat(64)}` },
    body: stripeEvent,
    status: 401,
    code: "timestamp_missing",
    left: nothing,
  },
  {
    name: "a signature whose timestamp is not a number",
    path: "/webhook/stripe",
    headers: { "stripe-signature": `t=soon,v1=${"0".repeat(64)}` },
    body: stripeEvent,
    status: 401,
    code: "timestamp_invalid",
    left: nothing,
  },
  {
    name: "a signature that is too old",
    path: "/webhook/stripe",
    headers: { "stripe-signature": stripeSignature(stripeEvent, Date.now() - 400_000) },
    body: stripeEvent,
    status: 401,
    code: "timestamp_stale",
    left: nothing,
  },
  {
    name: "a signature from the future",
    path: "/webhook/stripe",
    headers: { "stripe-signature": stripeSignature(stripeEvent, Date.now() + 400_000) },
    body: stripeEvent,
    status: 401,
    code: "timestamp_in_future",
    left: nothing,
  },
  {
    name: "broken JSON with a wrong signature is refused for the signature",
    path: "/webhook/stripe",
    headers: { "stripe-signature": stripeSignature("{}") },
    body: "{",
    status: 401,
    code: "signature_mismatch",
    left: nothing,
  },

  {
    name: "an unsigned source, from another machine",
    body,
    remoteAddress: "203.0.113.9",
    status: 403,
    code: "unsigned_not_loopback",
    left: nothing,
  },

  {
    name: "an unknown source",
    path: "/webhook/nope",
    body,
    status: 404,
    code: "unknown_source",
    left: nothing,
  },
  {
    name: "a source name in another case",
    path: "/webhook/Stripe",
    body,
    status: 404,
    code: "unknown_source",
    left: nothing,
  },
  {
    name: "a source named like an inherited property",
    path: "/webhook/constructor",
    body,
    status: 404,
    code: "unknown_source",
    left: nothing,
  },
  {
    name: "a source name that is not valid UTF-8",
    path: "/webhook/%E0%A4%A",
    body,
    status: 404,
    code: "unknown_source",
    left: nothing,
  },
  { name: "another path", path: "/", body, status: 404, code: "not_found", left: nothing },
  {
    name: "a path below a source",
    path: "/webhook/default/more",
    body,
    status: 404,
    code: "not_found",
    left: nothing,
  },
  { name: "GET /", method: "GET", path: "/", status: 404, code: "not_found", left: nothing },

  ...["GET", "PUT", "PATCH", "DELETE", "OPTIONS"].flatMap((method): Scenario[] =>
    ["/webhook", "/webhook/stripe"].map((path) => ({
      name: `${method} ${path}`,
      method,
      path,
      status: 405,
      code: "method_not_allowed",
      with: { allow: "POST" },
      left: nothing,
    })),
  ),
  {
    name: "POST /healthz",
    path: "/healthz",
    body,
    status: 405,
    code: "method_not_allowed",
    with: { allow: "GET" },
    left: nothing,
  },
  {
    name: "POST /readyz",
    path: "/readyz",
    body,
    status: 405,
    code: "method_not_allowed",
    with: { allow: "GET" },
    left: nothing,
  },
  {
    name: "GET /healthz",
    method: "GET",
    path: "/healthz",
    status: 200,
    answer: '{"status":"alive"}',
    left: nothing,
  },
  {
    name: "GET /readyz",
    method: "GET",
    path: "/readyz",
    status: 200,
    answer: '{"status":"ready"}',
    left: nothing,
  },

  {
    name: "a body that is larger than the limit of its source",
    path: "/webhook/small",
    body: JSON.stringify({ ...event, padding: "x".repeat(1024) }),
    status: 413,
    code: "body_too_large",
    left: nothing,
  },
  ...["br", "deflate", "gzip, gzip", "gzip, identity", "x-compress"].map((encoding): Scenario => ({
    name: `Content-Encoding: ${encoding}`,
    headers: { "content-encoding": encoding },
    body,
    status: 415,
    code: "unsupported_content_encoding",
    left: nothing,
  })),
  {
    name: "Content-Encoding: gzip with a body that is not gzip",
    headers: { "content-encoding": "gzip" },
    body,
    status: 400,
    code: "invalid_json",
    left: nothing,
  },
  {
    name: "Content-Encoding: x-gzip with a body that is not gzip",
    headers: { "content-encoding": "x-gzip" },
    body,
    status: 400,
    code: "invalid_json",
    left: nothing,
  },
  {
    name: "accepts Content-Encoding: identity",
    path: "/webhook/quiet",
    headers: { "content-encoding": "identity" },
    body,
    status: 200,
    answer: answered("unhandled", "Webhook received"),
    left: { events: 1, failures: 0, effects: 0 },
  },
];

/** Asserts that an answer reveals no path, no source code, no secret and no message of a handler. */
function expectNoLeak(inbox: TestInbox, text: string): void {
  const project = new URL("../..", import.meta.url).pathname;
  for (const leak of [
    inbox.folder,
    project,
    "src/",
    "handlers/",
    "node_modules",
    "    at ",
    "SQLITE",
    "constraint",
    "half way",
    "secret-token",
    ...Object.values(secrets),
  ]) {
    expect(text).not.toContain(leak);
  }
}

async function send(inbox: TestInbox, scenario: Scenario): Promise<Response> {
  const { method = "POST", path = "/webhook", headers, remoteAddress } = scenario;
  return inbox.request(
    path,
    {
      method,
      headers: { "content-type": "application/json", ...headers },
      ...(scenario.body === undefined ? {} : { body: scenario.body }),
    },
    remoteAddress,
  );
}

describe("a delivery is answered", () => {
  // Every refusal is checked to leave nothing behind, so refusals can share one inbox.
  let shared: TestInbox;
  beforeAll(async () => void (shared = await testInbox({ config, files, environment: secrets })));
  afterAll(() => shared[Symbol.asyncDispose]());

  for (const scenario of scenarios) {
    test(`${scenario.status}: ${scenario.name}`, async () => {
      await using own =
        scenario.left === nothing ? null : await testInbox({ config, files, environment: secrets });
      const inbox = own ?? shared;
      for (const earlier of scenario.before ?? []) {
        const response = await send(inbox, { name: "", status: 200, left: nothing, ...earlier });
        expect(response.status).toBe(200);
      }

      const response = await send(inbox, scenario);
      const text = await response.text();

      expect({ status: response.status, text }).toEqual({
        status: scenario.status,
        // A line break ends each answer, for a terminal.
        text: scenario.answer === undefined ? expect.stringMatching(/\}\n$/) : `${scenario.answer}\n`,
      });
      expect(response.headers.get("content-type")).toBe("application/json");
      if (scenario.code !== undefined) {
        const message: unknown = expect.stringMatching(/^[A-Z].{10,}[.?]$/s);
        expect(JSON.parse(text)).toEqual({ error: { code: scenario.code, message } });
      }
      for (const [name, value] of Object.entries(scenario.with ?? {}))
        expect(response.headers.get(name)).toBe(value);
      expectNoLeak(inbox, text);
      expect(left(inbox)).toEqual(scenario.left);
      expect(inbox.fatal).toEqual([]);
    });
  }

  test("503 with Retry-After: deliveries and /readyz, while the database is locked", async () => {
    await using inbox = await testInbox({
      config,
      files,
      environment: secrets,
      open: { queue: { maxWaitMs: 30 } },
    });
    using other = new Database(inbox.databasePath);
    other.run("begin immediate");
    for (const scenario of [{ body }, { method: "GET", path: "/readyz" }]) {
      const response = await send(inbox, { name: "", status: 503, left: nothing, ...scenario });
      const text = await response.text();
      expect(response.status).toBe(503);
      expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
      expect(JSON.parse(text)).toMatchObject({ error: { code: "database_locked" } });
      expectNoLeak(inbox, text);
    }
    other.run("rollback");
    expect(left(inbox)).toEqual(nothing);
  });

  test("503 with Retry-After: deliveries and /readyz, during a stop, while /healthz answers 200", async () => {
    await using inbox = await testInbox({ config, files, environment: secrets });
    inbox.refuse();
    for (const scenario of [{ body }, { method: "GET", path: "/readyz" }]) {
      const response = await send(inbox, { name: "", status: 503, left: nothing, ...scenario });
      expect(response.status).toBe(503);
      expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
      expect(await response.json()).toMatchObject({ error: { code: "shutting_down" } });
    }
    expect((await inbox.request("/healthz")).status).toBe(200);
    expect(left(inbox)).toEqual(nothing);
  });

  test("500: an unexpected error is logged in full and not revealed in the answer", async () => {
    let broken = false;
    await using inbox = await testInbox({
      config,
      files,
      environment: secrets,
      clock() {
        if (broken) throw new RangeError("the clock of /home/ada has stopped");
        return Date.now();
      },
    });
    broken = true;
    const response = await send(inbox, { name: "", status: 500, body, left: nothing });
    broken = false;
    expect(response.status).toBe(500);
    expect(await response.text()).toBe('{"error":{"code":"internal","message":"Internal Server Error"}}\n');
    const line = inbox.log.find(({ outcome }) => outcome === "rejected");
    expect(line).toMatchObject({ code: "internal", cause: "the clock of /home/ada has stopped" });
    expect(line?.["err"]).toMatchObject({ type: "RangeError", stack: expect.stringContaining("at ") });
    expect(left(inbox)).toEqual(nothing);
  });

  test("404: /webhook, if there is no source named default", async () => {
    await using inbox = await testInbox({ config: signedSources, environment: secrets });
    const { status, body: refusal } = await inbox.deliver(event);
    expect(status).toBe(404);
    expect(refusal.error.code).toBe("unknown_source");
    expect(refusal.error.message).toContain("POST /webhook/<source>");
  });
});
