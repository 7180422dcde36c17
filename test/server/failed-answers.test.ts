import { expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { answerBatch, answerReceived } from "../../src/http/answers.ts";
import { providers } from "../../src/providers/presets.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";

/** The handler fails until there is a price. */
const FILES = {
  "migrations/0001_effects.sql": `create table prices (cents integer not null);
create table effects (event_id text not null, cents integer not null);`,
  "handlers/default/paid.sql": "insert into effects values (:event_id, (select cents from prices));",
};

const config = (...lines: string[]): string => `
[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"
${lines.join("\n")}
`;

const event = (id: string, type = "paid") => ({ event_id: id, type });
const accepted = (id: string) => ({ status: "failed", event_id: id, message: "Webhook received" });
const setPrice = (inbox: TestInbox): void => void inbox.rows("insert into prices values (500)");

async function statuses(inbox: TestInbox, payload: unknown, count: number): Promise<number[]> {
  const answers: number[] = [];
  for (let n = 0; n < count; n++) answers.push((await inbox.deliver(payload)).status);
  return answers;
}

async function until(done: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!done()) {
    if (performance.now() > deadline) throw new Error("it did not happen within 20 s");
    await Bun.sleep(5);
  }
}

test("after max_failed_answers an event is answered 200, also after a restart, and hookonce applies it once", async () => {
  let now = Date.UTC(2026, 0, 1);
  await using inbox = await testInbox({
    config: config("max_failed_answers = 2"),
    files: FILES,
    clock: () => now,
    upkeep: { minuteMs: 60_000 },
  });
  expect(await statuses(inbox, event("a"), 2)).toEqual([500, 500]);
  await inbox.restart();
  const { status, body } = await inbox.deliver(event("a"));
  expect([status, body]).toEqual([200, accepted("a")]);
  expect(inbox.log.at(-1)).toMatchObject({
    event: "a",
    outcome: "failed",
    answered: 200,
    next: expect.stringContaining("hookonce itself"),
  });
  expect(await statuses(inbox, event("b"), 1)).toEqual([500]);
  const detail = (await (await inbox.api("/api/event?event_id=a")).json()) as {
    failure: { accepted_at: number; next_at: number };
  };
  expect(detail.failure.accepted_at).toBe(now);
  expect(detail.failure.next_at).toBeGreaterThan(now);

  setPrice(inbox);
  now += 3_600_000;
  await until(() => inbox.value("select count(*) from effects") === 1);
  expect((await inbox.deliver(event("a"))).body.status).toBe("duplicate");
  // Nobody has accepted the other one, so its provider delivers it again.
  expect(inbox.rows("select event_id, cents from effects")).toEqual([{ event_id: "a", cents: 500 }]);
  expect(inbox.value("select next_at from hookonce_failures where event_id = 'b'")).toBeNull();
});

test("an accepted failure is run again although retry_for is over, until it succeeds", async () => {
  let now = Date.UTC(2026, 0, 1);
  await using inbox = await testInbox({
    config: config("max_failed_answers = 1", 'retry_for = "1m"'),
    files: FILES,
    clock: () => now,
    upkeep: { minuteMs: 60_000 },
  });
  expect(await statuses(inbox, event("a"), 2)).toEqual([500, 200]);
  const retries = (): number => inbox.value("select retries from hookonce_failures");
  for (let run = 1; run <= 4; run++) {
    now += 24 * 3_600_000;
    await until(() => retries() >= run);
    expect(inbox.value("select next_at from hookonce_failures")).toBeGreaterThan(now);
  }
  setPrice(inbox);
  now += 24 * 3_600_000;
  await until(() => inbox.value("select count(*) from effects") === 1);
});

test("of deliveries of one event at once, exactly max_failed_answers are answered 500", async () => {
  await using inbox = await testInbox({ config: config("max_failed_answers = 3"), files: FILES });
  const answers = await Promise.all(Array.from({ length: 20 }, () => inbox.deliver(event("a"))));
  expect(answers.filter(({ status }) => status === 500)).toHaveLength(3);
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(17);
  expect(inbox.rows("select failed_answers, deliveries from hookonce_failures")).toEqual([
    { failed_answers: 3, deliveries: 20 },
  ]);
});

test("a batch is answered 500 until each event that fails in it is accepted", async () => {
  await using inbox = await testInbox({
    config: config("max_failed_answers = 1", 'batch = "body:$[*]"'),
    files: FILES,
  });
  const failed = (...events: object[]) => inbox.deliver(events);
  expect((await failed(event("a"), event("other", "unknown"))).status).toBe(500);
  const mixed = await failed(event("a"), event("b"));
  expect([mixed.status, mixed.body.events]).toEqual([
    500,
    [accepted("a"), { status: "failed", event_id: "b", message: "Internal Server Error" }],
  ]);
  const both = await failed(event("a"), event("b"), event("other", "unknown"));
  expect([both.status, both.body.events[0], both.body.events[1]]).toEqual([
    200,
    accepted("a"),
    accepted("b"),
  ]);
  expect((await failed(event("a"), { type: "paid" })).status).toBe(400);
});

test('an event that unhandled = "fail" fails is accepted, and applied once it has a handler', async () => {
  let now = Date.UTC(2026, 0, 1);
  await using inbox = await testInbox({
    config: config("max_failed_answers = 1", 'unhandled = "fail"'),
    files: FILES,
    clock: () => now,
    upkeep: { minuteMs: 60_000 },
  });
  setPrice(inbox);
  expect(await statuses(inbox, event("a", "sold"), 3)).toEqual([500, 200, 200]);
  await inbox.restart({ files: { "handlers/default/sold.sql": FILES["handlers/default/paid.sql"] } });
  now += 3_600_000;
  await until(() => inbox.value("select count(*) from effects") === 1);
});

test("a quarantined event is counted and accepted, and runs again once its handler has changed", async () => {
  let now = Date.UTC(2026, 0, 1);
  await using inbox = await testInbox({
    config: config("max_failed_answers = 2"),
    files: FILES,
    clock: () => now,
    upkeep: { minuteMs: 60_000 },
  });
  expect(await statuses(inbox, event("a"), 1)).toEqual([500]);
  // As if the handler had hung: how that comes about is tested in test/watchdog.
  inbox.rows("update hookonce_failures set code = 'handler_timeout' returning id");
  setPrice(inbox);
  expect(await statuses(inbox, event("a"), 3)).toEqual([500, 200, 200]);
  const retries = (): number => inbox.value("select retries from hookonce_failures");
  now += 3_600_000;
  await until(() => retries() > 0);
  expect(inbox.value("select count(*) from effects")).toBe(0);
  const changed = `${FILES["handlers/default/paid.sql"]}\n-- corrected\n`;
  await inbox.restart({ files: { "handlers/default/paid.sql": changed } });
  now += 3_600_000;
  await until(() => inbox.value("select count(*) from effects") === 1);
});

test("an accepted failure is answered as every preset wants it", async () => {
  const own = [...providers.values()].filter(({ answer }) => answer !== undefined);
  expect(own.length).toBeGreaterThan(3);
  const failed = {
    eventId: "a",
    type: "",
    outcome: "failed",
    handler: null,
    rowsChanged: 0,
    durationUs: 0,
    changedBody: false,
    error: new Error("refused"),
    reply: null,
  } as const;
  for (const provider of own) {
    const { status, body = "" } = provider.answer ?? { status: 0 };
    const events = [{ ...failed, isAccepted: true }];
    for (const answer of [
      answerReceived({ ...failed, isAccepted: true }, { provider, heldReply: undefined }),
      answerBatch({ events }, provider),
    ])
      expect([provider.name, answer.status, await answer.text()]).toEqual([provider.name, status, body]);
    expect(answerReceived(failed, { provider, heldReply: undefined }).status).toBe(500);
  }
});

test("the signed delivery of a provider with its own answer gets it after max_failed_answers", async () => {
  await using inbox = await testInbox({
    config: `
[sources.calls]
provider           = "twilio"
secret             = "env:TWILIO"
public_url         = "https://hooks.test/webhook/calls"
max_failed_answers = 1
unhandled          = "fail"
`,
    environment: { TWILIO: "12345678901234567890123456789012" },
  });
  const body = new URLSearchParams({ MessageSid: "SM1", MessageStatus: "sent" }).toString();
  const deliver = () =>
    inbox.request("/webhook/calls", {
      method: "POST",
      headers: {
        "content-type": "application/x-www-form-urlencoded",
        "x-twilio-signature": createHmac("sha1", "12345678901234567890123456789012")
          .update("https://hooks.test/webhook/callsMessageSidSM1MessageStatussent")
          .digest("base64"),
      },
      body,
    });
  expect((await deliver()).status).toBe(500);
  const answer = await deliver();
  expect([answer.status, await answer.text()]).toEqual([200, "<Response/>"]);
});
