import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";

/** A handler that records the file it is in. */
const sqlHandler = (file: string): string => `insert into ran values (:event_id, '${file}');`;
const tsHandler = (file: string): string =>
  `import { handler } from "hookonce";
import { sql } from "drizzle-orm";
export default handler(({ event, db }) => { db.run(sql\`insert into ran values (\${event.id}, '${file}')\`); });`;

const FILES = [
  "github/issues.opened.sql",
  "github/issues.ts",
  "github/pull_request.review.requested.sql",
  "github/_any.sql",
  "shopify/orders/create.sql",
  "shopify/orders/v1.2/paid.ts",
  "shopify/orders.sql",
  "gitlab/Push_Hook.sql",
  "gitlab/_.sql",
  "gitlab/_weather.sql",
  "bare/only.sql",
  "bare/lib/thing.sql",
];

let inbox: TestInbox;
beforeAll(async () => {
  inbox = await testInbox({
    config: ["github", "shopify", "gitlab", "bare", "empty"]
      .map(
        (name) => `[sources.${name}]\nprovider = "unsigned"\ntype = "body:$.type"\nevent_id = "body:$.id"\n`,
      )
      .join("\n"),
    files: {
      "migrations/0001.sql": "create table ran (event_id text, file text) strict;",
      ...Object.fromEntries(
        FILES.map((file) => [`handlers/${file}`, file.endsWith(".ts") ? tsHandler(file) : sqlHandler(file)]),
      ),
    },
  });
});
afterAll(() => inbox[Symbol.asyncDispose]());

let ids = 0;

/** Delivers an event of this type and returns the file that ran, or null if the event is unhandled. */
async function ranFor(source: string, type: string | undefined): Promise<string | null> {
  const id = `evt_${++ids}`;
  const { status, body } = await inbox.deliver({ id, type }, { source });
  expect(status).toBe(200);
  const ran = inbox.rows("select file from ran where event_id = ?", id).map(({ file }) => file as string);
  const [stored] = inbox.rows(
    "select outcome, handler, rows_changed from hookonce_events left join hookonce_results on event = id where event_id = ?",
    id,
  );
  if (ran.length === 0) {
    expect(body.status).toBe("unhandled");
    expect(stored).toEqual({ outcome: "unhandled", handler: null, rows_changed: 0 });
    return null;
  }
  expect(ran).toHaveLength(1);
  expect(body.status).toBe("processed");
  expect(stored).toEqual({ outcome: "processed", handler: `handlers/${ran[0]}`, rows_changed: 1 });
  return ran[0] as string;
}

describe("an event runs the most specific handler", () => {
  test.each([
    ["github", "issues.opened", "github/issues.opened.sql"],
    ["github", "issues.closed", "github/issues.ts"],
    ["github", "issues", "github/issues.ts"],
    ["github", "issues.opened.twice", "github/issues.opened.sql"],
    ["github", "issues.closed.twice.over", "github/issues.ts"],
    ["github", "issues.", "github/issues.ts"],
    ["github", "issues..opened", "github/issues.ts"],
    ["github", "pull_request.review.requested", "github/pull_request.review.requested.sql"],
    ["github", "pull_request.review", "github/_any.sql"],
    ["github", "issue", "github/_any.sql"],
    ["github", "issuesopened", "github/_any.sql"],
    ["github", "ISSUES.OPENED", "github/_any.sql"],
    ["github", ".issues", "github/_any.sql"],
    ["github", "push", "github/_any.sql"],
    ["github", "_any", "github/_any.sql"],
    ["github", "", "github/_any.sql"],
    ["github", undefined, "github/_any.sql"],
    // A slash is a folder.
    ["shopify", "orders/create", "shopify/orders/create.sql"],
    ["shopify", "orders/create.v2", "shopify/orders/create.sql"],
    ["shopify", "orders/v1.2/paid", "shopify/orders/v1.2/paid.ts"],
    ["shopify", "orders/v1.2/paid.late", "shopify/orders/v1.2/paid.ts"],
    ["shopify", "orders", "shopify/orders.sql"],
    ["shopify", "orders.any", "shopify/orders.sql"],
    ["shopify", "orders/cancel", null],
    ["shopify", "orders/v1.2/other", null],
    ["shopify", "orders//create", null],
    ["shopify", "/orders/create", null],
    ["shopify", "orders/create/", null],
    ["shopify", "orders/", null],
    // Any other character is written as _.
    ["gitlab", "Push Hook", "gitlab/Push_Hook.sql"],
    ["gitlab", "Push_Hook", "gitlab/Push_Hook.sql"],
    ["gitlab", "Push%Hook", "gitlab/Push_Hook.sql"],
    ["gitlab", "PushéHook", "gitlab/Push_Hook.sql"],
    ["gitlab", "Push  Hook", null],
    ["gitlab", "push hook", null],
    ["gitlab", "☕", "gitlab/_.sql"],
    ["gitlab", "🐙", "gitlab/_.sql"],
    ["gitlab", "☕☕", null],
    ["gitlab", "é", "gitlab/_.sql"],
    // So is a slash at the start, as in a Slack command.
    ["gitlab", "/weather", "gitlab/_weather.sql"],
    ["gitlab", "//weather", null],
    // A source without _any.
    ["bare", "only", "bare/only.sql"],
    ["bare", "other", null],
    ["bare", "lib/thing", "bare/lib/thing.sql"],
    ["bare", "issues.opened", null],
    ["empty", "anything", null],
  ])("%s: %p → %p", async (source, type, file) => {
    expect(await ranFor(source, type)).toBe(file);
  });
});

describe("a type never becomes a path", () => {
  test.each([
    "../../etc/passwd",
    "../../../../../../../../etc/passwd",
    "..",
    ".",
    "../shopify/orders",
    "../bare/only",
    "../../hookonce.toml",
    "../../migrations/0001",
    "only/../only",
    "./only",
    "..\\..\\only",
    "%2e%2e%2fonly",
    "only.sql",
    "only.sql/../only",
    "/only",
    "//only",
    "only\u2215x",
    "C:/only",
    "file:///etc/passwd",
    "__proto__",
    "constructor",
    "toString",
    "'; drop table ran; --",
  ])("%s", async (type) => {
    const file = await ranFor("bare", type);
    // The type `only.sql` falls back to `only`. No other type has a handler.
    expect(file).toBe(type === "only.sql" ? "bare/only.sql" : null);
  });

  test("the handlers folder is not read again after the start", async () => {
    // A file added after the start becomes a handler at the next start.
    inbox.write({ "handlers/bare/late.sql": sqlHandler("bare/late.sql") });
    expect(await ranFor("bare", "late")).toBeNull();
    // A handler whose file changes keeps running as it was loaded.
    inbox.write({ "handlers/bare/only.sql": "this is no SQL" });
    expect(await ranFor("bare", "only")).toBe("bare/only.sql");
  });

  test("after a thousand made-up types the right handlers are still found", async () => {
    await Promise.all(
      Array.from({ length: 1100 }, (_, n) =>
        inbox.deliver({ id: `made_up_${n}`, type: `made.up.${n}` }, { source: "github" }),
      ),
    );
    expect(
      inbox.value("select count(*) from ran where file = 'github/_any.sql' and event_id like 'made_up_%'"),
    ).toBe(1100);
    expect(await ranFor("github", "issues.opened")).toBe("github/issues.opened.sql");
    expect(await ranFor("gitlab", "Push Hook")).toBe("gitlab/Push_Hook.sql");
  });
});

test("SQL and TypeScript handlers receive the same event", async () => {
  const NOW = 1_790_000_000_000;
  let now = NOW;
  await using own = await testInbox({
    clock: () => now,
    config: '[sources.it]\nprovider = "unsigned"\ntype = "body:$.type"\nevent_id = "body:$.id"\n',
    files: {
      "migrations/0001.sql":
        "create table seen (language text, id any, type any, source any, received_at any, payload any, headers any, extra any) strict;",
      "handlers/it/sql.sql":
        "insert into seen values ('sql', :event_id, :type, :source, :received_at, :payload ->> '$.data.n', :headers ->> '$.x-one', typeof(:received_at) || (:headers ->> '$.authorization'));",
      "handlers/it/ts.ts": `import { handler } from "hookonce";
import { sql } from "drizzle-orm";
export default handler(({ event, db }) => {
  event.body[0] = 0; // a copy: the stored bytes stay as received
  db.run(sql\`insert into seen values ('ts', \${event.id}, \${event.type}, \${event.source}, \${event.receivedAt}, \${event.payload.data.n}, \${event.headers["x-one"]}, \${event.body instanceof Uint8Array ? event.headers["authorization"] : null})\`);
});`,
    },
  });
  const headers = { "X-One": "1", Authorization: "Bearer secret" };
  for (const type of ["sql", "ts"]) {
    await own.deliver({ id: `evt_${type}`, type, data: { n: 7 } }, { source: "it", headers });
    now += 1000;
  }
  expect(own.rows("select * from seen")).toEqual([
    {
      language: "sql",
      id: "evt_sql",
      type: "sql",
      source: "it",
      received_at: NOW,
      payload: 7,
      headers: "1",
      extra: "integer[redacted]",
    },
    {
      language: "ts",
      id: "evt_ts",
      type: "ts",
      source: "it",
      received_at: NOW + 1000,
      payload: 7,
      headers: "1",
      extra: "[redacted]",
    },
  ]);
  expect(
    own
      .rows("select cast(bytes as text) as body from hookonce_bodies order by id")
      .map(({ body }) => body as string),
  ).toEqual(['{"id":"evt_sql","type":"sql","data":{"n":7}}', '{"id":"evt_ts","type":"ts","data":{"n":7}}']);
});

test("links to handlers are followed, and a dangling link is a warning", async () => {
  await using own = await testInbox({
    files: { "migrations/0001.sql": "create table ran (event_id text, file text) strict;" },
  });
  const handlers = join(own.folder, "handlers/default");
  mkdirSync(handlers, { recursive: true });
  writeFileSync(join(own.folder, "elsewhere.sql"), sqlHandler("elsewhere"));
  symlinkSync(join(own.folder, "elsewhere.sql"), join(handlers, "linked.sql"));
  symlinkSync(join(own.folder, "nowhere.sql"), join(handlers, "dangling.sql"));
  await own.restart();
  expect((await own.deliver({ event_id: "evt_1", type: "linked" })).body.status).toBe("processed");
  expect((await own.deliver({ event_id: "evt_2", type: "dangling" })).body.status).toBe("unhandled");
  expect(own.rows("select file from ran")).toEqual([{ file: "elsewhere" }]);
  expect(own.log).toContainEqual(
    expect.objectContaining({
      level: 40,
      file: "handlers/default/dangling.sql",
      msg: "never runs: this link leads to nothing. Correct or remove it",
    }),
  );
});
