import { Database } from "bun:sqlite";
import { expect } from "bun:test";
import { join } from "node:path";
import { scratch, serve } from "../cli/support/hookonce.ts";
import { onlyInFullRun, testUnless } from "./requirements.ts";
import { startServer } from "./server.ts";

/** kill -9 in the middle of retention leaves no half state, and the next start goes on. */

const EVENTS = 4000;
const KILLS = 10;
const OLD = 1_600_000_000_000;

const config = (retention: string): string => `version = 1
${retention}
[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
`;

const files = {
  "hookonce.toml": config(""),
  "migrations/0001_effects.sql": `create table effects (event_id text not null);
create table never (id integer not null) strict;`,
  "handlers/default/paid.sql": "insert into effects values (:event_id);",
  "handlers/default/fails.sql": "insert into never values (null);",
};

/** A third is processed, a third has no handler, and some fail. */
const typeOf = (n: number): string => (n % 100 === 7 ? "fails" : n % 3 === 0 ? "other" : "paid");

const EXPECTED = {
  paid: Array.from({ length: EVENTS }, (_, n) => typeOf(n)).filter((type) => type === "paid").length,
  other: Array.from({ length: EVENTS }, (_, n) => typeOf(n)).filter((type) => type === "other").length,
  fails: Array.from({ length: EVENTS }, (_, n) => typeOf(n)).filter((type) => type === "fails").length,
};

testUnless(
  onlyInFullRun(),
  "retention that kill -9 interrupts again and again ends as if it had not been",
  async () => {
    using inbox = scratch(files);
    const open = (): Database => {
      const database = new Database(join(inbox.path, "data/hookonce.db"), { strict: true });
      database.run("pragma busy_timeout = 5000");
      return database;
    };
    const count = (sql: string): number => {
      using database = open();
      return database.query(sql).values()[0]?.[0] as number;
    };
    {
      await using server = await serve(inbox.path);
      for (let from = 0; from < EVENTS; from += 200)
        await Promise.all(
          Array.from({ length: 200 }, (_, n) =>
            server.post("/webhook", {
              event_id: `evt_${from + n}`,
              type: typeOf(from + n),
              filler: "x".repeat(2000),
            }),
          ),
        );
    }
    {
      using database = open();
      for (const table of ["events", "bodies"])
        database.run(`update hookonce_${table} set received_at = ${OLD} + id`);
    }
    inbox.write({ "hookonce.toml": config('[retention]\npayloads = "30d"') });

    const bodies = "select count(*) from hookonce_bodies";
    let kills = 0;
    for (let rest = count(bodies); rest > 0; kills++) {
      const script = join(import.meta.dir, "serve-retention.ts");
      await using server = startServer([process.execPath, script, inbox.path]);
      await server.listening;
      const before = rest;
      // In the middle of a step, or between two. After some kills it may go on to the end: each start begins with
      // small steps, and a slow machine would need hundreds of starts.
      const last = kills < KILLS ? before - 1 : 0;
      while (rest > last) {
        await Bun.sleep(2);
        rest = count(bodies);
      }
      await Bun.sleep(Math.random() * 200);
      server.signal("SIGKILL");
      await server.exited;
      rest = count(bodies);

      // An event is unhandled and has its payload, or it is discarded and has none.
      expect(
        count(`select count(*) from hookonce_events as e left join hookonce_bodies as b on b.id = e.id
          where type = 'other' and (outcome = 'unhandled') <> (b.id is not null)`),
      ).toBe(0);
      using database = open();
      const [kept] = database
        .query("select value from hookonce_meta where key = 'discarded_by_retention'")
        .values();
      const discarded = kept === undefined ? 0 : (JSON.parse(String(kept[0])) as { count: number }).count;
      expect(discarded).toBe(count("select count(*) from hookonce_events where outcome = 'discarded'"));
      expect(database.query("pragma integrity_check").values()).toEqual([["ok"]]);
    }
    expect(kills).toBeGreaterThan(3);

    const outcomes = "select count(*) from hookonce_events where outcome =";
    expect(count(`${outcomes} 'processed'`)).toBe(EXPECTED.paid);
    expect(count(`${outcomes} 'discarded'`)).toBe(EXPECTED.other);
    expect(count("select count(*) from hookonce_results where reason = 'retention'")).toBe(EXPECTED.other);
    expect(count("select count(*) from hookonce_results")).toBe(EXPECTED.paid + EXPECTED.other);
    expect(count("select count(*) from effects")).toBe(EXPECTED.paid);
    expect(
      count("select count(*) from hookonce_failures where settled_at is null and length(last_body) > 2000"),
    ).toBe(EXPECTED.fails);
    await using server = await serve(inbox.path);
    const again = [0, 1].map((n) => server.post("/webhook", { event_id: `evt_${n}`, type: typeOf(n) }));
    expect((await Promise.all(again)).map(({ body }) => body["status"])).toEqual(["duplicate", "duplicate"]);
  },
  240_000,
);
