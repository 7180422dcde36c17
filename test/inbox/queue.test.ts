import { describe, expect, test } from "bun:test";
import type { Batch, EventSource, Job, Result } from "../../src/engines/engine.ts";
import { HookonceError } from "../../src/errors.ts";
import { createQueue, type Queue } from "../../src/inbox/queue.ts";

const source: EventSource = {
  name: "default",
  handlersOf: "default",
  unhandled: "record",
  requireChange: false,
  sameBody: false,
  payloadOf: () => undefined,
};

const input = { type: "", source: "default", receivedAt: 1, payloadJson: null, headersJson: "{}" };

const deliver = (queue: Queue, id: string): Promise<Result> =>
  queue.deliver({ source, batch: undefined, input: { ...input, id, body: new Uint8Array() } });

const apply = (eventId: string): Job => ({ kind: "apply", source, eventId, at: 1 });

const idOf = (job: Job): string => (job.kind === "delivery" ? job.event.input.id : job.eventId);

/** Another process holds the write lock. */
const locked = new HookonceError("database_locked", "locked");

interface Commit {
  readonly ids: readonly string[];
  /** The disk answers. */
  readonly synced: () => void;
}

const onFatal = (error: unknown): void => expect(error).toBeUndefined();

/** A queue over an engine that begins at most `most` jobs in a commit. Each commit is on the disk when the test says so. */
function queueOn({ most = 2, blocked }: { most?: number; blocked?: HookonceError }): {
  queue: Queue;
  commits: Commit[];
} {
  const commits: Commit[] = [];
  const engine = {
    overlaps: true,
    commit(jobs: readonly Job[]): Promise<Batch> {
      if (blocked !== undefined) return Promise.resolve({ begun: 0, blocked, results: Promise.resolve([]) });
      const ids = jobs.slice(0, most).map(idOf);
      const { promise, resolve } = Promise.withResolvers<void>();
      commits.push({ ids, synced: resolve });
      const results = ids.map((eventId) => ({ eventId, outcome: "processed" }) as Result);
      return Promise.resolve({ begun: ids.length, blocked: undefined, results: promise.then(() => results) });
    },
  };
  return {
    queue: createQueue(engine, { handlers: () => ({ for: () => null, files: [] }), onFatal }),
    commits,
  };
}

/** Lets the queue do all that it can do now. */
const settle = () => Bun.sleep(5);

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("background work in the queue", () => {
  test("lets a delivery in after one turn, however much of it is not on the disk yet", async () => {
    const { queue, commits } = queueOn({});
    const jobs = Array.from({ length: 64 }, (_, n) => queue.write(apply(`job_${n}`)));
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
    const { queue, commits } = queueOn({});
    const delivered = deliver(queue, "evt_1");
    await settle();
    const job = queue.write(apply("job_1"));
    await settle();
    expect(commits.map(({ ids }) => ids)).toEqual([["evt_1"]]);
    commits[0]?.synced();
    await delivered;
    await settle();
    expect(commits.map(({ ids }) => ids)).toEqual([["evt_1"], ["job_1"]]);
    commits[1]?.synced();
    await job;
  });

  test("takes turns with deliveries that never stop coming", async () => {
    const { queue, commits } = queueOn({});
    const waiting = Array.from({ length: 40 }, (_, n) => deliver(queue, `evt_${n}`));
    waiting.push(queue.write(apply("job_1")));
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
    const { queue } = queueOn({ blocked: locked });
    const stop = new AbortController();
    const stopped = queue.write(apply("job_1"), stop.signal).catch((error: unknown) => error);
    const stays = queue.write(apply("job_2")).catch((error: unknown) => error);
    await settle();
    stop.abort();
    expect(await stopped).toBe(stop.signal.reason);
    await queue.drain();
    expect(await stays).toMatchObject({ code: "shutting_down" });
  });
});
