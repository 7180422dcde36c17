import { Database } from "bun:sqlite";
import { expect } from "bun:test";
import { join } from "node:path";
import { scratch, serve, type Scratch } from "../cli/support/hookonce.ts";
import { onlyInFullRun, testUnless } from "./requirements.ts";

/** Jobs about messages that kill -9 interrupts go on by themselves at the next start, and send nothing twice. */

const EVENTS = 300;

const config = (url: string): string => `version = 1

[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
forward = ["app"]

[destinations.app]
url = "${url}"
sign = "none"

[destinations.later]
url = "${url}"
sign = "none"
`;

interface Job {
  readonly id: string;
  readonly state: string;
  readonly at_least?: true;
}

function query<Row>(inbox: Scratch, sql: string): Row[] {
  using database = new Database(join(inbox.path, "data/hookonce.db"), { readonly: true });
  return database.prepare(sql).all() as Row[];
}

const countOf = (inbox: Scratch, where: string): number =>
  query<{ n: number }>(inbox, `select count(*) as n from hookonce_messages where ${where}`)[0]?.n ?? 0;

async function untilCount(inbox: Scratch, where: string, least: number): Promise<void> {
  while (countOf(inbox, where) < least) await Bun.sleep(20);
}

async function api<T>(inbox: Scratch, path: string, json?: object, method = "POST"): Promise<T> {
  const unix = join(inbox.path, "data/hookonce.db.sock");
  const headers = { "content-type": "application/json" };
  const init = json === undefined ? {} : { method, headers, body: JSON.stringify(json) };
  return (await (await fetch(`http://localhost/api/${path}`, { ...init, unix })).json()) as T;
}

async function untilEnded(inbox: Scratch, id: string): Promise<Job> {
  for (;;) {
    const job = await api<Job>(inbox, `jobs/${id}`);
    if (job.state !== "running") return job;
    await Bun.sleep(50);
  }
}

/** An inbox whose events wait for `app`, or have arrived there. */
async function filled(inbox: Scratch, isPaused: boolean, events = EVENTS): Promise<void> {
  await using server = await serve(inbox.path);
  if (isPaused) await api(inbox, "destinations/app/state", { state: "paused" }, "PUT");
  const ids = Array.from({ length: events }, (_, n) => `evt_${n}`);
  await Promise.all(ids.map((id) => server.post("/webhook", { event_id: id })));
  await untilCount(inbox, isPaused ? "state = 'waiting'" : "state = 'delivered'", events);
}

const startReceiver = () =>
  Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("thanks") });

testUnless(
  onlyInFullRun(),
  "resend of messages goes on after kill -9, each message once",
  async () => {
    using receiver = startReceiver();
    using inbox = scratch({ "hookonce.toml": config(String(receiver.url)) });
    await filled(inbox, false);
    const ids = query<{ id: string }>(inbox, "select message_id as id from hookonce_messages").map(
      ({ id }) => id,
    );
    let id = "";
    {
      await using _ = await serve(inbox.path);
      ({ id } = await api<Job>(inbox, "jobs", { action: "resend", ids, rate: 100 }));
      await untilCount(inbox, "attempts = 2", 100);
      // Leaving the block kills it.
    }
    expect(countOf(inbox, "attempts = 2")).toBeLessThan(EVENTS);
    await using _ = await serve(inbox.path);
    const job = await untilEnded(inbox, id);
    // It was killed, so it may have lost some of its counts.
    expect([job.state, job.at_least]).toEqual(["done", true]);
    await untilCount(inbox, "state = 'delivered' and attempts >= 2", EVENTS);
    // An attempt that the kill has cut off is not counted.
    expect(query(inbox, "select attempts, count(*) as n from hookonce_messages group by 1")).toEqual([
      { attempts: 2, n: EVENTS },
    ]);
  },
  60_000,
);

testUnless(
  onlyInFullRun(),
  "resend --to goes on after kill -9, each event has one message, and another job makes another one",
  async () => {
    using receiver = startReceiver();
    using inbox = scratch({ "hookonce.toml": config(String(receiver.url)) });
    await filled(inbox, false);
    let id = "";
    const order = { action: "resend", to: "later", rate: 100 };
    {
      await using server = await serve(inbox.path);
      ({ id } = await api<Job>(inbox, "jobs", order));
      await untilCount(inbox, "destination = 'later'", 100);
      // It came after the order, so it is left out.
      await server.post("/webhook", { event_id: "evt_late" });
    }
    expect(countOf(inbox, "destination = 'later'")).toBeLessThan(EVENTS);
    await using _ = await serve(inbox.path);
    const job = await untilEnded(inbox, id);
    expect([job.state, job.at_least]).toEqual(["done", undefined]);
    const each = `select n, count(*) as events from (
      select count(distinct message_id) as n from hookonce_messages where destination = 'later' group by event_id)
      group by n`;
    expect(query(inbox, each)).toEqual([{ n: 1, events: EVENTS }]);
    const { id: again } = await api<Job>(inbox, "jobs", { ...order, rate: undefined, filter: { limit: 10 } });
    await untilEnded(inbox, again);
    expect(query(inbox, each)).toEqual([
      { n: 1, events: EVENTS - 10 },
      { n: 2, events: 10 },
    ]);
  },
  60_000,
);

testUnless(
  onlyInFullRun(),
  "discard of messages with a limit keeps to it after kill -9",
  async () => {
    using receiver = startReceiver();
    using inbox = scratch({ "hookonce.toml": config(String(receiver.url)) });
    await filled(inbox, true, 30);
    let id = "";
    const filter = { destination: "app", limit: 8 };
    {
      await using _ = await serve(inbox.path);
      ({ id } = await api<Job>(inbox, "jobs", { action: "discard", filter, rate: 4, reason: "a test" }));
      await untilCount(inbox, "state = 'discarded'", 2);
    }
    expect(countOf(inbox, "state = 'discarded'")).toBeLessThan(8);
    await using _ = await serve(inbox.path);
    expect((await untilEnded(inbox, id)).state).toBe("done");
    expect(countOf(inbox, "state = 'discarded' and reason = 'a test'")).toBe(8);
    expect(countOf(inbox, "state = 'waiting'")).toBe(22);
  },
  60_000,
);
