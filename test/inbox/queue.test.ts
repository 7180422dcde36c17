import { describe, expect, test } from "bun:test";
import type { Job, Result } from "../../src/engines/engine.ts";
import { HookonceError } from "../../src/errors.ts";
import {
  deliver,
  fakeQueue,
  loaded,
  noHandlers,
  observed,
  settle,
  source,
  stateOf,
  turn,
  write,
  type FakeQueue,
} from "./fake-engine.ts";
import { virtualQueue } from "./virtual-queue.ts";

const ids = (count: number): string[] => Array.from({ length: count }, (_, n) => `evt_${n}`);

/** Answers every commit that has been asked for, and those that follow, until the queue is at rest. */
async function syncAll({ commits }: FakeQueue): Promise<void> {
  for (let n = 0; n < commits.length; n++) {
    commits[n]?.synced();
    await settle();
  }
}

function sourceOf(job: Job): unknown {
  return job.kind === "delivery" ? job.event.source : "source" in job && job.source;
}

describe("deliveries in the queue", () => {
  test("are committed in the order in which they came, and each gets its own result", async () => {
    const it = fakeQueue();
    const delivered = ids(5).map((id) => deliver(it.queue, id));
    await settle();
    expect(it.commits.map(({ ids }) => ids)).toEqual([ids(5)]);
    expect(await stateOf(delivered)).toEqual(ids(5).map(() => "waiting"));
    await syncAll(it);
    expect(await stateOf(delivered)).toEqual(ids(5));
  });

  test("that a commit has not begun are in the next one, in order and once", async () => {
    const it = fakeQueue({ most: 3 });
    const delivered = ids(8).map((id) => deliver(it.queue, id));
    await settle();
    await syncAll(it);
    expect(await stateOf(delivered)).toEqual(ids(8));
    expect(it.commits.flatMap(({ ids }) => ids)).toEqual(ids(8));
    expect(it.commits.map(({ ids }) => ids.length)).toEqual([3, 3, 2]);
  });

  test("that arrive while a commit is under way are in the next one", async () => {
    const first = Promise.withResolvers<void>();
    const it = fakeQueue({ during: (n) => (n === 0 ? first.promise : undefined) });
    const delivered = [deliver(it.queue, "a")];
    await settle();
    delivered.push(deliver(it.queue, "b"), deliver(it.queue, "c"));
    await settle();
    // An engine that answers after a round trip is never asked for two commits at a time.
    expect([it.commits.length, it.running()]).toEqual([1, 1]);
    first.resolve();
    await settle();
    await syncAll(it);
    expect(it.commits.map(({ asked }) => asked)).toEqual([["a"], ["b", "c"]]);
    expect(await stateOf(delivered)).toEqual(["a", "b", "c"]);
  });

  test("are at most `maxEvents` in one commit", async () => {
    const it = fakeQueue({ overlaps: false, queue: { maxEvents: 5 } });
    const delivered = ids(12).map((id) => deliver(it.queue, id));
    await settle();
    await syncAll(it);
    expect(it.commits.map(({ asked }) => asked.length)).toEqual([5, 5, 2]);
    expect(await stateOf(delivered)).toEqual(ids(12));
  });

  test("are committed with the handlers of that moment, and 20 ms of work", async () => {
    let handlers = noHandlers;
    const it = fakeQueue({ queue: { loaded: () => ({ ...loaded, handlers }) } });
    void deliver(it.queue, "a");
    await settle();
    await syncAll(it);
    const replaced = (handlers = { ...noHandlers });
    void deliver(it.queue, "b");
    await settle();
    expect(it.commits.map((commit) => commit.handlers)).toEqual([noHandlers, replaced]);
    expect(it.commits[1]?.handlers).toBe(replaced);
    expect(it.commits.map(({ workMs }) => workMs)).toEqual([20, 20]);
  });

  test("and jobs have the source of that moment, and are refused if it is gone", async () => {
    const now = { ...source, unhandled: "ignore" } as const;
    const it = fakeQueue({ queue: { loaded: () => ({ ...loaded, sources: new Map([["default", now]]) }) } });
    const other = { ...source, name: "other" };
    const event = { eventId: "a", at: 1 };
    const jobs = [source, other].flatMap((one): Job[] => [
      { kind: "apply", source: one, ...event },
      { kind: "replay", source: one, ...event, reason: "", job: "", ordered: { event: 0, change: 0 } },
      { kind: "forward", source: one, ...event, destination: "", job: "" },
      { kind: "import", source: one, events: [], at: 1 },
      { kind: "resume", source: one, at: 1 },
      // Somebody gives up on an event of a source that is gone.
      { kind: "discard", source: one, ...event, reason: "" },
    ]);
    const written = jobs.map((job) => observed(it.queue.write(job) as Promise<Result>));
    void deliver(it.queue, "b");
    await settle();
    await syncAll(it);
    const committed = it.commits.flatMap((commit) => commit.jobs);
    const sources = committed.map((job) => ({ kind: job.kind, source: sourceOf(job) }));
    expect(sources.toSorted((one, two) => one.kind.localeCompare(two.kind))).toEqual([
      { kind: "apply", source: now },
      { kind: "delivery", source: now },
      { kind: "discard", source },
      { kind: "discard", source: other },
      { kind: "forward", source: now },
      { kind: "import", source: now },
      { kind: "replay", source: now },
      { kind: "resume", source: now },
    ]);
    expect((await stateOf(written)).slice(6)).toEqual([
      ...Array.from({ length: 5 }, () => "unknown_source"),
      "a",
    ]);
  });

  test("are refused alone if nothing of them was recorded", async () => {
    const it = fakeQueue({ outcomes: { evt_1: new HookonceError("disk_full", "full") } });
    const delivered = ids(3).map((id) => deliver(it.queue, id));
    await settle();
    await syncAll(it);
    expect(await stateOf(delivered)).toEqual(["evt_0", "disk_full", "evt_2"]);
    expect(it.fatal).toEqual([]);
  });
});

describe("if the process can no longer trust the database, the queue ends the process and answers no delivery", () => {
  const error = new Error("EIO");

  test("when a commit fails", async () => {
    const it = fakeQueue({ during: () => Promise.reject(error) });
    const delivered = [deliver(it.queue, "a"), write(it.queue, "job")];
    await settle();
    delivered.push(deliver(it.queue, "b"));
    expect(await stateOf(delivered)).toEqual(["waiting", "waiting", "waiting"]);
    expect(it.fatal).toEqual([error]);
    expect(it.commits).toHaveLength(1);
  });

  test("when results cannot be made durable", async () => {
    const it = fakeQueue();
    const delivered = [deliver(it.queue, "a"), deliver(it.queue, "b")];
    await settle();
    it.commits[0]?.failed(error);
    await settle();
    delivered.push(deliver(it.queue, "c"), write(it.queue, "job"));
    expect(await stateOf(delivered)).toEqual(["waiting", "waiting", "waiting", "waiting"]);
    expect(it.fatal).toEqual([error]);
    expect(it.commits).toHaveLength(1);
  });

  test("also of a later commit whose own sync succeeds", async () => {
    const it = fakeQueue();
    const delivered = [deliver(it.queue, "a"), deliver(it.queue, "b")];
    await settle();
    delivered.push(deliver(it.queue, "c"), deliver(it.queue, "d"));
    await settle();
    expect(it.commits.map(({ ids }) => ids)).toEqual([
      ["a", "b"],
      ["c", "d"],
    ]);
    it.commits[0]?.failed(error);
    await settle();
    it.commits[1]?.synced();
    expect(await stateOf(delivered)).toEqual(["waiting", "waiting", "waiting", "waiting"]);
    expect(it.fatal).toEqual([error]);
  });

  test("also of a commit that is under way", async () => {
    const second = Promise.withResolvers<void>();
    const it = fakeQueue({ during: (n) => (n === 1 ? second.promise : undefined) });
    const delivered = [deliver(it.queue, "a"), deliver(it.queue, "b")];
    await settle();
    delivered.push(deliver(it.queue, "c"), deliver(it.queue, "d"));
    await settle();
    it.commits[0]?.failed(error);
    await settle();
    second.resolve();
    await settle();
    it.commits[1]?.synced();
    expect(await stateOf(delivered)).toEqual(["waiting", "waiting", "waiting", "waiting"]);
    expect(it.fatal).toEqual([error]);
    expect(it.commits).toHaveLength(2);
  });

  test("and a stop does not wait", async () => {
    const it = fakeQueue({ during: () => Promise.reject(error) });
    void deliver(it.queue, "a");
    await settle();
    await it.queue.drain();
    expect(it.fatal).toEqual([error]);
  });
});

/** Waits until the queue has tried to commit so many times more. */
async function tries({ commits }: FakeQueue, more: number): Promise<void> {
  for (const until = commits.length + more; commits.length < until;) await turn();
  await turn();
}

describe("while another process holds the write lock, the queue", () => {
  test("tries again, less and less often, and then commits each delivery once", async () => {
    const it = fakeQueue({ isLocked: (n) => n < 6 });
    const began = performance.now();
    const delivered = [deliver(it.queue, "a"), deliver(it.queue, "b")];
    while (it.commits.length < 7) await turn();
    // 1 + 2 + 4 + 8 + 16 + 32 ms
    expect(performance.now() - began).toBeGreaterThan(55);
    await syncAll(it);
    expect(await stateOf(delivered)).toEqual(["a", "b"]);
    expect(it.commits.slice(0, 6).every(({ asked }) => asked.length === 2)).toBe(true);
  });

  test("does not retry more often when more deliveries arrive, and commits them as well", async () => {
    let locked = true;
    const it = fakeQueue({ isLocked: () => locked });
    const delivered = [deliver(it.queue, "evt_0")];
    while (it.commits.length < 5) await turn();
    for (const id of ids(20).slice(1)) delivered.push(deliver(it.queue, id));
    for (let n = 0; n < 5; n++) await turn();
    expect(it.commits.length).toBeLessThanOrEqual(6);
    locked = false;
    while (it.commits.at(-1)?.ids.length === 0) await turn();
    await settle();
    await syncAll(it);
    expect(await stateOf(delivered)).toEqual(ids(20));
    expect(it.commits.flatMap(({ ids }) => ids)).toEqual(ids(20));
  });

  test("refuses a delivery whose time is over, and never commits it", async () => {
    let now = 0;
    let locked = true;
    const it = fakeQueue({ isLocked: () => locked, queue: { now: () => now, maxWaitMs: 5000 } });
    const early = deliver(it.queue, "early");
    await settle();
    now = 3000;
    const late = deliver(it.queue, "late");
    const job = write(it.queue, "job");
    now = 5000;
    await tries(it, 2);
    expect(await stateOf([early, late])).toEqual(["waiting", "waiting"]);
    now = 5001;
    await tries(it, 2);
    expect(await stateOf([early, late, job])).toEqual(["database_locked", "waiting", "waiting"]);
    locked = false;
    await tries(it, 1);
    await settle();
    await syncAll(it);
    expect(await stateOf([early, late, job])).toEqual(["database_locked", "late", "job"]);
    expect(it.commits.flatMap(({ ids }) => ids).sort()).toEqual(["job", "late"]);
  });
});

/** Waits for a refusal. */
async function codeOf(refused: Promise<unknown>): Promise<string | undefined> {
  try {
    await refused;
    return undefined;
  } catch (error) {
    return (error as HookonceError).code;
  }
}

describe("a delivery that waits longer than it may", () => {
  test("is refused as overloaded if others were written before it", async () => {
    let now = 0;
    const it = fakeQueue({
      overlaps: false,
      most: 1,
      during: () => void (now += 2000),
      queue: { now: () => now },
    });
    const delivered = ids(6).map((id) => deliver(it.queue, id));
    await settle();
    await syncAll(it);
    // Three turns of 2 s each begin before 5 s are over.
    expect(await stateOf(delivered)).toEqual([
      "evt_0",
      "evt_1",
      "evt_2",
      "overloaded",
      "overloaded",
      "overloaded",
    ]);
    expect(it.commits.flatMap(({ ids }) => ids)).toEqual(["evt_0", "evt_1", "evt_2"]);
  });

  test("is refused in time although the engine does not answer, and what the engine has is not", async () => {
    const first = Promise.withResolvers<void>();
    const it = fakeQueue({ during: (n) => (n === 0 ? first.promise : undefined), queue: { maxWaitMs: 20 } });
    const held = deliver(it.queue, "held");
    await settle();
    const waits = deliver(it.queue, "waits");
    expect(await codeOf(waits)).toBe("overloaded");
    expect(await stateOf([held])).toEqual(["waiting"]);
    first.resolve();
    await settle();
    await syncAll(it);
    expect(await stateOf([held, waits])).toEqual(["held", "overloaded"]);
    expect(it.commits.flatMap(({ asked }) => asked)).toEqual(["held"]);
  });

  test("is refused in time although the disk does not answer, and what is committed is not", async () => {
    const it = fakeQueue({ queue: { maxWaitMs: 20 } });
    const committed = [deliver(it.queue, "a"), deliver(it.queue, "b"), deliver(it.queue, "c")];
    await settle();
    const waits = deliver(it.queue, "waits");
    expect(await codeOf(waits)).toBe("overloaded");
    expect(await stateOf(committed)).toEqual(["waiting", "waiting", "waiting"]);
    await syncAll(it);
    expect(await stateOf(committed)).toEqual(["a", "b", "c"]);
  });
});

describe("a stop", () => {
  test("of a queue that does nothing is over at once", async () => {
    await fakeQueue().queue.drain();
  });

  test("waits until the last delivery is answered, and may be asked for twice", async () => {
    const it = fakeQueue({ most: 2 });
    const delivered = ids(5).map((id) => deliver(it.queue, id));
    const over: string[] = [];
    const stops = [it.queue.drain(), it.queue.drain()].map((stop) => stop.then(() => over.push("over")));
    await settle();
    for (let n = 0; n < 3; n++) {
      expect(over).toEqual([]);
      it.commits[n]?.synced();
      await settle();
    }
    await Promise.all(stops);
    expect(await stateOf(delivered)).toEqual(ids(5));
    expect(it.commits.map(({ ids }) => ids.length)).toEqual([2, 2, 1]);
  });

  test("refuses background work that has not begun, and waits for what has", async () => {
    const it = fakeQueue({ most: 2 });
    const jobs = ids(5).map((id) => write(it.queue, id));
    await turn();
    await turn();
    const stop = it.queue.drain();
    const begun = it.commits.flatMap(({ ids }) => ids);
    await settle();
    await syncAll(it);
    await stop;
    expect(begun.length).toBeGreaterThan(0);
    expect(await stateOf(jobs)).toEqual(ids(5).map((id) => (begun.includes(id) ? id : "shutting_down")));
    expect(it.commits.flatMap(({ ids }) => ids)).toEqual(begun);
  });

  test("waits at most 1 s for another process's lock", async () => {
    let now = 0;
    const it = fakeQueue({ isLocked: () => true, queue: { now: () => now } });
    const delivered = [deliver(it.queue, "a"), deliver(it.queue, "b")];
    await settle();
    const stop = it.queue.drain();
    now = 1000;
    await tries(it, 2);
    expect(await stateOf(delivered)).toEqual(["waiting", "waiting"]);
    now = 1001;
    await stop;
    expect(await stateOf(delivered)).toEqual(["database_locked", "database_locked"]);
  });

  test("waits at most 1 s for a disk that does not answer before it refuses what is not committed", async () => {
    const it = fakeQueue({ queue: { maxWaitMs: 60_000 } });
    const committed = [deliver(it.queue, "a"), deliver(it.queue, "b"), deliver(it.queue, "c")];
    await settle();
    const waits = deliver(it.queue, "waits");
    const stop = it.queue.drain();
    expect(await codeOf(waits)).toBe("overloaded");
    expect(await stateOf(committed)).toEqual(["waiting", "waiting", "waiting"]);
    await syncAll(it);
    await stop;
    expect(await stateOf(committed)).toEqual(["a", "b", "c"]);
  });
});

describe("background work in the queue", () => {
  test("lets a delivery in after one turn, however much of it is not on the disk yet", async () => {
    const { queue, commits } = fakeQueue({ most: 2 });
    const jobs = Array.from({ length: 64 }, (_, n) => write(queue, `job_${n}`));
    while (commits.length < 3) await turn();
    const delivered = deliver(queue, "evt_1");
    const before = commits.length;
    await settle();
    expect(commits.slice(before, before + 2).map(({ ids }) => ids)).toContainEqual(["evt_1"]);

    for (let n = 0; n < commits.length; n++) {
      commits[n]?.synced();
      await settle();
    }
    expect((await delivered).eventId).toBe("evt_1");
    expect(await Promise.all(jobs)).toHaveLength(64);
  });

  test("waits until the deliveries before it are answered", async () => {
    const { queue, commits } = fakeQueue({ most: 2 });
    const delivered = deliver(queue, "evt_1");
    await settle();
    const job = write(queue, "job_1");
    await settle();
    expect(commits.map(({ ids }) => ids)).toEqual([["evt_1"]]);
    commits[0]?.synced();
    await delivered;
    await settle();
    expect(commits.map(({ ids }) => ids)).toEqual([["evt_1"], ["job_1"]]);
    commits[1]?.synced();
    await job;
  });

  test("is begun as long as its time lasts, however few deliveries there are", async () => {
    const { queue, commits } = fakeQueue();
    const waiting = [
      deliver(queue, "evt_1"),
      ...Array.from({ length: 300 }, (_, n) => write(queue, `job_${n}`)),
    ];
    for (let n = 0; n < 4; n++) {
      await settle();
      commits[n]?.synced();
    }
    expect(commits.map(({ asked, workMs }) => [asked.length, workMs])).toEqual([
      [1, 20],
      [256, 5],
      [44, 5],
    ]);
    await Promise.all(waiting);
  });

  test("that runs no handler takes turns with what does, however much of that waits", async () => {
    const { queue, commits } = fakeQueue({ most: 1 });
    const jobs = Array.from({ length: 64 }, (_, n) => write(queue, `job_${n}`));
    while (commits.length < 3) await turn();
    const before = commits.length;
    const records = [1, 2].map(() => queue.write({ kind: "record", entries: [] }));
    for (let n = 0; n < commits.length; n++) {
      commits[n]?.synced();
      await settle();
    }
    await Promise.all([...jobs, ...records]);
    expect(commits.slice(before, before + 5).map(({ ids }) => ids)).toEqual([
      ["record"],
      [`job_${before}`],
      ["record"],
      [`job_${before + 1}`],
      [`job_${before + 2}`],
    ]);
  });

  test("takes turns with deliveries that never stop", async () => {
    const { queue, commits } = fakeQueue({ most: 2 });
    const waiting = Array.from({ length: 40 }, (_, n) => deliver(queue, `evt_${n}`));
    waiting.push(write(queue, "job_1"));
    for (let n = 0; n < 100 && commits.length < 21; n++) {
      await turn();
      commits[n]?.synced();
    }
    expect(commits.slice(0, 3).map(({ ids }) => ids)).toContainEqual(["job_1"]);
    for (const { synced } of commits) synced();
    await queue.drain();
    await Promise.all(waiting);
  });

  test("is refused with the signal's reason if it has not begun, even while the write lock is held", async () => {
    const { queue } = fakeQueue({ isLocked: () => true });
    const stop = new AbortController();
    const stopped = write(queue, "job_1", stop.signal).catch((error: unknown) => error);
    const stays = write(queue, "job_2").catch((error: unknown) => error);
    await settle();
    stop.abort();
    expect(await stopped).toBe(stop.signal.reason);
    await queue.drain();
    expect(await stays).toMatchObject({ code: "shutting_down" });
  });

  test.each([
    ["whose commits overlap with the sync", true],
    ["whose COMMIT waits for the disk", false],
  ])("of 10,000 jobs of 1 ms lets each delivery in within 20 ms, on an engine %s", async (_, overlaps) => {
    const it = virtualQueue({ overlaps, jobMs: 1, deliveryMs: 0.1, syncMs: 1 });
    const jobs = Array.from({ length: 10_000 }, (_, n) => write(it.queue, `job_${n}`));
    // Deliveries arrive in the middle of the jobs: alone, in pairs, and once 40 at the same time.
    const arrivals = Array.from({ length: 120 }, (_, n) => ({
      afterJob: 60 * n + (n % 7),
      count: n === 50 ? 40 : 1 + (n % 2),
    }));
    const waits = await it.run(arrivals);
    expect(waits).toHaveLength(arrivals.reduce((sum, { count }) => sum + count, 0));
    expect(Math.max(...waits)).toBeLessThanOrEqual(20);
    expect(await Promise.all(jobs)).toHaveLength(10_000);
  });

  test("makes progress while deliveries never stop", async () => {
    const it = virtualQueue({ overlaps: true, jobMs: 1, deliveryMs: 0.1, syncMs: 1 });
    const jobs = Array.from({ length: 500 }, (_, n) => write(it.queue, `job_${n}`));
    const waits = await it.run(Array.from({ length: 500 }, (_, n) => ({ afterJob: n, count: 4 })));
    expect(Math.max(...waits)).toBeLessThanOrEqual(20);
    expect(await Promise.all(jobs)).toHaveLength(500);
  });
});
