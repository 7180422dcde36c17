import { Database } from "bun:sqlite";
import { expect } from "bun:test";
import { join } from "node:path";
import { scratch, serve, type Serving } from "../cli/support/hookonce.ts";
import { receiveMessages, until } from "../outbox/support/received.ts";
import { onlyInFullRun, testUnless } from "./requirements.ts";

/**
 * After any number of kill -9, each event that was committed has arrived at least once with one id, and none before
 * its commit: the receiver looks for the handler's row in the database when the message arrives.
 */

const ROUNDS = 6;
const CLIENTS = 16;

const files = (url: string) => ({
  "hookonce.toml": `version = 1

[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
forward = ["app"]

[destinations.app]
url = "${url}"
sign = "none"
concurrency = 8

[destinations.made]
url = "${url}"
sign = "none"
`,
  "migrations/0001_effects.sql": "create table effects (event_id text primary key, n integer not null);",
  "handlers/default/_any.sql": `insert into effects values (:event_id, 1) on conflict do update set n = n + 1;
insert into hookonce_outbox (destination, body) values ('made', json_object('event_id', :event_id, 'made', 1));`,
});

interface Sent {
  readonly event_id: string;
  readonly made?: 1;
}

testUnless(
  onlyInFullRun(),
  `after kill -9 under load, ${ROUNDS} times, each message has arrived with one id, and none before its commit`,
  async () => {
    let database: Database | undefined;
    const early: string[] = [];
    /** Destination and event → the ids that its messages had. */
    const ids = new Map<string, Set<string>>();
    let number = 0;
    await using app = receiveMessages(({ id, body }) => {
      const { event_id: eventId, made } = JSON.parse(body) as Sent;
      if (database?.query("select 1 from effects where event_id = ?").get(eventId) === null)
        early.push(eventId);
      const key = `${made === 1 ? "made" : "app"} ${eventId}`;
      ids.set(key, (ids.get(key) ?? new Set()).add(id));
      // Some answers are errors.
      return new Response(null, { status: ++number % 20 === 0 ? 500 : 200 });
    });
    using inbox = scratch(files(app.url));
    const path = join(inbox.path, "data/hookonce.db");
    const answered = new Set<string>();
    let sent = 0;

    async function client(server: Serving): Promise<void> {
      for (;;) {
        const eventId = `evt_${++sent}`;
        try {
          const { status } = await server.post("/webhook", { event_id: eventId, type: "paid" });
          if (status === 200) answered.add(eventId);
        } catch {
          // The server was killed.
          return;
        }
      }
    }

    for (let round = 1; round <= ROUNDS; round++) {
      await using server = await serve(inbox.path);
      database ??= new Database(path, { readonly: true });
      const load = Promise.all(Array.from({ length: CLIENTS }, () => client(server)));
      await Bun.sleep(200 + Math.random() * 800);
      server.signal("SIGKILL");
      await load;
    }
    await using _ = await serve(inbox.path);
    using db = new Database(path, { readonly: true });
    const left = () =>
      (
        db.query("select count(*) as n from hookonce_messages where state <> 'delivered'").get() as {
          n: number;
        }
      ).n;
    await until("all are delivered", () => left() === 0);
    database?.close();

    const effects = db.query<{ event_id: string; n: number }, []>("select event_id, n from effects").all();
    const applied = new Set(effects.map(({ event_id: id }) => id));
    expect(effects.filter(({ n }) => n !== 1)).toEqual([]);
    expect([...answered].filter((id) => !applied.has(id))).toEqual([]);
    expect(early).toEqual([]);
    const expected = [...applied].flatMap((id) => [`app ${id}`, `made ${id}`]);
    expect(expected.filter((key) => !ids.has(key))).toEqual([]);
    expect([...ids.keys()].filter((key) => !applied.has(key.split(" ")[1] ?? ""))).toEqual([]);
    expect([...ids].filter(([, { size }]) => size !== 1)).toEqual([]);
    expect(answered.size).toBeGreaterThan(100);
  },
  180_000,
);
