import { expect, test } from "bun:test";
import twilio from "twilio";
import type { Part } from "../../src/providers/body/selector.ts";
import { providers } from "../../src/providers/presets.ts";
import type { Provider } from "../../src/providers/provider.ts";
import { createSource } from "../../src/providers/source.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";

const failing = {
  "migrations/0001.sql": `create table effects (event_id text, payload text) strict;
--> statement-breakpoint
create table broken (id text primary key) strict;`,
  // The handler fails for the ids in `broken`.
  "handlers/it/_any.ts": `import { handler } from "hookonce"; import { sql } from "drizzle-orm";
export default handler(({ event, db }) => {
  if (db.get(sql\`select 1 from broken where id = \${event.id}\`) !== undefined) throw new Error("broken");
  db.run(sql\`insert into effects values (\${event.id}, \${JSON.stringify(event.payload)})\`);
});`,
};

function batchInbox(extra = ""): Promise<TestInbox> {
  return testInbox({
    config: `[sources.it]\nprovider = "unsigned"\nevent_id = "body:$.id"\ntype = "body:$.type"\nbatch = "body:$.events[*]"\n${extra}`,
    files: failing,
  });
}

const deliver = (inbox: TestInbox, events: unknown) => inbox.deliver({ events }, { source: "it" });
const said = (body: { events: { status: string }[] }): string[] => body.events.map(({ status }) => status);
const effects = (inbox: TestInbox): unknown[] =>
  inbox.rows("select event_id from effects order by event_id").map((row) => row.event_id);

test("one request with many events: each event has its id and its effect, and the body is stored once", async () => {
  await using inbox = await batchInbox();
  const events = Array.from({ length: 600 }, (_, index) => ({ id: `evt_${index}`, type: "thing", index }));
  const first = await deliver(inbox, events);
  expect({ status: first.status, kind: first.body.status }).toEqual({ status: 200, kind: "batch" });
  expect(first.body.events[7]).toEqual({
    status: "processed",
    event_id: "evt_7",
    message: "Webhook received and processed",
  });
  expect(inbox.value("select count(*) from effects")).toBe(600);
  // The events took more than one transaction.
  expect(inbox.value("select count(*) from hookonce_bodies")).toBe(1);
  expect(inbox.value("select count(distinct body) from hookonce_results")).toBe(1);
  expect(inbox.value("select payload from effects where event_id = 'evt_7'")).toBe(JSON.stringify(events[7]));

  const again = await deliver(inbox, events);
  expect(new Set(said(again.body))).toEqual(new Set(["duplicate"]));
  expect(inbox.value("select count(*) from effects")).toBe(600);
});

test("one event fails and the others are applied, and the retry runs only the failed one", async () => {
  await using inbox = await batchInbox();
  inbox.rows("insert into broken values ('b') returning id");
  const events = ["a", "b", "c"].map((id) => ({ id, type: "thing" }));
  const first = await deliver(inbox, events);
  expect(first.status).toBe(500);
  expect(said(first.body)).toEqual(["processed", "failed", "processed"]);
  expect(effects(inbox)).toEqual(["a", "c"]);
  // A failure stores its own part of the batch, not all of it.
  expect(Buffer.from(inbox.value("select first_body from hookonce_failures")).toString()).toBe(
    '{"id":"b","type":"thing"}',
  );
  inbox.rows("delete from broken returning id");
  const retry = await deliver(inbox, events);
  expect(retry.status).toBe(200);
  expect(said(retry.body)).toEqual(["duplicate", "processed", "duplicate"]);
  expect(effects(inbox)).toEqual(["a", "b", "c"]);
});

test("if the first event fails, the body is stored with the next one", async () => {
  await using inbox = await batchInbox();
  inbox.rows("insert into broken values ('a') returning id");
  await deliver(inbox, [
    { id: "a", type: "t" },
    { id: "b", type: "t" },
    { id: "c", type: "t" },
  ]);
  expect(inbox.value("select count(*) from hookonce_bodies")).toBe(1);
  expect(inbox.value("select count(*) from hookonce_results r join hookonce_bodies b on b.id = r.body")).toBe(
    2,
  );
});

test("answers 400 for an event without a valid id, and commits the others", async () => {
  await using inbox = await batchInbox();
  const answer = await deliver(inbox, [
    { id: "a", type: "t" },
    { type: "t" },
    { id: "", type: "t" },
    7,
    { id: "b", type: "t" },
  ]);
  expect(answer.status).toBe(400);
  expect(said(answer.body)).toEqual(["processed", "rejected", "rejected", "rejected", "processed"]);
  expect(answer.body.events[1].error.code).toBe("missing_event_id");
  expect(effects(inbox)).toEqual(["a", "b"]);
});

test("applies an event that is twice in a batch once, and accepts an empty batch", async () => {
  await using inbox = await batchInbox();
  const twice = await deliver(inbox, [{ id: "a" }, { id: "a" }]);
  expect(said(twice.body)).toEqual(["processed", "duplicate"]);
  const none = await deliver(inbox, []);
  expect(none).toEqual({ status: 200, body: { status: "batch", events: [] } });
});

test("says that a body is not a batch", async () => {
  await using inbox = await batchInbox();
  for (const payload of [{}, { events: {} }, [], "text", { events: null }]) {
    const { status, body } = await inbox.deliver(JSON.stringify(payload), { source: "it" });
    expect({ status, code: body.error.code }).toEqual({ status: 400, code: "not_a_batch" });
  }
  expect((await inbox.deliver("{", { source: "it" })).body.error.code).toBe("invalid_json");
});

test("the numbers in an element keep their digits", async () => {
  await using inbox = await testInbox({
    config: `[sources.it]\nprovider = "unsigned"\nevent_id = "body:$.id"\ntype = "body:$.type"\nbatch = "body:$[*]"`,
    files: {
      "migrations/0001.sql": "create table effects (event_id text, payload text) strict;",
      "handlers/it/_any.sql": "insert into effects values (:event_id, :payload);",
    },
  });
  await inbox.deliver('[{"id":9007199254740993,"n":1},{"id":9007199254740992,"n":1e400}]', { source: "it" });
  expect(inbox.rows("select event_id, payload from effects order by event_id")).toEqual([
    { event_id: "9007199254740992", payload: '{"id":9007199254740992,"n":1e400}' },
    { event_id: "9007199254740993", payload: '{"id":9007199254740993,"n":1}' },
  ]);
});

test("the hash of an element does not depend on the other elements", () => {
  const source = createSource(
    {
      name: "it",
      provider: providers.get("unsigned") as Provider,
      secrets: [],
      batch: ["body:$.events[*]"],
      eventId: "sha256:body",
      type: "body:$.type",
    },
    Date.now,
  );
  const idsOf = (...elements: string[]): (string | undefined)[] =>
    (source.split?.({ headers: {}, body: Buffer.from(`{"events":[${elements.join(",")}]}`) }) ?? []).map(
      (one) => ("id" in one ? one.id : one.code),
    );
  const elements = [
    "1.10",
    "1e2",
    "-0",
    "1e400",
    "0.1234567890123456789",
    "12345678901234567890",
    '"1234567890123456"',
  ].map((x) => `{"type":"t","x":${x}}`);
  const alone = elements.flatMap((one) => idsOf(one));
  expect(new Set(alone).size).toBe(elements.length);
  expect(idsOf(...elements)).toEqual(alone);
  expect(idsOf(...elements.toReversed())).toEqual(alone.toReversed());
  const neighbours = [1, 2].flatMap((n) =>
    idsOf(`{"type":"t","x":900719925474099${n}}`, `{"type":"t","x":9007199254740993}`),
  );
  expect(new Set(neighbours).size).toBe(3);
});

test("an owed event is applied from its own part of the stored batch", async () => {
  await using inbox = await testInbox({
    config: `[sources.it]\nprovider = "unsigned"\nevent_id = "body:$.id"\ntype = "body:$.type"\nbatch = "body:$.events[*]"`,
    files: { "migrations/0001.sql": failing["migrations/0001.sql"] },
  });
  expect(
    said(
      (
        await deliver(inbox, [
          { id: "a", n: 1 },
          { id: "b", n: 2 },
        ])
      ).body,
    ),
  ).toEqual(["unhandled", "unhandled"]);
  await inbox.restart({ files: failing });
  // The event arrives in another batch, and changed.
  expect(said((await deliver(inbox, [{ id: "b", n: 3 }])).body)).toEqual(["processed"]);
  expect(inbox.rows("select event_id, payload from effects")).toEqual([
    { event_id: "b", payload: '{"id":"b","n":2}' },
  ]);
  expect(inbox.value("select changed_bodies from hookonce_events where event_id = 'b'")).toBe(1);
  expect(Buffer.from(inbox.value("select body from hookonce_changed_bodies")).toString()).toBe(
    '{"id":"b","n":3}',
  );
  // The event arrives in another batch, unchanged.
  await deliver(inbox, [{ id: "a", n: 1 }]);
  expect(inbox.value("select changed_bodies from hookonce_events where event_id = 'a'")).toBe(0);
});

test("a batch stores its body once even if one of its events rolls back the transaction", async () => {
  await using inbox = await testInbox({
    config: `[sources.it]\nprovider = "unsigned"\nevent_id = "body:$.id"\ntype = "body:$.type"\nbatch = "body:$.events[*]"`,
    files: {
      "migrations/0001.sql": `create table effects (event_id text) strict;
--> statement-breakpoint
create trigger poison before insert on effects when new.event_id = 'b' begin select raise(rollback, 'poison'); end;`,
      "handlers/it/_any.sql": "insert into effects values (:event_id);",
    },
  });
  const { status, body } = await deliver(inbox, [{ id: "a" }, { id: "b" }, { id: "c" }]);
  expect(status).toBe(500);
  expect(said(body)).toEqual(["processed", "failed", "processed"]);
  expect(inbox.value("select count(*) from hookonce_bodies")).toBe(1);
  expect(inbox.value("select count(*) from hookonce_results r join hookonce_bodies b on b.id = r.body")).toBe(
    2,
  );
});

test("Twilio's Event Streams: a batch from the config, signed through a hash in the URL", async () => {
  const url = "https://hooks.example.test/webhook/it";
  await using inbox = await testInbox({
    config: `[sources.it]
provider = "twilio"
secret = "env:S"
public_url = "${url}"
batch = "body:$[*]"
event_id = "body:$.id"
type = "body:$.type"
`,
    environment: { S: "token" },
    files: failing,
  });
  const body = JSON.stringify(["EZ1", "EZ2"].map((id) => ({ specversion: "1.0", id, type: "com.twilio.x" })));
  const query = `?bodySHA256=${new Bun.CryptoHasher("sha256").update(body).digest("hex")}`;
  const signature = twilio.getExpectedTwilioSignature("token", url + query, {});
  expect(twilio.validateRequestWithBody("token", signature, url + query, body)).toBe(true);

  const headers = { "content-type": "application/json", "x-twilio-signature": signature };
  const post = async (sent: string) =>
    (await inbox.request(`/webhook/it${query}`, { method: "POST", headers, body: sent })).status;
  expect(await post(body)).toBe(200);
  expect(await post(body.replace("EZ2", "EZ3"))).toBe(401);
  expect(effects(inbox)).toEqual(["EZ1", "EZ2"]);
});

test("a JSON request of Twilio's that is sent again as a form is refused", async () => {
  const url = "https://hooks.example.test/webhook/it";
  await using inbox = await testInbox({
    config: `[sources.it]
provider = "twilio"
secret = "env:S"
public_url = "${url}"
event_id = "header:x-id"
type = "header:x-id"
`,
    environment: { S: "token" },
    files: failing,
  });
  const body = JSON.stringify({ id: "EZ1" });
  const query = `?bodySHA256=${new Bun.CryptoHasher("sha256").update(body).digest("hex")}`;
  const signature = twilio.getExpectedTwilioSignature("token", url + query, {});
  const post = async (type: string, sent: string) => {
    const headers = { "content-type": type, "x-twilio-signature": signature, "x-id": `${type} ${sent}` };
    return (await inbox.request(`/webhook/it${query}`, { method: "POST", headers, body: sent })).status;
  };
  const form = "application/x-www-form-urlencoded";
  expect(await post(form, "")).toBe(401);
  expect(await post(`${form}; charset=utf-8`, "")).toBe(401);
  expect(await post(form, body)).toBe(401);
  expect(await post("application/json", "")).toBe(401);
  expect(inbox.value("select count(*) from hookonce_events")).toBe(0);
  expect(await post("application/json", body)).toBe(200);
});

const SECRET = "the-secret-of-every-element";

test.each([
  ["body:$[*]", "body:$[0].token", (events: unknown[]) => events],
  [
    "body:$.events[*]",
    "body:$.events[0].auth.token",
    (events: unknown[]) => ({ events: events.map(deeper) }),
  ],
  [
    "body:$.entry[*].changes[*]",
    "body:$.entry[0].token",
    (entry: unknown[]) => ({ entry: entry.map(withChange) }),
  ],
])("a secret in the elements of the batch %s must be in each of them", async (batch, secretIn, wrap) => {
  const id = batch.includes("changes") ? "body:$.changes[0].id" : "body:$.id";
  await using inbox = await testInbox({
    config: `[sources.it]\nprovider = "static"\nsecret = "env:S"\nsecret_in = "${secretIn}"\nevent_id = "${id}"\ntype = "body:$.type"\nbatch = "${batch}"\n`,
    environment: { S: SECRET },
    files: failing,
  });
  const send = async (...events: unknown[]): Promise<number> =>
    (await inbox.deliver(wrap(events), { source: "it" })).status;
  const own = { id: "a", type: "thing", token: SECRET };

  expect(await send(own, { id: "forged", type: "thing" })).toBe(401);
  expect(await send(own, { id: "forged", type: "thing", token: "guessed" })).toBe(401);
  expect(await send(own, own, { id: "forged", type: "thing", token: null })).toBe(401);
  expect(await send(own, { id: "forged", type: "thing", token: [SECRET] })).toBe(401);
  expect(await send()).toBe(401);
  expect(effects(inbox)).toEqual([]);

  expect(await send(own, { id: "b", type: "thing", token: SECRET })).toBe(200);
  expect(effects(inbox)).toEqual(["a", "b"]);
});

test.each([
  [["body:$.a[*]", "body:$.b[*]"], "body:$.a[0].token", "body:$.b[*]"],
  [["body:$.e[*].a[*]", "body:$.e[*].b[*]"], "body:$.e[0].b[0].token", "body:$.e[*].a[*]"],
] as const)("a start is refused if only one of the lists %j holds the secret", (batch, secretIn, unread) => {
  const provider = providers.get("static") as Provider;
  const settings = { name: "it", provider, secrets: [SECRET], batch };
  const start = (place: Part) => () =>
    createSource({ ...settings, scheme: { kind: "static", secretIn: place } }, Date.now);
  expect(start(secretIn)).toThrow(
    `secret_in = "${secretIn}" is not in the elements of "${unread}", which batch also names`,
  );
  expect(start("body:$.token")).not.toThrow();
  if (secretIn.startsWith("body:$.e")) expect(start("body:$.e[0].token")).not.toThrow();
});

function deeper(event: unknown): object {
  return { ...(event as object), auth: { token: (event as { token?: unknown }).token } };
}

function withChange(event: unknown): object {
  return { ...(event as object), changes: [{ id: (event as { id: string }).id }] };
}
