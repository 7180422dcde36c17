import { expect, setDefaultTimeout, test } from "bun:test";
import { testInFullRun } from "../crash/requirements.ts";
import { receiveMessages, until, type MessageReceiver } from "../outbox/support/received.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { EMAIL, event, filesWith, job, nothingIsLeft, rowsWith } from "./support/redacted.ts";

// Each waits for conditions, on a machine that may be busy.
setDefaultTimeout(120_000);

async function sending(receivers: Record<string, MessageReceiver>, more = ""): Promise<TestInbox> {
  const destinations = Object.entries(receivers).map(
    ([name, { url }]) => `[destinations.${name}]\nurl = "${url}/hook"\nsign = "none"\n`,
  );
  return testInbox({
    config: `
[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
redact = ["body:$.customer.email"]
forward = ${JSON.stringify(Object.keys(receivers))}
${more}
${destinations.join("")}`,
    sendsOn: true,
  });
}

const sent = async (inbox: TestInbox, state = "delivered", count = 1): Promise<void> =>
  until(
    `${count} messages are ${state}`,
    () => inbox.value("select count(*) from hookonce_messages where state = ?", state) === count,
  );

const states = (inbox: TestInbox): unknown[] =>
  inbox.rows("select state from hookonce_messages order by id").map(({ state }: { state: string }) => state);

test("an event is sent on whole, and its values are replaced once it has arrived", async () => {
  await using app = receiveMessages();
  await using inbox = await sending({ app });
  await inbox.deliver(event("evt_1"));
  await sent(inbox);
  expect(app.received[0]?.body).toContain(EMAIL);
  await nothingIsLeft(inbox);
});

testInFullRun("an event is whole until the last of its messages has arrived", async () => {
  let isOpen = false;
  await using first = receiveMessages();
  await using second = receiveMessages(() => new Response("", { status: isOpen ? 200 : 500 }));
  await using inbox = await sending({ first, second });
  await inbox.deliver(event("evt_1"));
  await sent(inbox);
  await until("it was tried", () => second.received.length > 0);
  expect(rowsWith(inbox)).toBe(1);
  isOpen = true;
  await sent(inbox, "delivered", 2);
  expect(second.received.every(({ body }) => body.includes(EMAIL))).toBe(true);
  await nothingIsLeft(inbox);
});

test("each event of a batch is sent on whole, and the batch is replaced by its parts after the last one", async () => {
  await using app = receiveMessages();
  await using inbox = await sending({ app }, 'batch = "body:$[*]"');
  const ids = Array.from({ length: 20 }, (_, n) => `evt_${n}`);
  await inbox.deliver(ids.map((id) => event(id)));
  await sent(inbox, "delivered", 20);
  expect(app.received.every(({ body }) => body.includes(EMAIL))).toBe(true);
  expect(inbox.value("select count(*) from hookonce_bodies where redacted = 1")).toBe(20);
  const shown: any = await (await inbox.api("/api/event?source=default&event_id=evt_7")).json(); // oxlint-disable-line typescript/no-explicit-any -- tests read single values of an answer
  expect(shown.payload).toEqual({ event_id: "evt_7", type: "paid", customer: { email: "[redacted]" } });
  await nothingIsLeft(inbox);
});

test("a dead message keeps its event whole, so that it can be sent again", async () => {
  let status = 410;
  await using app = receiveMessages(() => new Response("", { status }));
  await using inbox = await sending({ app });
  await inbox.deliver(event("evt_1"));
  await sent(inbox, "dead");
  expect(rowsWith(inbox)).toBe(1);
  status = 200;
  await inbox.outbox.resume("app", "test");
  const { id } = inbox.rows("select message_id as id from hookonce_messages")[0];
  await job(inbox, { action: "resend", ids: [id] });
  await sent(inbox);
  expect(app.received.at(-1)?.body).toContain(EMAIL);
  await nothingIsLeft(inbox);
});

test("the values are replaced when the last unsent message is discarded", async () => {
  await using app = receiveMessages(() => new Response("", { status: 410 }));
  await using inbox = await sending({ app });
  await inbox.deliver(event("evt_1"));
  await sent(inbox, "dead");
  await job(inbox, { action: "discard", filter: { destination: "app" }, reason: "test" });
  expect(states(inbox)).toEqual(["discarded"]);
  await nothingIsLeft(inbox);
});

test("neither the message nor the event is sent again after that, and the answer says why", async () => {
  await using app = receiveMessages();
  await using inbox = await sending({ app });
  await inbox.deliver(event("evt_1"));
  await inbox.deliver({ event_id: "evt_2", type: "paid" });
  await sent(inbox, "delivered", 2);
  const all = inbox
    .rows("select message_id from hookonce_messages order by id")
    .map((row: { message_id: string }) => row.message_id);
  const again = await job(inbox, { action: "resend", ids: all });
  expect(again.failures).toMatchObject([{ code: "event_redacted", event_id: "evt_1" }]);
  const elsewhere = await job(inbox, { action: "resend", to: "app" });
  expect(elsewhere.failures).toMatchObject([{ code: "event_redacted", event_id: "evt_1" }]);
  await sent(inbox, "delivered", 3);
  expect(app.received.map(({ eventId }) => eventId).toSorted()).toEqual(["evt_1", "evt_2", "evt_2", "evt_2"]);
});

test("what a handler enqueues is not replaced", async () => {
  await using app = receiveMessages();
  await using inbox = await sending({ app });
  inbox.write({
    "handlers/default/paid.sql": `insert into hookonce_outbox (destination, body) values ('app', :payload);`,
  });
  await inbox.restart();
  await inbox.deliver(event("evt_1"));
  await sent(inbox, "delivered", 2);
  expect(inbox.value("select redacted from hookonce_bodies")).toBe(1);
  expect(filesWith(inbox)).not.toEqual([]);
  expect(inbox.value("select count(*) from hookonce_messages where instr(body, ?) > 0", EMAIL)).toBe(1);
});

test("a forgotten event was the last of its batch that was unsent: the others lose their values", async () => {
  await using app = receiveMessages(
    ({ eventId }) => new Response("", { status: eventId === "evt_1" ? 410 : 200 }),
  );
  await using inbox = await sending({ app }, 'batch = "body:$[*]"');
  await inbox.deliver([event("evt_0"), event("evt_1")]);
  await sent(inbox, "dead");
  await inbox.outbox.resume("app", "test");
  await sent(inbox);
  expect(rowsWith(inbox)).toBe(1);
  await job(inbox, { action: "forget", ids: ["evt_1"], reason: "test" });
  expect(inbox.rows("select cast(bytes as text) as body from hookonce_bodies")).toEqual([
    { body: '{"event_id":"evt_0","type":"paid","customer":{"email":"[redacted]"}}' },
  ]);
  await nothingIsLeft(inbox);
});

test("a forgotten message was the last one that was unsent: its event loses its values", async () => {
  await using app = receiveMessages(
    ({ body }) => new Response("", { status: body === "a note" ? 410 : 200 }),
  );
  await using inbox = await sending({ app });
  inbox.write({
    "handlers/default/paid.sql": "insert into hookonce_outbox (destination, body) values ('app', 'a note');",
  });
  await inbox.restart();
  await inbox.deliver(event("evt_1"));
  await sent(inbox, "dead");
  await inbox.outbox.resume("app", "test");
  await sent(inbox);
  expect(rowsWith(inbox)).toBe(1);
  await job(inbox, { action: "forget", match: "a note", reason: "test" });
  expect(inbox.value("select redacted from hookonce_bodies")).toBe(1);
  await nothingIsLeft(inbox);
});
