import { expect } from "bun:test";
import type { PostgresTarget } from "../../src/config/postgres.ts";
import { onlyInLongRun, testUnless } from "../crash/requirements.ts";
import { connect, createCluster, overNetwork, postgresPrograms } from "../engines/postgres/cluster.ts";
import { checkEffects, createFleet, storm, type Storm } from "./fleet.ts";

/**
 * Two and three nodes on one database under a storm of duplicates, while nodes and the server's processes are killed:
 * each event takes effect once.
 */

const missing = postgresPrograms() === undefined ? "no PostgreSQL server is installed" : undefined;
const reason = onlyInLongRun() ?? missing;

const allOf = (events: number): Set<number> => new Set(Array.from({ length: events }, (_, n) => n));

function say(what: string, { statuses, longestGapMs }: Storm): void {
  const counts = [...statuses].map(([status, count]) => `${count} × ${status || "no answer"}`).join(", ");
  console.log(`${what}: ${counts}; longest time without an answer ${Math.round(longestGapMs())} ms`);
}

/** Ends some of the server's processes that belong to nodes. @returns how many */
async function endBackends(target: PostgresTarget, kill: "terminate" | "SIGKILL"): Promise<number> {
  const admin = await connect(target).catch(() => undefined);
  if (admin === undefined) return 0;
  try {
    const backends = await admin.read<{ pid: number }>(
      `select pid from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
       order by random() limit 3`,
    );
    for (const { pid } of backends)
      if (kill === "terminate") await admin.read("select pg_terminate_backend($1)", [pid]);
      // The server then ends all of its processes, and recovers.
      else if (pid === backends[0]?.pid) process.kill(pid, "SIGKILL");
    return backends.length;
  } catch {
    return 0;
  } finally {
    await admin.drop();
  }
}

async function whileStorming(
  running: Storm,
  events: number,
  disturb: (round: number) => Promise<void>,
): Promise<number> {
  let rounds = 0;
  while (running.answered.size < events) {
    await Bun.sleep(300 + Math.random() * 700);
    await disturb(rounds++);
  }
  await running.ended;
  return rounds;
}

for (const count of [2, 3])
  testUnless(
    reason,
    `${count} nodes, killed at random, with connections that are ended at random: each event once`,
    async () => {
      const events = 2000;
      await using cluster = await createCluster();
      const target = await cluster.database();
      await using fleet = await createFleet([overNetwork(target)], count);
      const running = storm(fleet.nodes, { events, clients: 48, copies: 3 });
      const done = { nodes: 0, backends: 0 };
      await whileStorming(running, events, async (round) => {
        if (round % 3 !== 2) {
          done.backends += await endBackends(target, "terminate");
          return;
        }
        const node = fleet.nodes[Math.floor(Math.random() * count)];
        await node?.kill();
        done.nodes++;
        // The others go on alone for a moment.
        await Bun.sleep(Math.random() * 1000);
        await node?.start();
      });
      say(`${count} nodes, ${done.nodes} killed, ${done.backends} connections ended`, running);
      expect(done.nodes).toBeGreaterThan(0);
      expect([...running.statuses.keys()].filter((status) => ![0, 200, 503].includes(status))).toEqual([]);
      await checkEffects(target, allOf(events));
    },
    600_000,
  );

testUnless(
  reason,
  "a server that crashes under load, by kill -9 of a process and by pg_ctl: each event once",
  async () => {
    const events = 1500;
    await using cluster = await createCluster();
    const target = await cluster.database();
    await using fleet = await createFleet([overNetwork(target)], 2);
    const running = storm(fleet.nodes, { events, clients: 48, copies: 2 });
    let crashes = 0;
    await whileStorming(running, events, async (round) => {
      if (round % 2 === 0) crashes += Math.min(1, await endBackends(target, "SIGKILL"));
      else {
        await cluster.stop("immediate");
        await Bun.sleep(500);
        await cluster.start();
        crashes++;
      }
      await Bun.sleep(1000);
    });
    say(`${crashes} crashes of the server`, running);
    expect(crashes).toBeGreaterThan(1);
    await checkEffects(target, allOf(events));
  },
  600_000,
);

testUnless(
  reason,
  "a node that is frozen holds up the others for a limited time, and each event is applied once",
  async () => {
    const events = 1000;
    await using cluster = await createCluster();
    const target = await cluster.database();
    await using fleet = await createFleet([overNetwork(target)], 2);
    const running = storm(fleet.nodes, { events, clients: 32, copies: 2, patienceMs: 3000 });
    while (running.answered.size < events / 4) await Bun.sleep(20);
    const [frozen] = fleet.nodes;
    const admin = await connect(target);
    // Until it is frozen while it has the baton.
    for (let hasBaton = false; !hasBaton;) {
      frozen?.signal("SIGCONT");
      await Bun.sleep(20);
      frozen?.signal("SIGSTOP");
      await Bun.sleep(20);
      const port = `select pid from pg_locks where locktype = 'advisory' and granted and objid = 2`;
      const [held] = await admin.read<{ pid: number }>(port);
      await Bun.sleep(50);
      const [still] = await admin.read<{ pid: number }>(port);
      const idle = await admin.read<{ pid: number }>(
        "select pid from pg_stat_activity where state = 'idle in transaction' and pid = $1",
        [held?.pid ?? 0],
      );
      hasBaton = held !== undefined && held.pid === still?.pid && idle.length === 1;
    }
    const before = running.answered.size;
    const began = performance.now();
    while (running.answered.size === before) await Bun.sleep(20);
    const heldUpMs = performance.now() - began;
    console.log(`a frozen node held up the other one for ${Math.round(heldUpMs)} ms`);
    await Bun.sleep(1000);
    frozen?.signal("SIGCONT");
    await admin.drop();
    await running.ended;
    say("one node frozen", running);
    expect(heldUpMs).toBeLessThan(60_000);
    await checkEffects(target, allOf(events));
  },
  600_000,
);
