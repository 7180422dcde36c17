import { Database } from "bun:sqlite";
import { expect } from "bun:test";
import { join } from "node:path";
import { scratch, serve, type Serving } from "../cli/support/hookonce.ts";
import { needsLinux, onlyInLongRun, testUnless } from "../crash/requirements.ts";
import { binary, ensureBinary } from "../crash/server.ts";

/**
 * 10,000 failures are applied by a job while the provider sends all of them again, hookonce retries them by
 * itself, and kill -9 ends the process several times. Each takes effect once.
 */

const EVENTS = 10_000;
const KILLS = 5;
const CLIENTS = 16;

/** How long a client of the provider waits between two deliveries, in milliseconds: about 1,000 per second. */
const PAUSE_MS = 15;

/** Fails until it is mended: `ok` must be 1. */
const handler = (ok: number): string => `insert into effects values (:event_id, ${ok});`;

const files = {
  "hookonce.toml": `version = 1

[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
retry_for = "1d"
`,
  "migrations/0001_effects.sql":
    "create table effects (event_id text not null, ok integer check (ok)) strict;",
  "handlers/default/paid.sql": handler(0),
};

interface Job {
  readonly id: string;
  readonly state: string;
  readonly groups: readonly { readonly processed: number }[];
}

/** Sends every event once, and again what is not answered, until all are answered. */
async function sendAll(
  server: () => Serving,
  pauseMs: number,
  answered: (status: number) => void,
): Promise<void> {
  const left = Array.from({ length: EVENTS }, (_, n) => n);
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      for (let n = left.pop(); n !== undefined; n = left.pop()) {
        if (pauseMs > 0) await Bun.sleep(pauseMs);
        const { status } = await server()
          .post("/webhook", { event_id: `evt_${n}`, type: "paid" })
          .catch(() => ({ status: 0 }));
        if (status !== 0) answered(status);
        if (status !== 0 && status !== 503) continue;
        left.unshift(n);
        await Bun.sleep(20);
      }
    }),
  );
}

testUnless(
  onlyInLongRun() ?? needsLinux(),
  "10,000 failures, applied while they are sent again and kill -9 interrupts: each once",
  async () => {
    await ensureBinary();
    using inbox = scratch(files);
    const start = (): Promise<Serving> => serve(inbox.path, { program: [binary] });
    const rows = (sql: string): unknown[] => {
      using database = new Database(join(inbox.path, "data/hookonce.db"), { readonly: true });
      return database.query(sql).all();
    };
    const count = (sql: string): number => (rows(sql) as { n: number }[])[0]?.n ?? -1;
    const effects = (): number => count("select count(*) as n from effects");

    const statuses = new Map<number, number>();
    const counting = (status: number): void => {
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    };
    let server = await start();
    await sendAll(() => server, 0, counting);
    expect([...statuses]).toEqual([[500, EVENTS]]);
    expect(count("select count(*) as n from hookonce_failures")).toBe(EVENTS);
    await server[Symbol.asyncDispose]();

    inbox.write({ "handlers/default/paid.sql": handler(1) });
    server = await start();
    const unix = join(inbox.path, "data/hookonce.db.sock");
    const job = (await (
      await fetch("http://localhost/api/jobs", {
        unix,
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ action: "apply", filter: { type: "paid" }, reason: "mended" }),
      })
    ).json()) as Job;
    statuses.clear();
    const sent = sendAll(() => server, PAUSE_MS, counting);
    const interruptedAt: number[] = [];
    for (let kill = 1; kill <= KILLS; kill++) {
      while (effects() < (kill * EVENTS) / (KILLS + 2)) await Bun.sleep(10);
      interruptedAt.push(effects());
      await server[Symbol.asyncDispose]();
      server = await start();
    }
    await sent;
    let groups: Job["groups"] = [];
    for (let state = "running"; state !== "done"; await Bun.sleep(100)) {
      const view = await fetch(`http://localhost/api/jobs/${job.id}`, { unix });
      ({ state, groups } = (await view.json()) as Job);
      expect(["running", "done"]).toContain(state);
    }
    await server[Symbol.asyncDispose]();

    expect([...statuses.keys()].filter((status) => status !== 503)).toEqual([200]);
    expect(rows("select count(*) as n, count(distinct event_id) as ids from effects")).toEqual([
      { n: EVENTS, ids: EVENTS },
    ]);
    expect(count("select count(*) as n from hookonce_failures where settled_at is null")).toBe(0);
    expect(rows("select outcome, count(*) as n from hookonce_events group by outcome")).toEqual([
      { outcome: "processed", n: EVENTS },
    ]);
    const byJob = groups.reduce((sum, { processed }) => sum + processed, 0);
    expect(byJob).toBeGreaterThan(0);
    console.log(
      `${EVENTS} failures, killed after ${interruptedAt.join(", ")} effects, at least ${byJob} of them by the job: each applied once`,
    );
  },
  300_000,
);
