import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { TABLES, ts } from "./sources.ts";

const IMPORT = 'import { handler, reply } from "hookonce";\nimport { sql } from "drizzle-orm";\n';
const WRITE = "db.run(sql`insert into effects values (${event.id}, 'x')`);";

interface Returned {
  type: string;
  text: string;
  code: "handler_async" | "invalid_return";
  message: RegExp;
}

const refused: Returned[] = [
  {
    type: "generator",
    text: `${IMPORT}export default handler(function* ({ event, db }) { ${WRITE} });`,
    code: "invalid_return",
    message:
      /^The handler is a generator function, so its body would never run\. Write it without function\*/,
  },
  {
    type: "async_generator",
    text: `${IMPORT}export default handler(async function* ({ event, db }) { ${WRITE} });`,
    code: "invalid_return",
    message: /^The handler is a generator function/,
  },
  {
    type: "async",
    text: `${IMPORT}export default handler(async ({ event, db }) => { ${WRITE} });`,
    code: "handler_async",
    message: /^The handler is an async function\. Handlers are synchronous/,
  },
  {
    type: "returned_generator",
    text: ts("return (function* () { effect('x'); })();"),
    code: "invalid_return",
    message: /^The handler returned a generator or another iterator, and nothing runs it\./,
  },
  {
    type: "returned_async_generator",
    text: ts("return (async function* () { effect('x'); })();"),
    code: "invalid_return",
    message: /^The handler returned a generator or another iterator/,
  },
  {
    type: "iterator",
    text: ts("return [1, 2].values();"),
    code: "invalid_return",
    message: /^The handler returned a generator or another iterator/,
  },
  {
    type: "query",
    text: ts("return db.insert(effects).values({ eventId: event.id, note: 'x' });"),
    code: "handler_async",
    message: /^The handler returned a query that it did not run\. Add \.run\(\) to it\.$/,
  },
  {
    type: "expression",
    text: `${IMPORT}export default handler(({ event, db }) => db.run(sql\`insert into effects values (\${event.id}, 'x')\`));`,
    code: "invalid_return",
    message:
      /^The handler returned an object\. Return nothing, or reply\(\{ … \}\)\. .*put braces around it\.$/,
  },
  { type: "array", text: ts("return [];"), code: "invalid_return", message: /returned an array\./ },
  {
    type: "yes",
    text: ts("effect('x'); return true;"),
    code: "invalid_return",
    message: /returned a boolean\./,
  },
  {
    type: "zero",
    text: ts("effect('x'); return 0;"),
    code: "invalid_return",
    message: /returned a number\./,
  },
  { type: "text", text: ts("return '';"), code: "invalid_return", message: /returned a string\./ },
  {
    type: "function",
    text: ts("return () => {};"),
    code: "invalid_return",
    message: /returned a function\./,
  },
  {
    type: "reply_options",
    text: ts("return { status: 200, body: 'ok' };"),
    code: "invalid_return",
    message: /returned an object\. Return nothing, or reply/,
  },
];

let inbox: TestInbox;
beforeAll(async () => {
  inbox = await testInbox({
    files: {
      "migrations/0001.sql": TABLES,
      "handlers/default/nothing.ts": ts("effect('x'); return undefined;"),
      "handlers/default/null.ts": ts("effect('x'); return null;"),
      "handlers/default/reply.ts": `${IMPORT}export default handler(() => reply({ body: "mine" }));`,
      ...Object.fromEntries(refused.map(({ type, text }) => [`handlers/default/${type}.ts`, text])),
    },
  });
});
afterAll(() => inbox[Symbol.asyncDispose]());

describe("a handler returns nothing or a reply", () => {
  test.each(refused)("$type fails with $code, and nothing is written", async ({ type, code, message }) => {
    for (const attempts of [1, 2]) {
      const { status, body } = await inbox.deliver({ event_id: type, type });
      expect([status, body.status]).toEqual([500, "failed"]);
      expect(
        inbox.rows("select code, error, attempts from hookonce_failures where event_id = ?", type),
      ).toEqual([{ code, error: expect.stringMatching(message) as string, attempts }]);
    }
    await Bun.sleep(1);
    expect(inbox.rows("select 1 from effects where event_id = ?", type)).toEqual([]);
    expect(inbox.rows("select 1 from hookonce_events where event_id = ?", type)).toEqual([]);
  });

  test.each(["nothing", "null"])("%s is accepted", async (type) => {
    expect((await inbox.deliver({ event_id: type, type })).body.status).toBe("processed");
    expect(inbox.rows("select note from effects where event_id = ?", type)).toEqual([{ note: "x" }]);
  });

  test("a reply is accepted", async () => {
    const response = await inbox.request("/webhook", {
      method: "POST",
      body: JSON.stringify({ event_id: "reply", type: "reply" }),
    });
    expect(await response.text()).toBe("mine");
  });
});

test("a start warns of handlers that can never succeed, and of no others", () => {
  const warned = inbox.log.filter(({ msg }) => msg === "every event of this handler will fail");
  expect(warned.map(({ handler }) => handler)).toEqual([
    "handlers/default/async.ts",
    "handlers/default/async_generator.ts",
    "handlers/default/generator.ts",
  ]);
  expect(warned[0]).toMatchObject({
    level: 40,
    cause: expect.stringContaining("is an async function") as string,
  });
});
