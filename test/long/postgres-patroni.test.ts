import { expect } from "bun:test";
import { scratch, serve, type Scratch, type Serving } from "../cli/support/hookonce.ts";
import { onlyInLongRun, testUnless } from "../crash/requirements.ts";
import { connectTo } from "../../src/engines/postgres/connection.ts";
import { targetOn } from "../engines/postgres/cluster.ts";
import { createPatroni, needsPatroni } from "./patroni.ts";

/**
 * Two nodes reach a Patroni cluster through haproxy. Its primary is killed five times while providers deliver. Nothing
 * that was answered is lost, and nothing is applied twice.
 */

const KILLS = 5;
const CLIENTS = 8;

/** How long a client waits between two events, in milliseconds: about 150 events per second. */
const PAUSE_MS = 50;

/** How long to deliver to a whole cluster before each kill and after the last one, in milliseconds. */
const BETWEEN_MS = 3000;

const files = (port: number): Record<string, string> => ({
  "hookonce.toml": `version = 1
database = "postgres://postgres@127.0.0.1:${port}/postgres"

[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
`,
  "migrations/0001_effects.sql": "create table effects (event_id text not null);",
  "handlers/default/paid.sql": "insert into effects values (:event_id);",
});

/** Delivers events until it is stopped, each until it is answered 200. */
function createLoad(nodes: readonly Serving[]) {
  const answered: string[] = [];
  /** When an answer 200 came, in milliseconds. */
  const times: number[] = [];
  const statuses = new Map<number | string, number>();
  const stop = new AbortController();
  let next = 0;

  async function deliver(id: string, node: number): Promise<boolean> {
    const url = `${nodes[node % nodes.length]?.url ?? ""}/webhook`;
    const body = JSON.stringify({ event_id: id, type: "paid" });
    const status = await fetch(url, { method: "POST", body, signal: AbortSignal.timeout(60_000) }).then(
      (response) => response.status,
      (error: unknown) => String(error),
    );
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    if (status !== 200) return false;
    times.push(performance.now());
    return true;
  }

  async function client(): Promise<void> {
    while (!stop.signal.aborted) {
      const n = next++;
      const id = `evt_${n}`;
      // Some providers deliver an event twice at the same time.
      const copy = n % 4 === 0 ? deliver(id, n + 1) : undefined;
      for (let tries = n; !(await deliver(id, tries)); tries++) await Bun.sleep(100);
      await copy;
      answered.push(id);
      await Bun.sleep(PAUSE_MS);
    }
  }

  const clients = Array.from({ length: CLIENTS }, client);
  return {
    answered,
    statuses,
    /** The longest time without an answer since then. */
    longestGapSince(since: number): number {
      const after = [since, ...times.filter((time) => time > since)];
      return Math.max(...after.slice(1).map((time, index) => time - (after[index] ?? time)));
    },
    async answer(): Promise<void> {
      const before = times.length;
      while (times.length === before) await Bun.sleep(20);
    },
    async stop(): Promise<void> {
      stop.abort();
      await Promise.all(clients);
    },
  };
}

testUnless(
  onlyInLongRun() ?? needsPatroni(),
  "the primary of a Patroni cluster is killed five times under load: nothing is lost, and nothing doubled",
  async () => {
    await using cluster = await createPatroni();
    await cluster.whole();
    const folders: Scratch[] = [];
    const nodes: Serving[] = [];
    try {
      for (let node = 0; node < 2; node++) {
        const folder = scratch(files(cluster.port));
        folders.push(folder);
        // oxlint-disable-next-line no-await-in-loop -- the second one finds what the first one has made
        nodes.push(await serve(folder.path));
      }
      const load = createLoad(nodes);
      const gaps: number[] = [];
      for (let kill = 0; kill < KILLS; kill++) {
        // oxlint-disable no-await-in-loop -- one kill after another
        await cluster.whole();
        await Bun.sleep(BETWEEN_MS);
        await load.answer();
        const at = performance.now();
        const name = await cluster.killLeader();
        // What was on its way is answered before that.
        await Bun.sleep(1000);
        await load.answer();
        gaps.push(load.longestGapSince(at));
        cluster.restart(name);
        // oxlint-enable no-await-in-loop
      }
      await cluster.whole();
      await Bun.sleep(BETWEEN_MS);
      await load.stop();

      const target = targetOn(cluster.port);
      const connection = await connectTo(target, target.servers[0] ?? { host: "", port: 0 });
      const effects = await connection.read<{ id: string; count: number }>(
        "select event_id as id, count(*) as count from effects group by event_id",
      );
      const events = await connection.read<{ id: string }>(
        "select event_id as id from hookonce.events where outcome = 'processed'",
      );
      await connection.drop();
      console.log(
        `${load.answered.length} events answered; without answers for ${gaps.map((ms) => (ms / 1000).toFixed(1)).join(", ")} s; ` +
          [...load.statuses].map(([status, count]) => `${status}: ${count}`).join(", "),
      );
      const applied = new Set(effects.map(({ id }) => id));
      expect(load.answered.filter((id) => !applied.has(id))).toEqual([]);
      expect(effects.filter(({ count }) => count > 1)).toEqual([]);
      expect(new Set(events.map(({ id }) => id))).toEqual(applied);
      // Whatever the server did, no node has ended.
      for (const node of nodes) expect((await fetch(`${node.url}/readyz`)).status).toBe(200);
    } finally {
      for (const node of nodes) await node[Symbol.asyncDispose]();
      for (const folder of folders) folder[Symbol.dispose]();
    }
  },
  1_800_000,
);
