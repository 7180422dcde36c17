import { expect, test } from "bun:test";
import { providers } from "../../src/providers/presets.ts";
import type { Provider } from "../../src/providers/provider.ts";
import { createSource } from "../../src/providers/source.ts";
import { seedOf, type Example } from "../../src/simulator/example.ts";
import { examples } from "../../src/simulator/examples.ts";
import { fitExample } from "../../src/simulator/fitted-example.ts";
import { requestOf } from "../../src/simulator/request.ts";
import { refusedStart, testInbox, type TestInbox } from "../support/test-inbox.ts";
import { NOW } from "./signed-inbox.ts";

/** What is stored of a delivery has no URL, so what an id or type needs of it is kept when it arrives. */

const config = (rules: string, secret = 'provider = "unsigned"\nallow_public = true'): string =>
  `[sources.it]\n${secret}\n${rules}\n`;

const HANDLER = {
  "handlers/it/_any.sql":
    "insert into seen values (:event_id, :type, :payload, :headers ->> '$.\"query:event\"');",
};
const MIGRATION = {
  "migrations/0001.sql": "create table seen (id text, type text, payload text, kept text) strict;",
};

async function deliver(inbox: TestInbox, query: string, body = "{}", headers = {}): Promise<unknown> {
  const response = await inbox.request(`/webhook/it${query}`, { method: "POST", body, headers });
  const answer = (await response.json()) as { status?: string; error?: { code: string } };
  return answer.error?.code ?? answer.status;
}

test("an id and a type can be in the query, as they are after decoding", async () => {
  await using inbox = await testInbox({
    config: config('event_id = "query:event id"\ntype = ["query:event", "header:x-type"]'),
    files: { ...MIGRATION, ...HANDLER },
  });
  expect(await deliver(inbox, "?event+id=%C3%A4+1&event=paid&token=not-kept")).toBe("processed");
  expect(await deliver(inbox, "?event=paid&event%20id=%C3%A4%201&event+id=2")).toBe("duplicate");
  expect(await deliver(inbox, "?event+id=2", "{}", { "x-type": "sent" })).toBe("processed");
  expect(await deliver(inbox, "?event=paid")).toBe("missing_event_id");
  expect(await deliver(inbox, "?event+id=&event=paid")).toBe("missing_event_id");
  expect(inbox.rows("select id, type, kept from seen")).toEqual([
    { id: "ä 1", type: "paid", kept: "paid" },
    { id: "2", type: "sent", kept: null },
  ]);
  expect(JSON.stringify(inbox.rows("select headers from hookonce_bodies"))).not.toContain("not-kept");
});

test("a later apply finds the element of a batch whose id is joined with the query", async () => {
  const rules =
    'batch = "body:$[*]"\nevent_id = { join = ["query:account", "body:$.id"], with = ":" }\ntype = "query:event"';
  await using inbox = await testInbox({ config: config(rules), files: MIGRATION });
  const body = JSON.stringify([{ id: 1 }, { id: 2 }]);
  expect(await deliver(inbox, "?account=a&event=paid", body)).toBe("batch");
  expect(await deliver(inbox, "?account=b&event=paid", body)).toBe("batch");
  await inbox.restart({ files: HANDLER });
  expect(await deliver(inbox, "?account=a&event=paid", body)).toBe("batch");
  expect(await deliver(inbox, "?account=b&event=paid", body)).toBe("batch");
  expect(inbox.rows("select id, type, payload from seen order by id")).toEqual([
    { id: "a:1", type: "paid", payload: '{"id":1}' },
    { id: "a:2", type: "paid", payload: '{"id":2}' },
    { id: "b:1", type: "paid", payload: '{"id":1}' },
    { id: "b:2", type: "paid", payload: '{"id":2}' },
  ]);
  expect(inbox.value("select count(*) from hookonce_events where outcome = 'processed'")).toBe(4);
});

test("a failed event keeps its id and type from the query", async () => {
  const rules = 'event_id = "query:id"\ntype = "query:event"';
  await using inbox = await testInbox({
    config: config(rules),
    files: { ...MIGRATION, "handlers/it/paid.sql": "insert into seen values (json('{'), 1, 1, 1);" },
  });
  expect(await deliver(inbox, "?id=1&event=paid")).toBe("failed");
  await inbox.restart({ files: { "handlers/it/paid.sql": HANDLER["handlers/it/_any.sql"] } });
  expect(await deliver(inbox, "?id=1&event=paid")).toBe("processed");
  expect(await deliver(inbox, "?id=1&event=paid")).toBe("duplicate");
  expect(inbox.rows("select id, type, kept from seen")).toEqual([{ id: "1", type: "paid", kept: "paid" }]);
});

test("a secret in the query is neither an id nor kept", async () => {
  const secret = 'provider = "static"\nsecret = "env:S"\nsecret_in = "query:token"';
  const { problems } = await refusedStart({
    config: config('event_id = "query:token"\ntype = "query:event"', secret),
    environment: { S: "s3cret" },
  });
  expect(problems.map(({ message }) => message)).toEqual([
    expect.stringContaining("event_id or type is query:token, which holds the secret and is never stored"),
  ]);
  await using inbox = await testInbox({
    config: config('event_id = "query:id"\ntype = "query:event"', secret),
    environment: { S: "s3cret" },
    files: { ...MIGRATION, ...HANDLER },
  });
  expect(await deliver(inbox, "?id=1&event=s3cret-paid&token=s3cret")).toBe("processed");
  expect(await deliver(inbox, "?id=1&event=s3cret-paid&token=wrong")).toBe("signature_mismatch");
  const kept = [inbox.rows("select headers from hookonce_bodies"), inbox.refused.list("it", 9), inbox.log];
  expect(JSON.stringify(kept)).not.toContain("token=s3cret");
  expect(inbox.rows("select type, kept from seen")).toEqual([
    { type: "[redacted]-paid", kept: "[redacted]-paid" },
  ]);
});

test("the simulator puts id and type into the query", () => {
  const provider = providers.get("hmac") as Provider;
  const rules = { eventId: "query:id", type: "query:event" };
  const example = fitExample(examples.get("hmac") as Example, rules);
  const request = requestOf(
    example,
    [seedOf("a".repeat(24), "order.paid", NOW)],
    "http://localhost/webhook/it?x=1",
  );
  expect(new URL(request.url).search).toBe(`?x=1&id=evt_${"a".repeat(24)}&event=order.paid`);
  const source = createSource({ name: "it", provider, secrets: ["s"], ...rules }, () => NOW);
  const delivery = { ...request, receivedAt: NOW, remoteAddress: () => null };
  expect(source.identify(source.keepQuery?.(delivery) ?? delivery)).toMatchObject({
    id: `evt_${"a".repeat(24)}`,
    type: "order.paid",
  });
});
