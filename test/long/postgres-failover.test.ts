import { expect } from "bun:test";
import { HookonceError } from "../../src/errors.ts";
import { deliver, inWords } from "../conformance/jobs.ts";
import { openEngine } from "../conformance/open-engine.ts";
import { createStoreOn, harness } from "../conformance/postgres.ts";
import { onlyInLongRun, testUnless } from "../crash/requirements.ts";
import {
  connect,
  createCluster,
  overNetwork,
  postgresPrograms,
  type Cluster,
} from "../engines/postgres/cluster.ts";
import { checkEffects, createFleet, lostAndDoubled, storm, type Storm } from "./fleet.ts";

/**
 * The primary is killed under load while its standby lags, and the standby is promoted. With a synchronous standby no
 * answered event is lost. Without, some are: that shows that the test can see it.
 */

const missing = postgresPrograms() === undefined ? "no PostgreSQL server is installed" : undefined;
const reason = onlyInLongRun() ?? missing;

const EVENTS = 2000;

/** How long the primary sends nothing to it before the primary is killed, in milliseconds. */
const LAG_MS = 500;

async function read<Row extends object>({ target }: Cluster, text: string): Promise<Row[]> {
  const connection = await connect(target);
  try {
    return await connection.read<Row>(text);
  } finally {
    await connection.drop();
  }
}

async function waitForStandby(primary: Cluster, isSynchronous: boolean): Promise<void> {
  const connection = await connect(primary.target);
  if (isSynchronous) {
    await connection.send("alter system set synchronous_standby_names = '*'");
    await connection.read("select pg_reload_conf()");
  }
  await connection.drop();
  const state = isSynchronous ? "sync" : "async";
  const text = `select from pg_stat_replication where state = 'streaming' and sync_state = '${state}'`;
  while ((await read(primary, text)).length === 0) await Bun.sleep(50);
}

/** @returns what was answered, and the longest time without an answer */
async function failOver(isSynchronous: boolean, copies: number) {
  const primary = await createCluster();
  const standby = await createCluster({ standbyOf: primary });
  await waitForStandby(primary, isSynchronous);
  const target = await primary.database();
  const next = { ...standby.target, database: target.database };
  const fleet = await createFleet([overNetwork(target), overNetwork(next)], 2);
  const running: Storm = storm(fleet.nodes, { events: EVENTS, clients: 32, copies, patienceMs: 5000 });
  while (running.answered.size < EVENTS / 3) await Bun.sleep(20);
  const [sender] = await read<{ pid: number }>(primary, "select pid from pg_stat_replication");
  process.kill(sender?.pid ?? 0, "SIGSTOP");
  const before = running.answered.size;
  await Bun.sleep(LAG_MS);
  const whileLagging = running.answered.size - before;
  const stopped = primary.stop("immediate");
  // A process that is frozen does not end by itself.
  process.kill(sender?.pid ?? 0, "SIGKILL");
  await stopped;
  await standby.promote();
  await running.ended;
  return {
    running,
    target: next,
    whileLagging,
    async [Symbol.asyncDispose]() {
      await fleet[Symbol.asyncDispose]();
      await standby[Symbol.asyncDispose]();
      await primary[Symbol.asyncDispose]();
    },
  };
}

function say(what: string, { statuses, longestGapMs }: Storm, whileLagging: number): void {
  const counts = [...statuses].map(([status, count]) => `${count} × ${status || "no answer"}`).join(", ");
  console.log(
    `${what}: ${counts}; ${whileLagging} answered while the standby lagged; longest time without an answer ${Math.round(longestGapMs())} ms`,
  );
}

testUnless(
  reason,
  "a primary that is killed loses no answered event if its standby is synchronous, and doubles none",
  async () => {
    await using done = await failOver(true, 2);
    say("synchronous standby", done.running, done.whileLagging);
    await checkEffects(done.target, new Set(Array.from({ length: EVENTS }, (_, n) => n)));
  },
  600_000,
);

testUnless(
  reason,
  "a primary that is killed loses answered events if its standby is asynchronous",
  async () => {
    await using done = await failOver(false, 1);
    const { lost, doubled } = await lostAndDoubled(done.target, done.running.answered);
    say(`asynchronous standby, ${lost.length} lost`, done.running, done.whileLagging);
    expect(lost.length).toBeGreaterThan(0);
    expect(doubled).toEqual([]);
  },
  600_000,
);

testUnless(
  reason,
  "a delivery that waits for a standby is refused in a limited time, and its retry is a duplicate",
  async () => {
    await using primary = await createCluster();
    await using standby = await createCluster({ standbyOf: primary });
    await waitForStandby(primary, true);
    await using it = await openEngine(harness, await createStoreOn(primary));
    const outcomesOf = async (...ids: readonly string[]): Promise<string[]> =>
      (await it.commit(ids.map((id) => deliver(id)))).map((result) => inWords(result));
    expect(await outcomesOf("before")).toEqual(["processed"]);
    await standby.stop();
    expect(await outcomesOf("waits")).toEqual(["refused database_unreachable"]);
    // It has the baton until the standby is back, and nobody sees what it has written.
    const blocked = await it.engine.commit([deliver("next")], { workMs: 20, handlers: it.bind() });
    expect(blocked.blocked).toMatchObject({ code: "database_locked" });
    expect((await it.contents()).effects.map(({ eventId }) => eventId)).toEqual(["before"]);
    const probe = await Promise.resolve(it.engine.probe(1)).catch((error: unknown) => error);
    expect(probe).toBeInstanceOf(HookonceError);
    await standby.start();
    let outcomes: string[];
    do outcomes = await outcomesOf("waits", "next");
    while (outcomes[0]?.startsWith("refused"));
    expect(outcomes).toEqual(["duplicate", "processed"]);
    expect((await it.contents()).effects.map(({ eventId }) => eventId)).toEqual(["before", "waits", "next"]);
  },
  300_000,
);
