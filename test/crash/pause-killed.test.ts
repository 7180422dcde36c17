import { Database } from "bun:sqlite";
import { expect } from "bun:test";
import { join } from "node:path";
import { scratch, serve, type Serving } from "../cli/support/hookonce.ts";
import { onlyInFullRun, testUnless } from "./requirements.ts";

/** A source is paused and resumed under load, and the process is killed at any moment of it. */

const ROUNDS = 10;

const files = {
  "hookonce.toml": `version = 1

[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
`,
  "migrations/0001_effects.sql": "create table effects (number integer primary key, event_id text not null);",
  "handlers/default/paid.sql": "insert into effects (event_id) values (:event_id);",
  // Fails until somebody empties the table.
  "migrations/0002_bad.sql": `create table bad (id integer primary key);
insert into bad values (1);
create table never (id integer not null);`,
  "handlers/default/strict.sql": `insert into effects (event_id) values (:event_id);
insert into never select null from bad;`,
};

testUnless(
  onlyInFullRun(),
  "kill -9 while a source is paused, resumes and opens loses no event, runs each once and in the order received",
  async () => {
    using inbox = scratch(files);
    const unix = join(inbox.path, "data/hookonce.db.sock");
    const ids = (sql: string): string[] => {
      using database = new Database(join(inbox.path, "data/hookonce.db"), { readonly: true });
      database.run("pragma busy_timeout = 5000");
      return database
        .query(sql)
        .values()
        .map(([id]) => String(id));
    };
    const states = (): string[] => ids("select state from hookonce_source_states");
    let server: Serving = await serve(inbox.path);
    const ending = new AbortController();
    const { signal } = ending;
    const answered = new Map<string, Set<string>>();
    let next = 0;

    /** Delivers events, each twice at the same time, until both are answered 200, as a provider does. */
    async function provider(): Promise<void> {
      while (!signal.aborted) {
        const id = `evt_${next++}`;
        await Promise.all([deliver(id), deliver(id)]);
      }
    }

    async function deliver(id: string): Promise<void> {
      for (;;) {
        const answer = await server.post("/webhook", { event_id: id, type: "paid" }).catch(() => undefined);
        if (answer?.status === 200) {
          const outcomes = answered.get(id) ?? new Set();
          answered.set(id, outcomes.add(String(answer.body["status"])));
          return;
        }
        await Bun.sleep(20);
      }
    }

    /** False if the process was killed before it answered. */
    const setState = (state: "held" | "open"): Promise<boolean> =>
      fetch("http://localhost/api/sources/default/state", {
        unix,
        method: "PUT",
        body: JSON.stringify({ state }),
        headers: { "content-type": "application/json" },
      }).then(
        ({ ok }) => ok,
        () => false,
      );

    /** The source is to be open for a while. After a kill, it may take longer. */
    async function opened(): Promise<void> {
      for (let n = 0; n < 50; n++) {
        if (states().length === 0) return;
        await Bun.sleep(10);
      }
    }

    const load = Array.from({ length: 6 }, provider);
    let flips = 0;
    const flipped = async (least: number): Promise<void> => {
      for (;;) {
        if (flips >= least) return;
        await Bun.sleep(5);
      }
    };
    const flipping = (async () => {
      while (!signal.aborted) {
        const state = flips % 2 === 0 ? "held" : "open";
        if (await setState(state)) flips++;
        if (state === "open") await opened();
        await Bun.sleep(10 + 30 * (flips % 4));
      }
    })();
    for (let round = 0; round < ROUNDS; round++) {
      const before = flips;
      await Bun.sleep(150 + 53 * round);
      // On a loaded machine, a round would be over before the state has changed.
      await flipped(before + 2);
      await server[Symbol.asyncDispose]();
      // What was run so far was run in order.
      const processed = "select event_id from hookonce_events where outcome = 'processed' order by id";
      expect(ids("select event_id from effects order by number")).toEqual(ids(processed));
      server = await serve(inbox.path);
    }
    ending.abort();
    await Promise.all([...load, flipping]);
    expect(await setState("open")).toBe(true);
    while (states().length > 0) await Bun.sleep(20);
    await using _ = server;

    const received = ids("select event_id from hookonce_events order by id");
    expect(ids("select event_id from effects order by number")).toEqual(received);
    expect([...answered.keys()].filter((id) => !received.includes(id))).toEqual([]);
    expect(ids("select event_id from hookonce_events where outcome <> 'processed'")).toEqual([]);
    for (const outcome of ["held", "processed", "duplicate"])
      expect([...answered.values()].some((outcomes) => outcomes.has(outcome))).toBe(true);
    expect(flips).toBeGreaterThan(ROUNDS);
  },
  120_000,
);

testUnless(
  onlyInFullRun(),
  "kill -9 at any moment of resumes that stop on a failure keeps failed and held events in the order received",
  async () => {
    using inbox = scratch(files);
    const path = join(inbox.path, "data/hookonce.db");
    const unix = `${path}.sock`;
    const rows = (sql: string): string[] => {
      using database = new Database(path);
      database.run("pragma busy_timeout = 5000");
      return database
        .query(sql)
        .values()
        .map(([value]) => String(value));
    };
    const put = (body: object): Promise<boolean> =>
      fetch("http://localhost/api/sources/default/state", {
        unix,
        method: "PUT",
        body: JSON.stringify(body),
        headers: { "content-type": "application/json" },
      }).then(
        ({ ok }) => ok,
        () => false,
      );
    let server: Serving = await serve(inbox.path);
    const deliver = async (id: string): Promise<void> => {
      // As providers do: until it is answered 200, twice at the same time, and at times once more.
      for (;;) {
        const answers = await Promise.all(
          [1, 2].map(() => server.post("/webhook", { event_id: id, type: "strict" }).catch(() => undefined)),
        );
        if (answers.every((answer) => answer?.status === 200)) return;
        await Bun.sleep(20);
      }
    };
    /** Their first deliveries are answered 500, in this order. */
    const failed = ["a", "b", "c"];
    for (const id of failed) await server.post("/webhook", { event_id: id, type: "strict" });
    expect(await put({ state: "held" })).toBe(true);
    const held = Array.from({ length: 40 }, (_, n) => `evt_${n}`);
    for (const id of held) await deliver(id);
    const order = [...failed, ...held];

    for (let round = 0; round < ROUNDS; round++) {
      const isLast = round >= ROUNDS - 2;
      if (isLast) rows("delete from bad returning id");
      // Copies arrive in another order while the source resumes, and whatever of it is killed.
      const copies = Promise.all(
        order
          .toReversed()
          .filter((_, n) => n % 3 === round % 3)
          .map(deliver),
      );
      await put({ state: "open", stop_on_failure: round % 2 === 0 });
      await Bun.sleep(7 * round);
      await server[Symbol.asyncDispose]();
      server = await serve(inbox.path);
      await put({ state: "held" });
      await copies;
      const ran = rows("select event_id from effects order by number");
      expect(ran).toEqual(order.slice(0, ran.length));
      if (!isLast) expect(ran).toEqual([]);
    }
    while (!(await put({ state: "open", stop_on_failure: true }))) await Bun.sleep(20);
    while (rows("select 1 from hookonce_source_states").length > 0) await Bun.sleep(20);
    await using _ = server;
    expect(rows("select event_id from effects order by number")).toEqual(order);
    expect(rows("select event_id from hookonce_failures where settled_at is null")).toEqual([]);
    expect(rows("select count(*) from hookonce_events where outcome = 'processed'")).toEqual(["43"]);
  },
  300_000,
);
