import { beforeAll, expect, test } from "bun:test";
import type { PostgresTarget } from "../../../src/config/postgres.ts";
import type { Reader } from "../../../src/engines/reader.ts";
import { createNode, nameOfNode, register, type Node } from "../../../src/engines/postgres/nodes.ts";
import { createPool } from "../../../src/engines/postgres/pool.ts";
import { createServer } from "../../../src/engines/postgres/server.ts";
import { atomically, writeOwn } from "../../../src/engines/postgres/transaction.ts";
import { HookonceError } from "../../../src/errors.ts";
import { nodeDifferences } from "../../../src/inbox/node-differences.ts";
import { deliver, pause, resume, runHeld, sourceWith } from "../../conformance/jobs.ts";
import { openEngine, type OpenEngine } from "../../conformance/open-engine.ts";
import { harness } from "../../conformance/postgres.ts";
import { describeUnless, onlyInFullRun } from "../../crash/requirements.ts";
import { connect, postgresPrograms, sharedCluster, STARTS_WITHIN_MS } from "./cluster.ts";

/** Two engines on one database, as two nodes have them. */

const missing = postgresPrograms() === undefined ? "no PostgreSQL server is installed" : onlyInFullRun();

const forwarding = sourceWith({ forwards: [{ destination: "app", takes: () => true, where: undefined }] });

const commandRun = { pid: 1, startedAt: null, bootId: null };

interface TwoNodes extends AsyncDisposable {
  readonly one: OpenEngine;
  readonly two: OpenEngine;
  readonly readers: readonly [Reader, Reader];
  readonly target: PostgresTarget;
}

async function twoNodes(): Promise<TwoNodes> {
  const one = await openEngine(harness);
  const target = JSON.parse(one.store.location) as PostgresTarget;
  const elsewhere = { ...target, beside: `${target.beside}-2/data/hookonce` };
  const two = await openEngine(harness, harness.at(JSON.stringify(elsewhere)));
  return {
    one,
    two,
    target,
    readers: [await one.engine.reader(), await two.engine.reader()],
    async [Symbol.asyncDispose]() {
      await two[Symbol.asyncDispose]();
      await one[Symbol.asyncDispose]();
    },
  };
}

const NOW = 2000;
const how = (most?: number) => ({ now: NOW, destination: "app", most });

async function query<Row extends object>(target: PostgresTarget, text: string): Promise<Row[]> {
  const connection = await connect(target);
  try {
    return await connection.read<Row>(text);
  } finally {
    await connection.drop();
  }
}

/** As the server's owner does it. */
async function change(target: PostgresTarget, text: string): Promise<void> {
  const connection = await connect(target);
  await connection.script(`begin; set local hookonce.own = 'on'; ${text}; commit`);
  await connection.drop();
}

const attempt = (row: number, state: "delivered" | "dead") =>
  ({
    kind: "record",
    entries: [
      {
        entry: "attempt",
        message: row,
        at: NOW,
        ms: 1,
        status: 200,
        error: null,
        answer: "",
        next: { state },
      },
    ],
  }) as const;

const started = (row: number) =>
  ({ kind: "record", entries: [{ entry: "command started", message: row, run: commandRun }] }) as const;

const beside = (target: PostgresTarget, name: string): PostgresTarget => ({
  ...target,
  beside: `/${name}/data/hookonce`,
});

async function until(isTrue: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await isTrue())) await Bun.sleep(20);
}

/** Runs what is held, until nothing is. */
async function untilOpen(node: OpenEngine): Promise<void> {
  for (let left: unknown; left !== null;) [left] = await node.commit([runHeld()]);
}

const record = (...entries: object[]) => ({ kind: "record", entries }) as never;

const codeOf = (result: unknown): unknown => (result instanceof HookonceError ? result.code : result);

describeUnless(missing, "nodes on one database", () => {
  beforeAll(() => sharedCluster(), STARTS_WITHIN_MS);

  test("a message is sent by one of them at a time, and by the other once it is free", async () => {
    await using it = await twoNodes();
    const [first, second] = it.readers;
    await it.one.commit([deliver("a", { source: forwarding })]);
    const [due] = await first.dueMessages("app", NOW, 10);
    const row = due?.row ?? 0;
    expect(await first.claim(row, how())).toMatchObject({ eventId: "a", state: "waiting" });
    expect(await second.dueMessages("app", NOW, 10)).toEqual([]);
    expect(await second.nextDue("app")).toBeNull();
    expect(await second.claim(row, how())).toBeUndefined();
    await first.release(row);
    expect(await second.claim(row, how())).toMatchObject({ eventId: "a" });
    await it.two.commit([attempt(row, "delivered")]);
    expect(await first.claim(row, how())).toBeUndefined();
    expect(await query(it.target, "select from hookonce.claims")).toHaveLength(0);
  }, 30_000);

  test("two that ask for many messages at the same time get each message once", async () => {
    await using it = await twoNodes();
    const ids = Array.from({ length: 30 }, (_, n) => `evt_${n}`);
    await it.one.commit(ids.map((id) => deliver(id, { source: forwarding })));
    const rows = (await it.readers[0].dueMessages("app", NOW, 100)).map(({ row }) => row);
    const all = await Promise.all(
      rows.flatMap((row) => it.readers.map(async (reader) => reader.claim(row, how()))),
    );
    expect(all.filter((one) => one !== undefined)).toHaveLength(30);
  }, 30_000);

  test("all nodes together run as many commands of a destination as it allows", async () => {
    await using it = await twoNodes();
    const [first, second] = it.readers;
    await it.one.commit([deliver("a", { source: forwarding }), deliver("b", { source: forwarding })]);
    const [a = 0, b = 0] = (await first.dueMessages("app", NOW, 10)).map(({ row }) => row);
    expect(await first.claim(a, how(1))).toMatchObject({ eventId: "a" });
    expect(await second.claim(b, how(1))).toBe("busy");
    await it.one.commit([attempt(a, "delivered")]);
    expect(await second.claim(b, how(1))).toMatchObject({ eventId: "b" });
  }, 30_000);

  test("another node takes over from one that is gone, whose late result is not recorded", async () => {
    await using it = await twoNodes();
    const [first, second] = it.readers;
    await it.one.commit([deliver("a", { source: forwarding })]);
    const [due] = await first.dueMessages("app", NOW, 10);
    const row = due?.row ?? 0;
    await first.claim(row, how(1));
    await it.one.commit([started(row)]);
    expect(await second.cutCommands()).toEqual([]);
    // The other one removes it after a silence.
    const [own] = await query<{ id: string }>(
      it.target,
      "select id from hookonce.nodes where name not like '%-2'",
    );
    await change(it.target, `delete from hookonce.nodes where id = '${own?.id}'`);
    expect(await second.cutCommands()).toMatchObject([{ row }]);
    await change(it.target, "update hookonce.messages set state = 'interrupted'");
    expect(await second.claim(row, how(1))).toMatchObject({ eventId: "a" });
    expect((await it.one.commit([started(row)])).map(codeOf)).toEqual(["not_owed"]);
    await it.one.commit([attempt(row, "dead")]);
    expect(await query(it.target, "select state from hookonce.messages")).toEqual([{ state: "interrupted" }]);
    await it.two.commit([attempt(row, "delivered")]);
    await it.one.commit([attempt(row, "dead")]);
    expect(await query(it.target, "select state from hookonce.messages")).toEqual([{ state: "delivered" }]);
  }, 30_000);

  test("a job goes on at another node only if its node is gone", async () => {
    await using it = await twoNodes();
    const job = {
      id: "job",
      action: "apply",
      actor: "ada",
      startedAt: 1,
      endedAt: null,
      request: "{}",
      progress: "{}",
      changed: 0,
    };
    await it.one.commit([record({ entry: "job", job })]);
    expect(await it.readers[1].unendedJobs()).toMatchObject([{ id: "job", isTaken: true }]);
    const take = record({ entry: "take job", id: "job" });
    expect((await it.two.commit([take])).map(codeOf)).toEqual(["job_running"]);
    await change(it.target, "delete from hookonce.nodes where name not like '%-2'");
    expect(await it.readers[1].unendedJobs()).toMatchObject([{ id: "job", isTaken: false }]);
    expect((await it.two.commit([take])).map(codeOf)).toEqual([null]);
    await it.two.commit([record({ entry: "job", job: { ...job, endedAt: 2 } })]);
    expect(await query(it.target, "select from hookonce.claims")).toHaveLength(0);
  }, 30_000);

  test("both resume a source, and what is held runs once and in the order received", async () => {
    await using it = await twoNodes();
    const ids = Array.from({ length: 40 }, (_, n) => `evt_${n}`);
    // It is paused at one of them, and holds what the other one gets.
    await it.one.commit([pause()]);
    await it.two.commit(ids.map((id) => deliver(id)));
    await it.one.commit([resume()]);
    await Promise.all([untilOpen(it.one), untilOpen(it.two)]);
    const { effects } = await it.one.contents();
    expect(effects.map(({ eventId }) => eventId)).toEqual(ids);
    expect(await it.readers[1].sourceStates()).toEqual([]);
  }, 30_000);

  test("a failure that is due runs again at one of them", async () => {
    await using it = await twoNodes();
    const source = sourceWith({ retryForMs: 1e9 });
    await it.one.commit([deliver("a", { source, fail: true })]);
    const at = 1000 + 3_600_000;
    const retry = { kind: "apply", source, eventId: "a", at, isRetry: true, ifDueBy: at } as const;
    await it.one.commit([retry]);
    await it.two.commit([retry]);
    const [failure] = (await it.one.contents()).failures;
    expect(failure).toMatchObject({ attempts: 2, settled: false, retried: true });
  }, 30_000);
});

describeUnless(missing, "the presence of nodes", () => {
  const PACE = { beatMs: 20, goneMs: 500 };

  async function join(target: PostgresTarget, heard: string[] = []): Promise<Node> {
    const server = createServer(target);
    const id = crypto.randomUUID();
    const wire = await server.connect();
    await atomically(wire, async () => {
      await writeOwn(wire);
      await register(wire, id, nameOfNode(target.beside));
    });
    await wire.drop();
    const events = { onGone: () => void heard.push("gone"), onLost: () => void heard.push("lost") };
    return createNode(createPool(server, 2), nameOfNode(target.beside), id, events, PACE);
  }

  test("each sees what the others have loaded, and which of them has gone silent", async () => {
    await using it = await openEngine(harness);
    const target = JSON.parse(it.store.location) as PostgresTarget;
    const one = await join(beside(target, "one"));
    const heard: string[] = [];
    const two = await join(beside(target, "two"), heard);
    one.show({ version: "1", config: "a", handlers: "x" });
    two.show({ version: "1", config: "b", handlers: "x" });
    const reader = await it.engine.reader();
    const shown = async () =>
      (await reader.nodes())
        .filter(({ version }) => version !== null)
        .map(({ name, config }) => `${name.split(":")[1]} ${config}`);
    await until(async () => (await shown()).length === 2);
    expect(await shown()).toEqual(["/one a", "/two b"]);
    expect(nodeDifferences(await reader.nodes())).toContain("different configs");
    await one.close();
    expect(await shown()).toEqual(["/two b"]);
    expect(nodeDifferences(await reader.nodes())).toBeUndefined();
    // One that has ended without a word.
    await change(
      target,
      "insert into hookonce.nodes (id, name, started_at, seen_at) values ('x', 'host:/x', 1, 1)",
    );
    await until(() => heard.includes("gone"));
    expect(await query(target, "select from hookonce.nodes where id = 'x'")).toHaveLength(0);
    await two.close();
  }, 30_000);

  test("one that was thought to be gone comes back as another one", async () => {
    await using it = await openEngine(harness);
    const target = JSON.parse(it.store.location) as PostgresTarget;
    const heard: string[] = [];
    const one = await join(beside(target, "one"), heard);
    const before = one.id;
    await change(target, `delete from hookonce.nodes where id = '${before}'`);
    await until(() => heard.includes("lost"));
    expect(one.id).not.toBe(before);
    expect(await query(target, `select from hookonce.nodes where id = '${one.id}'`)).toHaveLength(1);
    await one.close();
  }, 30_000);

  test("a start on the same folder takes the place of the process before it", async () => {
    await using it = await openEngine(harness);
    const target = JSON.parse(it.store.location) as PostgresTarget;
    await change(
      target,
      `insert into hookonce.nodes (id, name, started_at, seen_at) values ('x', '${nameOfNode("/one/data/hookonce")}', 1, 1)`,
    );
    const one = await join(beside(target, "one"));
    expect(await query(target, "select id from hookonce.nodes where name like '%/one'")).toEqual([
      { id: one.id },
    ]);
    await one.close();
  }, 30_000);
});
