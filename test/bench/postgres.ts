// `bun test/bench/postgres.ts [--rounds N] [--seconds N]` compares designs on PostgreSQL in interleaved runs, without HTTP.
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { PostgresTarget } from "../../src/config/postgres.ts";
import { connect, createCluster, overNetwork, type Cluster } from "../engines/postgres/cluster.ts";
import type { Done, Order } from "./postgres-load.ts";
import { slowNetwork } from "../support/slow-network.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "5" },
  },
});
const ROUNDS = Number(values.rounds);
const MEASURED_MS = 1000 * Number(values.seconds);
const WARM_UP_MS = 1500;

const script = (name: string): string => join(import.meta.dir, "servers", `${name}.ts`);

/** How many processes of it run at the same time. */
const DESIGNS = [
  { name: "a transaction per event, 8 connections", script: script("postgres-per-event"), nodes: 1 },
  { name: "batches with the baton, one node", script: script("postgres-node"), nodes: 1 },
  { name: "batches with the baton, two nodes", script: script("postgres-node"), nodes: 2 },
] as const;

type Design = (typeof DESIGNS)[number];

/** Makes hookonce's tables: a node that delivers nothing. */
async function prepared(cluster: Cluster): Promise<PostgresTarget> {
  const target = await cluster.database();
  await run(script("postgres-node"), { target, name: "none", warmUpMs: 0, measuredMs: 0 });
  return target;
}

async function run(file: string, order: Order): Promise<Done> {
  const child = Bun.spawn([process.execPath, file, JSON.stringify(order)], { stdout: "pipe" });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`${file} failed: ${text}`);
  return JSON.parse(text) as Done;
}

async function measured(design: Design, target: PostgresTarget): Promise<Done> {
  const results = await Promise.all(
    Array.from({ length: design.nodes }, (_, node) =>
      run(design.script, {
        target: { ...target, beside: join(`${target.beside}-${node}`, "data", "hookonce") },
        name: `node${node}`,
        warmUpMs: WARM_UP_MS,
        measuredMs: MEASURED_MS,
      }),
    ),
  );
  return {
    events: results.reduce((sum, { events }) => sum + events, 0),
    p99Ms: Math.max(...results.map(({ p99Ms }) => p99Ms)),
  };
}

/** Every event was applied once. */
async function check(target: PostgresTarget): Promise<void> {
  const connection = await connect(target);
  const [found] = await connection.read<{ cents: number; events: number }>(
    "select (select sum(cents)::bigint from balances) as cents, (select count(*) from hookonce.events) as events",
  );
  await connection.drop();
  if (found?.cents !== found?.events) throw new Error(`not each once: ${JSON.stringify(found)}`);
}

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;

await using cluster = await createCluster({ onDisk: true, settings: ["max_wal_size = 4GB"] });
const [{ port } = { port: 0 }] = cluster.target.servers;
using network = slowNetwork(port, 1);
for (const [way, viaPort] of [
  ["on the same machine", port],
  ["with a round trip of about 2 ms", network.port],
] as const) {
  const results = new Map<string, Done[]>(DESIGNS.map(({ name }) => [name, []]));
  for (let round = 0; round < ROUNDS; round++)
    for (const design of DESIGNS) {
      // oxlint-disable no-await-in-loop -- one design after another
      const target = await prepared(cluster);
      const via = overNetwork(target);
      const done = await measured(design, { ...via, servers: [{ host: "127.0.0.1", port: viaPort }] });
      await check(target);
      results.get(design.name)?.push(done);
      // oxlint-enable no-await-in-loop
    }
  console.log(`\n${way}: medians of ${ROUNDS} × ${MEASURED_MS / 1000} s`);
  for (const [name, all] of results) {
    const perSecond = median(all.map(({ events }) => (events / MEASURED_MS) * 1000));
    console.log(
      `${name.padEnd(42)}${Math.round(perSecond).toLocaleString("en").padStart(8)} events/s   p99 ${median(all.map(({ p99Ms }) => p99Ms)).toFixed(1)} ms`,
    );
  }
}
process.exit(0);
