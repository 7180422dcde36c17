import { describe, expect, test } from "bun:test";
import { testInbox } from "../support/test-inbox.ts";
import { rawClient, requestHead } from "./support/raw-client.ts";
import { secrets, signedSources, stripeSignature } from "./support/signed.ts";

const EVENTS = 500;
const DELIVERIES = 10;
const CLIENTS = 64;

const options = {
  config: signedSources,
  environment: secrets,
  files: {
    "migrations/0001.sql": `create table credits (customer text primary key, cents integer not null) strict;
create table applied (event_id text primary key, times integer not null) strict;`,
    "handlers/stripe/checkout.session.completed.sql": `insert into credits values (:payload ->> '$.data.object.customer', :payload ->> '$.data.object.amount_total')
on conflict (customer) do update set cents = cents + excluded.cents;
insert into applied values (:event_id, 1) on conflict (event_id) do update set times = times + 1;`,
  },
};

const centsOf = (n: number): number => 100 + n;
const centsInAll = Array.from({ length: EVENTS }, (_, n) => centsOf(n)).reduce((sum, cents) => sum + cents);

function stripeEvent(n: number): string {
  const object = { id: `cs_${n}`, customer: `cus_${n % 20}`, amount_total: centsOf(n) };
  return JSON.stringify({
    id: `evt_${String(n).padStart(5, "0")}`,
    type: "checkout.session.completed",
    data: { object, padding: "x".repeat(800) },
  });
}

/** Shuffles with a seed, so that a failing run can be repeated in the same order. */
function shuffled(count: number, seed: number): number[] {
  const order = Array.from({ length: count }, (_, n) => n);
  let state = seed;
  for (let i = count - 1; i > 0; i--) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    const j = state % (i + 1);
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
  return order;
}

async function storm(work: (delivery: number) => Promise<void>): Promise<void> {
  const waiting = shuffled(EVENTS * DELIVERIES, 42);
  const client = async (): Promise<void> => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) await work(next);
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
}

async function deliver(url: string, body: string): Promise<string> {
  const response = await fetch(`${url}/webhook/stripe`, {
    method: "POST",
    body,
    headers: { "content-type": "application/json", "stripe-signature": stripeSignature(body) },
  });
  expect(response.status).toBe(200);
  return ((await response.json()) as { status: string }).status;
}

/** Sends a complete delivery and disconnects before the answer arrives. */
async function deliverAndHangUp(url: string, body: string): Promise<void> {
  using client = await rawClient(url);
  const head = requestHead("/webhook/stripe", {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    "stripe-signature": stripeSignature(body),
  });
  await client.send(head + body);
}

describe(`${EVENTS} events, each delivered ${DELIVERIES} times concurrently in random order`, () => {
  test("are each credited once", async () => {
    await using inbox = await testInbox(options);
    const { url } = inbox.listen();
    const events = Array.from({ length: EVENTS }, (_, n) => stripeEvent(n));
    const answers: Record<string, number> = {};
    await storm(async (delivery) => {
      const status = await deliver(url, events[delivery % EVENTS] as string);
      answers[status] = (answers[status] ?? 0) + 1;
    });

    expect(answers).toEqual({ processed: EVENTS, duplicate: EVENTS * (DELIVERIES - 1) });
    expect(inbox.value("select sum(cents) from credits")).toBe(centsInAll);
    expect(inbox.rows("select count(*) as events, max(times) as most from applied")).toEqual([
      { events: EVENTS, most: 1 },
    ]);
    expect(
      inbox.rows(
        "select count(*) as events, min(deliveries) as fewest, max(deliveries) as most, sum(changed_bodies) as changed from hookonce_events",
      ),
    ).toEqual([{ events: EVENTS, fewest: DELIVERIES, most: DELIVERIES, changed: 0 }]);
    expect(inbox.value("select count(*) from hookonce_bodies")).toBe(EVENTS);
    expect(inbox.value("select count(*) from hookonce_failures")).toBe(0);
    expect(inbox.fatal).toEqual([]);
  }, 20_000);

  test("are each credited once when every fifth answer is lost", async () => {
    await using inbox = await testInbox(options);
    const { url } = inbox.listen();
    const events = Array.from({ length: EVENTS }, (_, n) => stripeEvent(n));
    const answers: Record<string, number> = {};
    let lost = 0;
    await storm(async (delivery) => {
      const body = events[delivery % EVENTS] as string;
      // At least one delivery of each event is answered, because a provider retries until it gets an answer.
      if (delivery % 5 === 0 && delivery >= EVENTS) {
        lost++;
        await deliverAndHangUp(url, body);
        return;
      }
      const status = await deliver(url, body);
      answers[status] = (answers[status] ?? 0) + 1;
    });

    expect(lost).toBe((EVENTS * (DELIVERIES - 1)) / 5);
    expect(Object.keys(answers).sort()).toEqual(["duplicate", "processed"]);
    // Some events were processed by a delivery whose answer was lost.
    expect(answers["processed"]).toBeLessThan(EVENTS);
    expect(inbox.value("select sum(cents) from credits")).toBe(centsInAll);
    expect(inbox.rows("select count(*) as events, max(times) as most from applied")).toEqual([
      { events: EVENTS, most: 1 },
    ]);
    expect(inbox.value("select count(*) from hookonce_failures")).toBe(0);
    expect(inbox.fatal).toEqual([]);
  }, 20_000);
});
