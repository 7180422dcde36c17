import { expect, test } from "bun:test";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";

function replyInbox(reply: string, files: Record<string, string> = {}): Promise<TestInbox> {
  return testInbox({
    files: {
      "migrations/0001.sql": "create table effects (event_id text) strict;",
      "handlers/default/_any.ts": `import { handler, reply } from "hookonce"; import { sql } from "drizzle-orm";
export default handler(({ event, db }) => {
  db.run(sql\`insert into effects values (\${event.id})\`);
  return ${reply};
});`,
      ...files,
    },
  });
}

async function send(inbox: TestInbox, id = "1"): Promise<[number, string | null, string]> {
  const response = await inbox.request("/webhook", {
    method: "POST",
    body: JSON.stringify({ event_id: id }),
  });
  return [response.status, response.headers.get("content-type"), await response.text()];
}

test("the reply is the answer, and duplicates get the same one, also after a restart", async () => {
  await using inbox = await replyInbox(
    'reply({ status: 202, headers: { "X-Once": "yes" }, body: { at: Math.random() } })',
  );
  const first = await send(inbox);
  expect(first.slice(0, 2)).toEqual([202, "application/json"]);
  expect(await send(inbox)).toEqual(first);
  await inbox.restart();
  expect(await send(inbox)).toEqual(first);
  expect(inbox.value("select count(*) from effects")).toBe(1);
  const response = await inbox.request("/webhook", { method: "POST", body: '{"event_id":"1"}' });
  expect(response.headers.get("x-once")).toBe("yes");
});

test.each([
  ["reply()", [200, null, ""]],
  ["reply({ status: 204 })", [204, null, ""]],
  ['reply({ body: "hello" })', [200, "text/plain; charset=utf-8", "hello"]],
  [
    'reply({ body: "<Response/>", headers: { "content-type": "text/xml" } })',
    [200, "text/xml", "<Response/>"],
  ],
  ["reply({ body: [1] })", [200, "application/json", "[1]"]],
  ['reply({ status: 422, body: "no" })', [422, "text/plain; charset=utf-8", "no"]],
] as const)("%s", async (reply, answer) => {
  await using inbox = await replyInbox(reply);
  expect(await send(inbox)).toEqual([...answer]);
  expect(await send(inbox)).toEqual([...answer]);
});

test.each([
  "reply({ status: 199 })",
  "reply({ status: 600 })",
  "reply({ status: 200.5 })",
  'reply({ status: 204, body: "x" })',
  "reply({ body: () => 1 })",
  "reply({ body: new Uint8Array([104, 105]) })",
  "reply({ body: new ArrayBuffer(2) })",
  'reply({ body: "x".repeat(65537) })',
  'reply({ body: "ä".repeat(40_000) })',
  'reply({ headers: { a: "x".repeat(65_536) } })',
  'reply({ headers: { "a b": "c" } })',
  'reply({ headers: { a: "c\\nd: e" } })',
])("%s fails the event and undoes its writes", async (reply) => {
  await using inbox = await replyInbox(reply);
  expect((await send(inbox))[0]).toBe(500);
  expect(inbox.value("select code from hookonce_failures")).toBe("invalid_reply");
  expect(inbox.value("select count(*) from effects")).toBe(0);
});

test("a value that looks like a reply but was not made by reply() fails the event", async () => {
  await using inbox = await replyInbox('({ status: 404, body: "mine" })');
  expect((await send(inbox))[0]).toBe(500);
  expect(inbox.value("select code from hookonce_failures")).toBe("invalid_return");
});

test("an owed event is answered with the reply of its new handler", async () => {
  await using inbox = await testInbox({
    files: { "migrations/0001.sql": "create table effects (event_id text) strict;" },
  });
  expect((await send(inbox))[2]).toContain("unhandled");
  await inbox.restart({
    files: {
      "handlers/default/_any.ts": `import { handler, reply } from "hookonce"; export default handler(() => reply({ status: 201 }));`,
    },
  });
  expect((await send(inbox))[0]).toBe(201);
  expect((await send(inbox))[0]).toBe(201);
});
