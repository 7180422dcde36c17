import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";

const START = 1_800_000_000_000;

const CONFIG = `
[sources.shop]
provider = "unsigned"
event_id = "body:$.id"
type     = "body:$.type"

[sources.other]
provider = "unsigned"
event_id = "body:$.id"
type     = "body:$.type"
`;

const FILES = {
  "migrations/1.sql": "create table credits (id text, cents integer not null) strict;",
  "handlers/shop/invoice.paid.sql": "insert into credits values (:event_id, :payload ->> '$.cents');",
};

/** Each delivery comes a second after the one before. */
async function filled(): Promise<TestInbox> {
  let now = START;
  const inbox = await testInbox({ config: CONFIG, files: FILES, clock: () => (now += 1000) });
  for (const [id, type, more] of [
    ["evt_1", "invoice.paid", { cents: 5, customer: "cus_ada" }],
    ["evt_2", "invoice.created", { note: "nobody handles it" }],
    ["evt_3", "invoice.paid", { cents: null }],
    ["evt_4", "refund", { big: 1 }],
  ] as const)
    await inbox.deliver({ id, type, ...more }, { source: "shop" });
  await inbox.deliver({ id: "evt_1", type: "invoice.paid", cents: 6 }, { source: "shop" });
  await inbox.deliver({ id: "evt_1", type: "ping" }, { source: "other" });
  return inbox;
}

async function get(inbox: TestInbox, path: string): Promise<{ status: number; body: Body }> {
  const response = await inbox.api(path);
  return { status: response.status, body: (await response.json()) as Body };
}

/** What an answer of one of these routes may hold. */
interface Body extends Listed {
  [name: string]: unknown;
  error: { code: string; message: string };
}

interface Listed {
  items: Record<string, unknown>[];
  next: string | null;
}

const idsOf = ({ items }: Listed): string[] =>
  items.map(({ source, event_id: id }) => `${String(source)}/${String(id)}`);

const large = (n: string): string =>
  `{\r\n  "id": "big",\n  "type": "x",\n\t"n": ${n}, "t": "a\\n  b $& ${"x".repeat(100_000)}"\n}\n`;

test("GET /api/failures says where the handler failed, and has a message to its end", async () => {
  const thrower = `import { handler } from "hookonce";
export default handler(() => {
  throw new Error("one\\0two");
});
`;
  const files = { ...FILES, "handlers/shop/thrown.ts": thrower };
  await using inbox = await testInbox({ config: CONFIG, files, clock: () => START });
  await inbox.deliver({ id: "sql", type: "invoice.paid", cents: null }, { source: "shop" });
  await inbox.deliver({ id: "ts", type: "thrown" }, { source: "shop" });
  for (const group of ["none", "handler"]) {
    const { body } = await get(inbox, `/api/failures?group=${group}`);
    const shown = Object.fromEntries(body.items.map(({ handler, at, error }) => [handler, [at, error]]));
    expect(shown).toEqual({
      "handlers/shop/invoice.paid.sql": [
        "handlers/shop/invoice.paid.sql:1",
        "NOT NULL constraint failed: credits.cents",
      ],
      "handlers/shop/thrown.ts": ["handlers/shop/thrown.ts:3", "one\0two"],
    });
  }
  const found = await get(inbox, "/api/failures?group=none&search=two");
  expect(found.body.items.map(({ event_id: id }) => id)).toEqual(["ts"]);
});

const withKeys = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, n]));

test("a payload that takes too long to show is not shown as JSON, and is not saved as a fixture", async () => {
  await using inbox = await testInbox({ config: CONFIG });
  for (const [id, keys] of [
    ["shown", 40_000],
    ["raw", 60_000],
  ] as const)
    await inbox.deliver({ id, type: "large", ...withKeys(keys) }, { source: "shop" });
  const shown = await get(inbox, "/api/event?source=shop&event_id=shown");
  expect(shown.body["payload"]).toMatchObject({ id: "shown", k39999: 39_999 });
  const raw = await get(inbox, "/api/event?source=shop&event_id=raw");
  expect(raw.body).toMatchObject({ payload: null, bytes: expect.any(Number), type: "large" });
  expect((await inbox.api("/api/event/raw?source=shop&event_id=raw")).status).toBe(200);
  const saved = await inbox.api("/api/fixtures", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ source: "shop", event_id: "raw" }),
  });
  expect([saved.status, ((await saved.json()) as Body).error.code]).toEqual([
    expect.any(Number),
    "event_not_stored",
  ]);
});

describe("GET /api/events", () => {
  for (const [query, ids] of [
    ["", ["other/evt_1", "shop/evt_4", "shop/evt_3", "shop/evt_2", "shop/evt_1"]],
    ["?source=other", ["other/evt_1"]],
    ["?source=nobody", []],
    ["?type=invoice.*", ["shop/evt_3", "shop/evt_2", "shop/evt_1"]],
    ["?type=invoice.paid", ["shop/evt_3", "shop/evt_1"]],
    ["?type=invoice", []],
    ["?outcome=failed", ["shop/evt_3"]],
    ["?outcome=unhandled", ["other/evt_1", "shop/evt_4", "shop/evt_2"]],
    ["?outcome=processed&type=invoice.*", ["shop/evt_1"]],
    ["?outcome=held", []],
    ["?search=evt_2", ["shop/evt_2"]],
    ["?search=cus_ada", ["shop/evt_1"]],
    ["?search=%25", []],
    [`?since=${START}&until=${START + 1}`, []],
  ] as const)
    test(`with ${query || "no filter"}`, async () => {
      await using inbox = await filled();
      const { status, body } = await get(inbox, `/api/events${query}`);
      expect([status, idsOf(body), body.next]).toEqual([200, [...ids], null]);
    });

  test("pages from the newest to the oldest, each event once", async () => {
    await using inbox = await filled();
    const seen: string[] = [];
    let cursor = "";
    for (let page = 0; page < 20; page++) {
      const { body } = await get(inbox, `/api/events?limit=2${cursor}`);
      seen.push(...idsOf(body));
      if (page === 0) await inbox.deliver({ id: "evt_9", type: "new" }, { source: "shop" });
      if (body.next === null) break;
      cursor = `&cursor=${body.next}`;
    }
    expect(seen).toEqual(["other/evt_1", "shop/evt_4", "shop/evt_3", "shop/evt_2", "shop/evt_1"]);
  });

  test("of a search are walked page by page, the events with this id first", async () => {
    await using inbox = await filled();
    await inbox.deliver({ id: "evt_5", type: "about", of: "evt_1" }, { source: "shop" });
    const seen: string[] = [];
    let cursor = "";
    do {
      const { status, body } = await get(inbox, `/api/events?search=evt_1&limit=1${cursor}`);
      expect([status, body.items.length <= 1]).toEqual([200, true]);
      seen.push(...idsOf(body));
      expect(body["searched_back_to"] === null).toBe(body.next === null);
      cursor = body.next === null ? "" : `&cursor=${body.next}`;
    } while (cursor !== "");
    expect(seen).toEqual(["other/evt_1", "shop/evt_1", "shop/evt_5"]);
  });

  test("has the fields of the interface, and no others", async () => {
    await using inbox = await filled();
    const { body } = await get(inbox, "/api/events?source=shop&outcome=processed");
    expect(body.items).toEqual([
      {
        source: "shop",
        event_id: "evt_1",
        type: "invoice.paid",
        outcome: "processed",
        received_at: expect.any(Number),
        last_delivery_at: expect.any(Number),
        deliveries: 2,
        handler: "handlers/shop/invoice.paid.sql",
        rows_changed: 1,
        duration_us: expect.any(Number),
      },
    ]);
  });
});

describe("a request that does not fit is answered 400 and names what is wrong", () => {
  for (const [path, code, says] of [
    ["/api/events?outcome=lost", "invalid_request", "outcome"],
    ["/api/events?limit=0", "invalid_request", "limit"],
    ["/api/events?limit=501", "invalid_request", "500"],
    ["/api/events?since=yesterday", "invalid_request", "since"],
    ["/api/events?colour=red", "invalid_request", "colour"],
    ["/api/events?search=", "invalid_request", "search"],
    ["/api/events?cursor=x", "invalid_cursor", "cursor"],
    ["/api/events?cursor=1.2.3", "invalid_cursor", "cursor"],
    ["/api/events?cursor=1.0.-1", "invalid_cursor", "cursor"],
    ["/api/events?cursor=1e3.0.1", "invalid_cursor", "cursor"],
    ["/api/events?cursor=9999999999999999999.0.1", "invalid_cursor", "cursor"],
    ["/api/events?cursor=1.0.1%20or%201=1", "invalid_cursor", "cursor"],
    ["/api/failures?group=colour", "invalid_request", "group"],
    ["/api/failures?group=none&cursor=x", "invalid_cursor", "cursor"],
    ["/api/audit?cursor=x", "invalid_cursor", "cursor"],
    ["/api/event", "invalid_request", "event_id"],
    ["/api/rollups?by=second", "invalid_request", "by"],
    ["/api/stream?limit=2", "invalid_request", "limit"],
  ] as const)
    test(path, async () => {
      await using inbox = await testInbox({ config: CONFIG });
      const { status, body } = await get(inbox, path);
      expect([status, body.error.code]).toEqual([400, code]);
      expect(body.error.message).toContain(says);
    });
});

describe("GET /api/event", () => {
  test("has everything that is stored of it", async () => {
    await using inbox = await filled();
    const { status, body } = await get(inbox, "/api/event?source=shop&event_id=evt_1");
    expect(status).toBe(200);
    expect(body).toMatchObject({
      event_id: "evt_1",
      outcome: "processed",
      payload: { id: "evt_1", type: "invoice.paid", cents: 5, customer: "cus_ada" },
      headers: { "content-type": "application/json" },
      bytes: 67,
      timeline: [
        { number: 1, outcome: "processed", changed_body: false },
        { number: 2, outcome: "duplicate", changed_body: true },
      ],
      failure: null,
      changed: { payload: { id: "evt_1", type: "invoice.paid", cents: 6 } },
      changed_bodies: 1,
    });
  });

  test("says why it failed", async () => {
    await using inbox = await filled();
    const { body } = await get(inbox, "/api/event?source=shop&event_id=evt_3");
    expect(body).toMatchObject({
      outcome: "failed",
      payload: { cents: null },
      failure: { code: "handler_error", attempts: 1, handler: "handlers/shop/invoice.paid.sql" },
    });
  });

  test("says when an owed event was applied without a delivery, and why", async () => {
    await using inbox = await filled();
    const stored = async (id: string) => (await get(inbox, `/api/event?source=shop&event_id=${id}`)).body;
    expect((await stored("evt_3"))["settled"]).toBeNull();
    await Bun.write(
      join(inbox.folder, "handlers/shop/invoice.paid.sql"),
      "insert into credits values (:event_id, 1);",
    );
    await Bun.write(
      join(inbox.folder, "handlers/shop/refund.sql"),
      "insert into credits values (:event_id, 2);",
    );
    await inbox.restart();
    const why = { action: "apply", reason: "The handler is mended." };
    await job(inbox, { ...why, ids: ["evt_3", "evt_4"], filter: { source: "shop" } });
    await job(inbox, {
      action: "discard",
      reason: "Not for us.",
      ids: ["evt_2"],
      filter: { source: "shop" },
    });
    for (const [id, first, settled, reason] of [
      ["evt_3", "failed", "processed", why.reason],
      ["evt_4", "unhandled", "processed", why.reason],
      ["evt_2", "unhandled", "discarded", "Not for us."],
    ] as const) {
      const body = await stored(id);
      expect(body).toMatchObject({
        outcome: settled,
        reason,
        settled: { outcome: settled, actor: "unknown" },
      });
      expect(body["timeline"]).toMatchObject([{ number: 1, outcome: first }]);
      expect((body["settled"] as { at: number }).at).toBeGreaterThan(body["last_delivery_at"] as number);
    }
    // A delivery that applies it is in the timeline.
    expect((await stored("evt_1"))["settled"]).toBeNull();
  });

  test("asks for the source if two have the id, and 404 names an unknown one", async () => {
    await using inbox = await filled();
    const both = await get(inbox, "/api/event?event_id=evt_1");
    expect([both.status, both.body.error.code]).toEqual([409, "ambiguous_event"]);
    expect(both.body.error.message).toMatch(/shop .*other|other .*shop/);
    expect((await get(inbox, "/api/event?event_id=evt_2")).status).toBe(200);
    for (const path of ["/api/event?event_id=evt_x", "/api/event?source=nobody&event_id=evt_1"])
      expect((await get(inbox, path)).status).toBe(404);
  });

  test("finds ids with a slash, blanks and signs", async () => {
    await using inbox = await filled();
    const id = "a/b c&d=%2f?é";
    await inbox.deliver({ id, type: "x" }, { source: "shop" });
    const { body } = await get(inbox, `/api/event?event_id=${encodeURIComponent(id)}`);
    expect(body["event_id"]).toBe(id);
  });

  test("keeps every digit of a number", async () => {
    await using inbox = await filled();
    await inbox.deliver('{"id":"big","type":"x","n":12345678901234567890,"f":1.10}', { source: "shop" });
    const text = await (await inbox.api("/api/event?event_id=big")).text();
    expect(text).toContain('"payload":{"id":"big","type":"x","n":12345678901234567890,"f":1.10}');
  });

  test("keeps them in a large payload, in one line, and beside those of another body", async () => {
    await using inbox = await filled();
    await inbox.deliver(large("1.10"), { source: "shop" });
    await inbox.deliver(large("1e400"), { source: "shop" });
    const text = await (await inbox.api("/api/event?event_id=big")).text();
    expect(text.trimEnd()).not.toMatch(/[\r\n]/);
    for (const n of ["1.10", "1e400"])
      expect(text).toContain(`"payload":{"id": "big","type": "x","n": ${n}, "t": "a\\n  b $& xxx`);
    expect(JSON.parse(text)).toMatchObject({
      payload: { n: 1.1 },
      changed: { payload: { t: expect.any(String) } },
    });
  });
});

describe("GET /api/event/raw", () => {
  test("gives the bytes, which no browser runs", async () => {
    await using inbox = await testInbox({ config: CONFIG });
    const raw = '{"id":"<b>\\u00e9","type":"x","html":"<script>alert(1)</script>"}';
    await inbox.deliver(raw, { source: "shop", headers: { "content-type": "text/html" } });
    const response = await inbox.api(`/api/event/raw?event_id=${encodeURIComponent("<b>é")}`);
    expect(await response.text()).toBe(raw);
    expect(response.headers.get("content-type")).toBe("application/octet-stream");
    expect(response.headers.get("content-disposition")).toBe('attachment; filename="_b__.body"');
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
  });

  test("gives the latest other body, or 404 if there is none", async () => {
    await using inbox = await filled();
    const changed = await inbox.api("/api/event/raw?source=shop&event_id=evt_1&which=changed");
    expect(await changed.text()).toContain('"cents":6');
    const { status, body } = await get(inbox, "/api/event/raw?event_id=evt_2&which=changed");
    expect([status, body["error"]]).toMatchObject([404, { code: "event_not_stored" }]);
  });
});

test("GET /api/failures groups by handler and error, or lists one per event", async () => {
  await using inbox = await filled();
  await inbox.deliver({ id: "evt_5", type: "invoice.paid", cents: null }, { source: "shop" });
  const grouped = await get(inbox, "/api/failures");
  expect(grouped.body).toMatchObject({
    items: [
      {
        source: "shop",
        handler: "handlers/shop/invoice.paid.sql",
        code: "handler_error",
        count: 2,
        types: ["invoice.paid"],
        latest_event_id: "evt_5",
      },
    ],
    next: null,
    capped: false,
  });
  expect(grouped.body["total"]).toBe(1);
  const listed = await get(inbox, "/api/failures?group=none");
  expect(idsOf(listed.body)).toEqual(["shop/evt_5", "shop/evt_3"]);
  expect(Object.keys(listed.body.items[0] ?? {}).sort()).toEqual(
    [
      "source",
      "event_id",
      "type",
      "handler",
      "code",
      "error",
      "at",
      "attempts",
      "first_at",
      "last_at",
    ].sort(),
  );
});

test("GET /api/failures gives groups page by page, and says how many there are", async () => {
  await using inbox = await testInbox({
    config: CONFIG,
    files: {
      "handlers/shop/_any.ts":
        'import { handler } from "hookonce"; export default handler(({ event }) => { throw new Error(event.id); });',
    },
  });
  const ids = Array.from("abcdefg", (letter) => `evt_${letter}`);
  for (const id of ids) await inbox.deliver({ id, type: "x" }, { source: "shop" });
  const found: string[] = [];
  let cursor = "";
  do {
    const { body } = await get(inbox, `/api/failures?limit=3${cursor}`);
    expect(body).toMatchObject({ total: 7, capped: false });
    found.push(...body.items.map(({ error }) => String(error)));
    cursor = body.next === null ? "" : `&cursor=${body.next}`;
  } while (cursor !== "");
  expect(found.sort()).toEqual(ids);
  expect((await get(inbox, "/api/failures?cursor=x")).body.error.code).toBe("invalid_cursor");
});

test("GET /api/status and /api/rollups count what came", async () => {
  await using inbox = await filled();
  const { body } = await get(inbox, "/api/status");
  expect(body).toMatchObject({
    serving: null,
    actor: { scopes: ["read", "steer", "forget"] },
    today: { processed: 1, duplicate: 1, unhandled: 3, failed: 1, refused: 0 },
  });
  expect(body["owed"]).toContainEqual({
    source: "shop",
    type: "invoice.paid",
    outcome: "failed",
    count: 1,
    capped: false,
    handler: "handlers/shop/invoice.paid.sql",
  });
  const [first] = body["sources"] as Record<string, unknown>[];
  expect(first).toMatchObject({
    name: "shop",
    last_hour: 5,
    last_delivery_at: expect.any(Number),
    secrets: [],
  });
  const minutes = await get(inbox, `/api/rollups?source=shop&by=minute&since=${START}`);
  expect(minutes.body.items).toMatchObject([
    { source: "shop", processed: 1, duplicate: 1, unhandled: 2, failed: 1 },
  ]);
});

test("what a clock that was ahead has counted is not of today, nor of the last hour", async () => {
  let now = START;
  await using inbox = await testInbox({ config: CONFIG, clock: () => now, upkeep: { minuteMs: 10 } });
  const added = async (days: number): Promise<void> => {
    const deadline = performance.now() + 20_000;
    while (inbox.value("select count(*) from hookonce_rollups where span = 'day'") !== days) {
      if (performance.now() > deadline) throw new Error("the counts were not added up within 20 s");
      await Bun.sleep(10);
    }
  };
  await inbox.deliver({ id: "evt_1", type: "ping" }, { source: "shop" });
  await added(1);
  for (const ahead of [5 * 24, 0.2]) {
    now = START + ahead * 3_600_000;
    await inbox.deliver({ id: `evt_${ahead}`, type: "ping" }, { source: "shop" });
  }
  await added(2);
  now = START + 2000;
  const { body } = await get(inbox, "/api/status");
  expect(body).toMatchObject({
    today: { unhandled: 1 },
    sources: [{ last_hour: 1, last_delivery_at: START }, {}],
  });
  const minutes = await get(inbox, "/api/rollups?by=minute");
  expect(minutes.body.items).toMatchObject([{ source: "shop", unhandled: 1 }]);
});

test("tokens are made once per name, never shown again, and revoked", async () => {
  await using inbox = await testInbox({ config: CONFIG });
  const post = (json: object): Promise<Response> =>
    inbox.api("/api/tokens", {
      method: "POST",
      headers: { "content-type": "application/json", "x-hookonce-actor": "ada" },
      body: JSON.stringify(json),
    });
  const made = await post({ name: "ci", scopes: ["read", "steer"] });
  const { token, ...rest } = (await made.json()) as Record<string, unknown>;
  expect([made.status, token]).toEqual([201, expect.stringMatching(/^[\w-]{43}$/)]);
  expect(rest).toMatchObject({ name: "ci", scopes: ["read", "steer"], expires_at: null, revoked_at: null });
  expect((await post({ name: "ci" })).status).toBe(409);
  for (const wrong of [
    {},
    { name: "" },
    { name: "a b" },
    { name: "x", scopes: [] },
    { name: "x", scopes: ["all"] },
    { name: "x", expires_at: 1 },
  ])
    expect([wrong, (await post(wrong)).status]).toEqual([wrong, 400]);
  const listed = await (await inbox.api("/api/tokens")).text();
  expect(listed).not.toContain(String(token));
  expect(JSON.stringify(inbox.rows("select * from hookonce_tokens"))).not.toContain(String(token));
  const revoke = (): Promise<Response> => inbox.api("/api/tokens/ci", { method: "DELETE" });
  expect([(await revoke()).status, (await revoke()).status]).toEqual([200, 404]);
  expect((await post({ name: "ci" })).status).toBe(201);
  const { items } = (await (await inbox.api("/api/audit")).json()) as { items: Record<string, unknown>[] };
  expect(items.map(({ action, target }) => [action, target])).toEqual([
    ["token create", "ci"],
    ["token revoke", "ci"],
    ["token create", "ci"],
  ]);
  expect(items.at(-1)).toMatchObject({ actor: "ada", reason: null, at: expect.any(Number) });
});

test("HEAD /api/stream ends at once, because nobody reads it", async () => {
  await using inbox = await testInbox({ config: CONFIG, files: FILES });
  const response = await inbox.api("/api/stream", { method: "HEAD" });
  expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
  expect(await response.text()).toBe("");
});

interface Following {
  /** Resolves with all messages so far, once one of them contains this text. */
  readonly until: (part: string) => Promise<[message: string, id: string, outcome: string][]>;
  readonly end: () => Promise<void>;
}

async function follow(inbox: TestInbox, query: string): Promise<Following> {
  const response = await inbox.api(`/api/stream${query}`);
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  let text = "";
  const until: Following["until"] = async (part) => {
    while (!text.includes(part)) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`the stream ended before ${part}: ${text}`);
      text += Buffer.from(value).toString();
    }
    return [...text.matchAll(/^event: (event|changed)\ndata: (.*)$/gm)].map(([, message, json]) => {
      const { event_id: id, outcome } = JSON.parse(String(json)) as Record<string, string>;
      return [String(message), String(id), String(outcome)];
    });
  };
  await until("event: open");
  return { until, end: () => reader.cancel() };
}

/** Owed events, and what else may happen to an event, all of them received a day ago. */
async function aDayLater(): Promise<TestInbox> {
  let now = START;
  const inbox = await testInbox({ config: CONFIG, files: FILES, clock: () => now });
  for (const id of ["redelivered", "applied", "given_up", "imported", "same"])
    await inbox.deliver({ id, type: "invoice.paid", cents: null }, { source: "shop" });
  for (const id of ["unhandled", "breaks", "closed", "dropped"])
    await inbox.deliver({ id, type: "later", cents: id === "breaks" ? null : 1 }, { source: "shop" });
  await inbox.deliver({ id: "again", type: "invoice.paid", cents: 1 }, { source: "shop" });
  await inbox.restart({
    files: {
      "handlers/shop/later.sql": "insert into credits values (:event_id, :payload ->> '$.cents');",
      // Also applies what failed so far.
      "handlers/shop/invoice.paid.sql": "insert into credits values (:event_id, 1);",
    },
  });
  now = START + 24 * 3_600_000;
  return inbox;
}

async function job(inbox: TestInbox, request: object): Promise<void> {
  const begun = await inbox.api("/api/jobs", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
  });
  expect(begun.status).toBe(202);
  const { id } = (await begun.json()) as { id: string };
  for (let state: unknown = "running"; state === "running"; await Bun.sleep(5))
    ({ state } = (await get(inbox, `/api/jobs/${id}`)).body);
}

/** Each outcome that changes a day after its event was received. */
async function changeAll(inbox: TestInbox): Promise<void> {
  await inbox.deliver({ id: "redelivered", type: "invoice.paid", cents: 1 }, { source: "shop" });
  await job(inbox, { action: "apply", ids: ["applied", "unhandled", "breaks"] });
  await job(inbox, { action: "discard", ids: ["given_up", "dropped"], reason: "not ours" });
  const events = ["imported", "closed"].map((id) => [id, "invoice.paid", START]);
  await job(inbox, { action: "import", source: "shop", events });
  await job(inbox, { action: "replay", ids: ["again"], reason: "a lost receipt" });
  await inbox.deliver({ id: "last", type: "invoice.paid", cents: 1 }, { source: "shop" });
}

describeUnless(onlyInFullRun(), "GET /api/stream", () => {
  test("sends each event that arrives, and matches", async () => {
    await using inbox = await testInbox({ config: CONFIG, files: FILES });
    await inbox.deliver({ id: "before", type: "invoice.paid", cents: 1 }, { source: "shop" });
    const { until, end } = await follow(inbox, "?source=shop&type=invoice.*");
    await inbox.deliver({ id: "other", type: "refund" }, { source: "shop" });
    await inbox.deliver({ id: "evt_1", type: "invoice.paid", cents: 1 }, { source: "shop" });
    await inbox.deliver({ id: "evt_1", type: "invoice.paid", cents: 1 }, { source: "shop" });
    await inbox.deliver({ id: "evt_2", type: "invoice.paid", cents: null }, { source: "shop" });
    expect(await until("evt_2")).toEqual([
      ["event", "evt_1", "processed"],
      ["event", "evt_2", "failed"],
    ]);
    await end();
  });

  test("sends each outcome that changes, however long ago the event arrived", async () => {
    await using inbox = await aDayLater();
    const { until, end } = await follow(inbox, "");
    await changeAll(inbox);
    await until("last");
    const sent = (await until("again")).filter(([, id]) => id !== "last");
    expect(sent.map(([message, id, outcome]) => `${message} ${id} ${outcome}`).sort()).toEqual([
      "event again processed",
      "event applied processed",
      "event breaks failed",
      "event closed imported",
      "event dropped discarded",
      "event given_up discarded",
      "event imported imported",
      "event redelivered processed",
      "event unhandled processed",
    ]);
    await end();
  });

  test("with an outcome says which events have another one now", async () => {
    await using inbox = await aDayLater();
    const { until, end } = await follow(inbox, "?outcome=failed");
    await job(inbox, { action: "apply", ids: ["applied", "breaks", "unhandled"] });
    await until("breaks");
    const sent = (await until("unhandled")).map((one) => one.join(" ")).sort();
    expect(sent).toEqual(["changed applied processed", "changed unhandled processed", "event breaks failed"]);
    await end();
  });

  test("sends an event that the clock dates before the stream began", async () => {
    let now = START;
    await using inbox = await testInbox({ config: CONFIG, files: FILES, clock: () => now });
    const { until, end } = await follow(inbox, "?source=shop");
    // The clock is set back, as after a correction, and the event is "older" than the stream.
    now = START - 60_000;
    await inbox.deliver({ id: "evt_1", type: "invoice.paid", cents: 1 }, { source: "shop" });
    expect(await until("evt_1")).toEqual([["event", "evt_1", "processed"]]);
    await end();
  });

  test("says that it left some out, and sends the newest", async () => {
    await using inbox = await testInbox({ config: CONFIG, files: FILES });
    const { until, end } = await follow(inbox, "");
    const events = Array.from({ length: 1000 }, (_, n) => [`old_${n}`, "invoice.paid", START]);
    await job(inbox, { action: "import", source: "shop", events });
    const sent = await until("old_999");
    expect(sent.length).toBeLessThan(1000);
    await until("event: more");
    await end();
  });
});
