import type { Batch, Job, Result } from "../../src/engines/engine.ts";
import { createQueue, type Queue } from "../../src/inbox/queue.ts";
import { deliver, idOf, loaded, turn } from "./fake-engine.ts";

/** How long work takes, in milliseconds of a clock that only work and waiting for the disk move. */
export interface Costs {
  /** Whether the next batch can be committed while the last one is on its way to the disk. */
  readonly overlaps: boolean;
  readonly jobMs: number;
  readonly deliveryMs: number;
  readonly syncMs: number;
}

/** Deliveries that arrive while a job of background work runs. */
export interface Arrival {
  readonly afterJob: number;
  readonly count: number;
}

/** A queue whose engine takes exact times, so that waits can be counted on any machine. */
export function virtualQueue({ overlaps, jobMs, deliveryMs, syncMs }: Costs) {
  let now = 0;
  let jobsDone = 0;
  let arrivals: Arrival[] = [];
  const waits: Promise<number>[] = [];
  /** Syncs that are under way: one at a time, each begins when the last one has ended. */
  const syncs: { readonly at: number; readonly done: () => void }[] = [];

  function arrive(): void {
    while (arrivals[0] !== undefined && arrivals[0].afterJob <= jobsDone) {
      const arrivedAt = now;
      for (let { count } = arrivals.shift() as Arrival; count > 0; count--)
        waits.push(deliver(queue, `evt_${waits.length}`).then(() => now - arrivedAt));
    }
  }

  function endSyncs(): void {
    while (syncs[0] !== undefined && syncs[0].at <= now) syncs.shift()?.done();
  }

  const engine = {
    overlaps,
    commit(list: readonly Job[], { workMs }: { readonly workMs: number }): Promise<Batch> {
      const until = now + workMs;
      const results: Result[] = [];
      for (const job of list) {
        if (job.kind === "delivery") {
          now += deliveryMs;
        } else {
          // It arrives in the middle of this job.
          now += jobMs / 2;
          arrive();
          now += jobMs / 2;
          jobsDone++;
        }
        results.push({ eventId: idOf(job), outcome: "processed" } as Result);
        if (now > until) break;
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      if (overlaps) {
        syncs.push({ at: Math.max(now, syncs.at(-1)?.at ?? 0) + syncMs, done: resolve });
      } else {
        now += syncMs;
        resolve();
      }
      return Promise.resolve({
        begun: results.length,
        blocked: undefined,
        results: promise.then(() => results),
      });
    },
  };
  const queue: Queue = createQueue(engine, {
    loaded: () => loaded,
    onFatal: (error) => {
      throw error;
    },
    now: () => now,
  });

  return {
    queue,
    /**
     * Lets everything arrive and be done. @returns how long each delivery waited for its answer, its own turn
     * included
     */
    async run(list: readonly Arrival[]): Promise<number[]> {
      arrivals = [...list];
      for (let idle = 0; idle < 3;) {
        const before = now;
        await turn();
        endSyncs();
        // No work is left, so the next event is that the disk answers or that a delivery arrives.
        if (now !== before) idle = 0;
        else if (syncs[0] !== undefined) now = syncs[0].at;
        else if (arrivals.length > 0) jobsDone = Math.max(jobsDone, arrivals[0]?.afterJob ?? 0);
        else idle++;
        if (now === before) arrive();
        endSyncs();
      }
      return Promise.all(waits);
    },
  };
}
