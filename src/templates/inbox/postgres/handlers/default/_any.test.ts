// Run it with: hookonce test
//
// Each test gets an inbox with this folder's config, migrations and handlers, on a temporary database.

import { expect, test } from "bun:test";
import { testInbox } from "hookonce/test";

test("an event that arrives fifty times adds its credit once", async () => {
  await using box = await testInbox();
  const event = { event_id: "evt_1", type: "credit.added", customer: "ada", cents: 500 };

  const answers = await box.deliver("default", event, { times: 50, concurrently: true });

  expect(answers.filter(({ outcome }) => outcome === "processed")).toHaveLength(1);
  expect(answers.filter(({ outcome }) => outcome === "duplicate")).toHaveLength(49);
  expect(await box.db`select customer, cents::int from credits`).toEqual([{ customer: "ada", cents: 500 }]);
});

test("a user without a valid email is not signed up", async () => {
  await using box = await testInbox();
  const event = { event_id: "evt_2", type: "user.created", email: "ada" };

  const [answer] = await box.deliver("default", event);

  // 500: the provider delivers it again, until the handler accepts it.
  expect(answer).toMatchObject({ status: 500, outcome: "failed", error: "email: Invalid email address" });
  expect(await box.db`select * from signups`).toEqual([]);
});
