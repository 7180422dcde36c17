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
  readonly groups: readonly { readonly processed: number; readonly alreadyDone: number }[];
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
