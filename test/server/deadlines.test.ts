import { expect, test } from "bun:test";
import { check } from "../../src/app/check.ts";
import { testInbox } from "../support/test-inbox.ts";

test("check warns of handlers that come near a provider's short deadline", async () => {
  const environment = { SLACK: "secret", STRIPE: "another" };
  await using inbox = await testInbox({
    config:
      '[sources.slack]\nprovider = "slack"\nsecret = "env:SLACK"\n[sources.stripe]\nprovider = "stripe"\nsecret = "env:STRIPE"\n',
    environment,
  });
  const note = (source: string, n: number, durationUs: number, handler = "h.sql"): void => {
    const id = inbox.value(
      "insert into hookonce_events (source, event_id, type, received_at, outcome, handler, last_delivery_at) values (?, ?, 't', 1, 'processed', ?, 1) returning id",
      source,
      `${source}-${handler}-${n}`,
      handler,
    ) as number;
    inbox.rows(
      "insert into hookonce_results (event, body, duration_us) values (?, 1, ?) returning event",
      id,
      durationUs,
    );
  };
  const warnings = async (): Promise<string[]> =>
    (await check(inbox.folder, { environment, clock: Date.now })).warnings.map(({ message }) => message);

  for (let n = 0; n < 200; n++) note("slack", n, 20_000);
  note("slack", 200, 2_900_000);
  for (let n = 0; n < 10; n++) note("stripe", n, 4_000_000);
  // One slow run of two hundred is less than one in a hundred, and Stripe waits longer than 4 s.
  expect(await warnings()).toEqual([]);
  for (let n = 201; n < 205; n++) note("slack", n, 1_600_000);
  expect(await warnings()).toEqual([
    'source "slack": h.sql takes 1600 ms or more for one event in a hundred, and Slack waits 3 s for an answer',
  ]);

  // Each handler is judged by its own runs, even if another source is far busier.
  for (let n = 0; n < 2; n++) note("slack", n, 2_700_000, "b.ts");
  for (let n = 0; n < 200; n++) note("slack", n, 1000, "a.ts");
  inbox.rows(
    "insert into hookonce_events (source, event_id, type, received_at, outcome, handler, last_delivery_at) select 'stripe', 'busy' || a.id || '-' || b.id, 't', 1, 'processed', 'h.sql', 1 from hookonce_events a, hookonce_events b limit 12000 returning id",
  );
  inbox.rows(
    "insert into hookonce_results (event, body, duration_us) select id, 1, 10 from hookonce_events where event_id like 'busy%' returning event",
  );
  expect(await warnings()).toEqual([
    'source "slack": b.ts takes 2700 ms or more for one event in a hundred, and Slack waits 3 s for an answer',
    'source "slack": h.sql takes 1600 ms or more for one event in a hundred, and Slack waits 3 s for an answer',
  ]);
});
