import { Database } from "bun:sqlite";
import { expect } from "bun:test";
import { join } from "node:path";
import { scratch, serve } from "../cli/support/hookonce.ts";
import { onlyInFullRun, testUnless } from "./requirements.ts";

/** A job that kill -9 interrupts goes on by itself at the next start, and runs no event twice. */

const EVENTS = 400;

const files = {
  "hookonce.toml": `version = 1

[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
`,
  "migrations/0001_effects.sql": "create table effects (event_id text not null);",
  "handlers/default/paid.sql": "insert into effects values (:event_id);",
};

interface Job {
  readonly id: string;
  readonly state: string;
  readonly groups: readonly { readonly processed: number }[];
}

for (const action of ["apply", "replay"] as const)
  testUnless(
    onlyInFullRun(),
    `${action} goes on after kill -9, each event once`,
    async () => {
      using inbox = scratch(files);
      const unix = join(inbox.path, "data/hookonce.db.sock");
      const api = async <T>(path: string, init: RequestInit = {}): Promise<T> =>
        (await (await fetch(`http://localhost/api/${path}`, { ...init, unix })).json()) as T;
      const effects = (): { count: number; least: number; most: number } => {
        using database = new Database(join(inbox.path, "data/hookonce.db"), { readonly: true });
        const sql = `select count(*) as count, min(n) as least, max(n) as most
      from (select count(*) as n from effects group by event_id)`;
        return database.query(sql).get() as { count: number; least: number; most: number };
      };
      // An event without a handler is owed.
      const owed = action === "apply";
      if (owed) inbox.write({ "handlers/default/paid.sql": "" });
      if (owed) await Bun.file(join(inbox.path, "handlers/default/paid.sql")).delete();
      let id = "";
      {
        await using server = await serve(inbox.path);
        await Promise.all(
          Array.from({ length: EVENTS }, (_, n) =>
            server.post("/webhook", { event_id: `evt_${n}`, type: "paid" }),
          ),
        );
      }
      if (owed) inbox.write({ "handlers/default/paid.sql": files["handlers/default/paid.sql"] });
      const before = owed ? 0 : EVENTS;
      const total = (): number => {
        using database = new Database(join(inbox.path, "data/hookonce.db"), { readonly: true });
        return (database.query("select count(*) as n from effects").get() as { n: number }).n;
      };
      {
        await using _ = await serve(inbox.path);
        const body = JSON.stringify({ action, rate: 150, filter: { type: "paid" }, reason: "a test" });
        const headers = { "content-type": "application/json" };
        ({ id } = await api<Job>("jobs", { method: "POST", body, headers }));
        while (total() < before + 100) await Bun.sleep(20);
        // Leaving the block kills it.
      }
      const done = total();
      expect(done).toBeLessThan(before + EVENTS);
      await using _ = await serve(inbox.path);
      let job = await api<Job>(`jobs/${id}`);
      while (job.state === "running") {
        await Bun.sleep(50);
        job = await api<Job>(`jobs/${id}`);
      }
      expect(job.state).toBe("done");
      expect(effects()).toEqual({ count: EVENTS, least: owed ? 1 : 2, most: owed ? 1 : 2 });
      const { items } = await api<{ items: Job[] }>("jobs");
      expect(items.map((one) => [one.id, one.state])).toEqual([[id, "done"]]);
    },
    60_000,
  );

for (const action of ["apply", "replay", "discard"] as const)
  testUnless(
    onlyInFullRun(),
    `${action} with a limit keeps to it after kill -9`,
    async () => {
      using inbox = scratch(files);
      const unix = join(inbox.path, "data/hookonce.db.sock");
      const count = (sql: string): number => {
        using database = new Database(join(inbox.path, "data/hookonce.db"), { readonly: true });
        return (database.query(sql).get() as { n: number }).n;
      };
      const done = (): number =>
        action === "discard"
          ? count("select count(*) as n from hookonce_events where outcome = 'discarded'")
          : count("select count(*) as n from effects") - (action === "replay" ? 30 : 0);
      const handler = join(inbox.path, "handlers/default/paid.sql");
      if (action !== "replay") await Bun.file(handler).delete();
      {
        await using server = await serve(inbox.path);
        await Promise.all(
          Array.from({ length: 30 }, (_, n) =>
            server.post("/webhook", { event_id: `evt_${n}`, type: "paid" }),
          ),
        );
      }
      if (action === "apply")
        inbox.write({ "handlers/default/paid.sql": files["handlers/default/paid.sql"] });
      let id = "";
      {
        await using _ = await serve(inbox.path);
        const request = { action, rate: 4, filter: { type: "paid", limit: 8 }, reason: "a test" };
        const response = await fetch("http://localhost/api/jobs", {
          unix,
          method: "POST",
          body: JSON.stringify(request),
          headers: { "content-type": "application/json" },
        });
        ({ id } = (await response.json()) as Job);
        while (done() < 2) await Bun.sleep(20);
        // Leaving the block kills it.
      }
      expect(done()).toBeLessThan(8);
      await using _ = await serve(inbox.path);
      let state = "running";
      while (state === "running") {
        await Bun.sleep(50);
        const response = await fetch(`http://localhost/api/jobs/${id}`, { unix });
        ({ state } = (await response.json()) as Job);
      }
      expect(state).toBe("done");
      expect(done()).toBe(8);
    },
    60_000,
  );

testUnless(
  onlyInFullRun(),
  "two replays that kill -9 interrupts run each event once each",
  async () => {
    using inbox = scratch(files);
    const unix = join(inbox.path, "data/hookonce.db.sock");
    const runs = (): { n: number; least: number; most: number } => {
      using database = new Database(join(inbox.path, "data/hookonce.db"), { readonly: true });
      const sql = `select coalesce(sum(n), 0) as n, min(n) as least, max(n) as most
        from (select count(*) as n from effects where event_id <> 'evt_late' group by event_id)`;
      return database.query(sql).get() as { n: number; least: number; most: number };
    };
    const ids: string[] = [];
    {
      await using server = await serve(inbox.path);
      await Promise.all(
        Array.from({ length: 40 }, (_, n) => server.post("/webhook", { event_id: `evt_${n}`, type: "paid" })),
      );
      for (const rate of [10, 1000]) {
        const response = await fetch("http://localhost/api/jobs", {
          unix,
          method: "POST",
          body: JSON.stringify({ action: "replay", rate, filter: { type: "paid" }, reason: "a test" }),
          headers: { "content-type": "application/json" },
        });
        ids.push(((await response.json()) as Job).id);
      }
      while (runs().n < 45) await Bun.sleep(20);
      // Arrives after the commands, so they leave it out.
      await server.post("/webhook", { event_id: "evt_late", type: "paid" });
    }
    await using _ = await serve(inbox.path);
    for (const id of ids) {
      let state = "running";
      while (state === "running") {
        await Bun.sleep(50);
        const response = await fetch(`http://localhost/api/jobs/${id}`, { unix });
        ({ state } = (await response.json()) as Job);
      }
      expect(state).toBe("done");
    }
    expect(runs()).toEqual({ n: 120, least: 3, most: 3 });
    using database = new Database(join(inbox.path, "data/hookonce.db"), { readonly: true });
    const late = "select count(*) as n from effects where event_id = 'evt_late'";
    expect(database.query(late).get()).toEqual({ n: 1 });
  },
  60_000,
);
