import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { EventSource, Incoming, Result } from "../../src/engines/engine.ts";
import type { LogSync } from "../../src/engines/sqlite/log-sync.ts";
import { migrate, ownSet } from "../../src/engines/sqlite/migrations.ts";
import { openDatabase } from "../../src/engines/sqlite/open.ts";
import { ownMigrations } from "../../src/engines/sqlite/own-migrations.ts";
import { createSqliteEngine } from "../../src/engines/sqlite/sqlite-engine.ts";
import { policy } from "../../src/inbox/decide.ts";
import type { LoadedSet } from "../../src/inbox/loaded-set.ts";
import { createQueue, type Queue } from "../../src/inbox/queue.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const source: EventSource = {
  name: "default",
  handlersOf: "default",
  unhandled: "record",
  requireChange: false,
  sameBody: false,
  retryForMs: 0,
  retryWindowMs: 0,
  payloadOf: () => undefined,
  typeOf: () => undefined,
};

const forwarding: EventSource = {
  ...source,
  name: "forwarding",
  forwards: [{ destination: "app", takes: () => true, where: undefined }],
};

const loaded: LoadedSet = {
  sources: new Map([source, forwarding].map((one) => [one.name, one])),
  handlers: { for: () => null, files: [] },
};

function event(id: string, from = source): Incoming {
  const body = Buffer.from(JSON.stringify({ event_id: id }));
  return {
    source: from,
    batch: undefined,
    input: {
      id,
      type: "",
      source: from.name,
      receivedAt: 1,
      payloadJson: body.toString(),
      headersJson: "{}",
      body,
    },
  };
}

/** A queue and an engine on a real database, whose disk answers when the test says so. */
interface Writer extends Disposable {
  readonly commit: (id: string, from?: EventSource) => Promise<Result>;
  /** How many messages are due. */
  readonly due: () => Promise<number>;
  /** The destinations that were named to the outbox. */
  readonly woken: string[];
  /** A job that writes nothing. */
  readonly writeNothing: () => Promise<null>;
  readonly drain: Queue["drain"];
  /** One for each sync that the disk was asked for. */
  readonly asked: PromiseWithResolvers<void>[];
  readonly fatal: unknown[];
  /** How many transactions were committed. */
  readonly transactions: () => number;
  /** Resolves when this many deliveries are committed. */
  readonly committed: (count: number) => Promise<void>;
}

/** @param durableBy `commit` if COMMIT itself waits for the disk */
function writer(durableBy: "sync" | "commit" = "sync"): Writer {
  const folder = temporaryFolder("answered");
  const path = join(folder, "hookonce.db");
  const { connection } = openDatabase(path);
  migrate(connection, ownSet(ownMigrations), 1);
  const reader = new Database(path, { readonly: true });
  const asked: PromiseWithResolvers<void>[] = [];
  const fatal: unknown[] = [];
  const woken: string[] = [];
  const onFatal = (error: unknown): void => void fatal.push(error);
  const logSync: LogSync = {
    beside() {
      const answer = Promise.withResolvers<void>();
      asked.push(answer);
      return answer.promise;
    },
    now() {
      throw new Error("two deliveries at a time are not synced at once");
    },
  };
  const engine = createSqliteEngine(connection, {
    policy,
    onFatal,
    onLateError: onFatal,
    onSyncInCommit: onFatal,
    logSync: durableBy === "sync" ? logSync : null,
    onMessages: (destinations) => void woken.push(...destinations),
  });
  let transactions = 0;
  const queue = createQueue(
    {
      overlaps: engine.overlaps,
      commit(jobs, how) {
        transactions++;
        return engine.commit(jobs, how);
      },
    },
    // However busy the machine is, no batch ends early.
    { maxWorkMs: Number.POSITIVE_INFINITY, loaded: () => loaded, onFatal },
  );
  return {
    commit: (id, from) => queue.deliver(event(id, from)),
    due: async () => (await (await engine.reader()).dueMessages("app", 2, 10)).length,
    woken,
    writeNothing: () => queue.write({ kind: "record", entries: [] }, new AbortController().signal),
    drain: () => queue.drain(),
    asked,
    fatal,
    transactions: () => transactions,
    async committed(count) {
      const seen = reader.prepare("select coalesce(sum(deliveries), 0) from hookonce_events");
      while ((seen.values()[0]?.[0] as number) < count) await Bun.sleep(1);
    },
    [Symbol.dispose]() {
      reader.close(true);
      connection.close(true);
      rmSync(folder, { recursive: true });
    },
  };
}

/** The ids of those that are answered after 5 ms. */
async function answeredOf(answers: Record<string, Promise<unknown>>): Promise<string[]> {
  const answered: string[] = [];
  for (const [id, answer] of Object.entries(answers)) {
    void answer.then(() => answered.push(id));
  }
  await Bun.sleep(5);
  return answered;
}

describe("a delivery is answered after a sync that began after its commit", () => {
  test("and not after an earlier sync that was under way during its commit", async () => {
    using it = writer();
    const answers = { a: it.commit("a"), b: it.commit("b") };
    await it.committed(2);
    const later = { c: it.commit("c"), d: it.commit("d") };
    await it.committed(4);
    expect(it.asked).toHaveLength(1);
    expect(await answeredOf({ ...answers, ...later })).toEqual([]);

    it.asked[0]?.resolve();
    expect(await answeredOf({ ...answers, ...later })).toEqual(["a", "b"]);
    expect(it.asked).toHaveLength(2);

    it.asked[1]?.resolve();
    expect(await answeredOf(later)).toEqual(["c", "d"]);
    expect((await later.c).outcome).toBe("unhandled");
  });

  test("and so is a duplicate whose first delivery is not on the disk yet", async () => {
    using it = writer();
    const first = { a: it.commit("a"), b: it.commit("b") };
    await it.committed(2);
    const again = { a: it.commit("a"), b: it.commit("b") };
    await it.committed(4);
    it.asked[0]?.resolve();
    expect(await answeredOf(first)).toEqual(["a", "b"]);
    expect(await answeredOf(again)).toEqual([]);
    it.asked[1]?.resolve();
    expect(await answeredOf(again)).toEqual(["a", "b"]);
  });

  test("and a job that writes nothing asks for no sync, but waits for one that is under way", async () => {
    using it = writer();
    await it.writeNothing();
    expect(it.asked).toEqual([]);
    const answers: Record<string, Promise<unknown>> = { a: it.commit("a"), b: it.commit("b") };
    await it.committed(2);
    answers["nothing"] = it.writeNothing();
    expect(await answeredOf(answers)).toEqual([]);
    it.asked[0]?.resolve();
    expect((await answeredOf(answers)).sort()).toEqual(["a", "b", "nothing"]);
    expect(it.asked).toHaveLength(1);
  });

  test("and its messages are sent after that sync, too", async () => {
    using it = writer();
    expect(await it.due()).toBe(0);
    const answers: Record<string, Promise<unknown>> = {
      a: it.commit("a", forwarding),
      b: it.commit("b", forwarding),
    };
    await it.committed(2);
    // A reader sees the commit, but a power cut could still undo it.
    answers["due"] = it.due();
    expect(await answeredOf(answers)).toEqual([]);
    expect(it.woken).toEqual([]);
    it.asked[0]?.resolve();
    expect((await answeredOf(answers)).toSorted()).toEqual(["a", "b", "due"]);
    expect(it.woken).toEqual(["app"]);
    expect(await answers["due"]).toBe(2);
  });

  test("and a stop waits for the last sync", async () => {
    using it = writer();
    const first = [it.commit("a"), it.commit("b")];
    await it.committed(2);
    const later = [it.commit("c"), it.commit("d")];
    await it.committed(4);
    let drained = false;
    const draining = it.drain().then(() => (drained = true));
    it.asked[0]?.resolve();
    await Promise.all(first);
    await Bun.sleep(5);
    expect(drained).toBe(false);
    it.asked[1]?.resolve();
    await Promise.all(later);
    expect(await draining).toBe(true);
  });

  test("and if a sync fails, the process is ended and no delivery is answered", async () => {
    using it = writer();
    const answers = { a: it.commit("a"), b: it.commit("b") };
    await it.committed(2);
    const later = { c: it.commit("c"), d: it.commit("d") };
    await it.committed(4);
    it.asked[0]?.reject(new Error("EIO"));
    expect(await answeredOf({ ...answers, ...later, e: it.commit("e") })).toEqual([]);
    expect(it.fatal).toEqual([new Error("EIO")]);
    expect(it.asked).toHaveLength(1);
  });
});

/** The promise of each delivery, by its event id. */
function many(it: Writer, count: number): Record<string, Promise<Result>> {
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [`evt_${n}`, it.commit(`evt_${n}`)]));
}

function few(it: Writer): Record<string, Promise<Result>> {
  return { x: it.commit("x"), y: it.commit("y") };
}

describe("of many deliveries, one half is committed while the other half is being synced", () => {
  test("and each half is answered after its own sync", async () => {
    using it = writer();
    const answers = many(it, 64);
    await it.committed(64);
    expect(it.transactions()).toBe(2);
    expect(it.asked).toHaveLength(1);
    it.asked[0]?.resolve();
    expect(await answeredOf(answers)).toHaveLength(32);
    it.asked[1]?.resolve();
    expect(await answeredOf(answers)).toHaveLength(64);
  });

  test("and a few that arrive meanwhile are committed after the sync, without waiting for more", async () => {
    using it = writer();
    void many(it, 64);
    await it.committed(64);
    const later = few(it);
    await Bun.sleep(5);
    expect(it.transactions()).toBe(2);
    it.asked[0]?.resolve();
    await Bun.sleep(5);
    expect(it.transactions()).toBe(2);
    it.asked[1]?.resolve();
    await it.committed(66);
    it.asked[2]?.resolve();
    expect(await answeredOf(later)).toEqual(["x", "y"]);
  });

  test("and a stop waits for both halves", async () => {
    using it = writer();
    const answers = many(it, 64);
    await it.committed(64);
    Object.assign(answers, few(it));
    const drained = it.drain();
    for (const sync of [0, 1, 2]) {
      while (it.asked[sync] === undefined) await Bun.sleep(1);
      it.asked[sync].resolve();
    }
    await drained;
    expect(await answeredOf(answers)).toHaveLength(66);
  });

  test("but not if they are so few that another sync would cost more", async () => {
    using it = writer();
    const answers = many(it, 12);
    await it.committed(12);
    expect(it.transactions()).toBe(1);
    it.asked[0]?.resolve();
    expect(await answeredOf(answers)).toHaveLength(12);
  });

  test("nor if COMMIT itself waits for the disk", async () => {
    using it = writer("commit");
    expect(await answeredOf(many(it, 64))).toHaveLength(64);
    expect(it.transactions()).toBe(1);
  });
});
