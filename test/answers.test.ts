import { expect, test } from "bun:test";
import { testInbox } from "./support/test-inbox.ts";

test("an event is applied once, however often it is delivered", async () => {
  await using inbox = await testInbox({
    files: {
      "migrations/0001.sql":
        "create table credits (customer text primary key, cents integer not null) strict;",
      "handlers/default/_any.sql":
        "insert into credits values (:payload ->> '$.customer', :payload ->> '$.cents') on conflict do update set cents = cents + excluded.cents;",
    },
  });
  const event = { event_id: "evt_1", type: "paid", customer: "ada", cents: 500 };

  expect(await inbox.deliver(event)).toEqual({
    status: 200,
    body: { status: "processed", event_id: "evt_1", message: "Webhook received and processed" },
  });
  expect(await inbox.deliver(event)).toEqual({
    status: 200,
    body: { status: "duplicate", event_id: "evt_1", message: "Event already processed" },
  });
  expect(inbox.value("select cents from credits")).toBe(500);
  expect(inbox.value("select deliveries from hookonce_events")).toBe(2);
});
