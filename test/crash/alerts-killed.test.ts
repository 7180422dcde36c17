import { Database } from "bun:sqlite";
import { expect } from "bun:test";
import { join } from "node:path";
import { scratch } from "../cli/support/hookonce.ts";
import { receiveMessages, until } from "../outbox/support/received.ts";
import { onlyInFullRun, testUnless } from "./requirements.ts";
import { startServer } from "./server.ts";

/** An alert begins once and ends once, whenever the process is killed. */

const ROUNDS = 21;

const files = (url: string) => ({
  "hookonce.toml": `version = 1

[alerts]
to = "ops"

[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"

[destinations.ops]
url = "${url}"
sign = "none"
`,
});

testUnless(
  onlyInFullRun(),
  `after kill -9 at any moment, ${ROUNDS} times, each alert was told when it began and when it ended, once`,
  async () => {
    const arrived = new Set<string>();
    await using ops = receiveMessages(({ id }) => {
      arrived.add(id);
      return new Response();
    });
    using inbox = scratch(files(ops.url));
    const path = join(inbox.path, "data/hookonce.db");
    const start = () => startServer([process.execPath, join(import.meta.dir, "serve-alerts.ts"), inbox.path]);
    const withDatabase = <T>(work: (db: Database) => T): T => {
      using db = new Database(path, { strict: true });
      db.run("pragma busy_timeout = 5000");
      return work(db);
    };
    let isPaused = false;
    const toggle = (db: Database): void => {
      isPaused = !isPaused;
      db.run(
        isPaused
          ? "insert into hookonce_source_states (name, state, since) values ('default', 'held', 1)"
          : "delete from hookonce_source_states",
      );
    };
    for (let round = 0; round < ROUNDS; round++) {
      await using server = start();
      await server.listening;
      withDatabase(toggle);
      // Before the first look, or within one of the next.
      await Bun.sleep(Math.random() * 400);
      server.signal("SIGKILL");
      await server.exited;
    }
    const told = () =>
      withDatabase((db) =>
        db
          .query<{ id: string; body: string }, []>(
            `select message_id as id, body ->> '$.type' as body from
               (select id as row, message_id, cast(body as text) as body from hookonce_messages)
             where body ->> '$.data.alert' = 'source_paused' order by row`,
          )
          .all(),
      );
    const isStored = () =>
      withDatabase((db) =>
        db
          .query("select 1 from hookonce_alerts where key like '%source_paused%' and began_at is not null")
          .get(),
      ) !== null;
    await using server = start();
    await server.listening;
    await until("the last change is told", () => isStored() === isPaused);
    await until("each message has arrived", () => told().every(({ id }) => arrived.has(id)));
    const types = told().map(({ body }) => body);
    expect(types.length).toBeGreaterThan(2);
    expect(types).toEqual(
      types.map((_, index) => (index % 2 === 0 ? "hookonce.alert.began" : "hookonce.alert.ended")),
    );
    expect(types.length % 2 === 1).toBe(isPaused);
  },
  120_000,
);
