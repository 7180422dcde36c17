import { describe, expect, test } from "bun:test";
import type { Handlers, Result } from "../../src/engines/engine.ts";
import { runEventJob } from "../../src/inbox/event-jobs.ts";
import { createProgressLog, type JobProgress } from "../../src/inbox/job-progress.ts";
import type { EventJobRequest } from "../../src/inbox/job-selection.ts";
import { createQueue } from "../../src/inbox/queue.ts";
import type { EngineHarness } from "./harness.ts";
import { deliver, shop, type Delivery, type Types } from "./jobs.ts";
import { openEngine, type OpenEngine } from "./open-engine.ts";
import { none, summaryOf } from "./scenarios/scenario.ts";

const ids = Array.from({ length: 300 }, (_, n) => `evt_${n}`);

/** An inbox on an engine, as app/open-inbox.ts makes it. */
function inboxOn(it: OpenEngine) {
  let handlers: Handlers = it.bind();
  const fatal: unknown[] = [];
  const queue = createQueue(it.engine, {
    handlers: () => handlers,
    onFatal: (error) => void fatal.push(error),
  });
  return {
    queue,
    fatal,
    replaceHandlers(types?: Types): void {
      handlers = it.bind(types);
    },
    deliver: ({ event }: Delivery): Promise<Result> => queue.deliver(event),
    async apply(request: Partial<EventJobRequest> = {}): Promise<JobProgress> {
      const log = createProgressLog();
      const reader = await it.engine.reader();
      const sources = new Map([[shop.name, shop]]);
      await runEventJob(
        { reader, queue, sources, handlers: () => handlers, clock: () => 9000 },
        { action: "apply", filter: {}, dryRun: false, ...request },
        { id: "job", progress: log, signal: new AbortController().signal },
      );
      return log.progress();
    },
  };
}

/** The queue and apply on this engine. */
export function createInboxTests(name: string, harness: EngineHarness): void {
  describe(`${name}: an inbox`, () => {
    test("answers deliveries that arrive together, each with its own result", async () => {
      await using it = await openEngine(harness);
      const inbox = inboxOn(it);
      const results = await Promise.all(
        ids.map((id, n) =>
          inbox.deliver(deliver(id, { fail: n % 50 === 7, type: n % 3 === 0 ? "reply" : "credit" })),
        ),
      );
      expect(results.map(({ eventId }) => eventId)).toEqual(ids);
      expect(results.filter(({ outcome }) => outcome === "failed")).toHaveLength(6);
      const { effects } = await it.contents();
      expect(effects.map(({ eventId }) => eventId)).toEqual(ids.filter((_, n) => n % 50 !== 7));
      await inbox.queue.drain();
      expect(inbox.fatal).toEqual([]);
    });

    test("applies each owed event once while the provider retries all of them", async () => {
      await using it = await openEngine(harness);
      const inbox = inboxOn(it);
      inbox.replaceHandlers(none);
      const events = ids.map((id, n) => deliver(id, { type: n % 5 === 0 ? "reply" : "credit" }));
      await Promise.all(events.map((event) => inbox.deliver(event)));
      inbox.replaceHandlers();
      const [first, second, ...answers] = await Promise.all([
        inbox.apply(),
        inbox.apply(),
        ...events.toReversed().map((event) => inbox.deliver(event)),
      ]);
      const applied = [first, second].flatMap(({ groups }) => groups.map(({ processed }) => processed));
      const delivered = answers.filter(({ outcome }) => outcome === "processed").length;
      expect(applied.reduce((sum, count) => sum + count, delivered)).toBe(300);
      expect(answers.every(({ outcome }) => outcome === "processed" || outcome === "duplicate")).toBe(true);
      const { effects, events: recorded } = summaryOf(await it.contents());
      expect(effects.toSorted()).toEqual(ids.map((id) => `${id} 1`).sort());
      expect(recorded).toEqual(ids.map((id) => `${id} processed ×2`));
      await inbox.queue.drain();
    });

    test("applies in the order received, and counts what it did", async () => {
      await using it = await openEngine(harness);
      const inbox = inboxOn(it);
      inbox.replaceHandlers(none);
      const events = ids.map((id, n) =>
        deliver(id, { type: n % 2 === 0 ? "credit" : "other", fail: n % 30 === 0 }),
      );
      await Promise.all(events.map((event) => inbox.deliver(event)));
      inbox.replaceHandlers();
      const before = await it.contents();
      const [wouldRun] = (await inbox.apply({ dryRun: true })).groups;
      expect(wouldRun).toMatchObject({ type: "credit", wouldRun: 150, processed: 0 });
      expect(await it.contents()).toEqual(before);
      const { groups, failures } = await inbox.apply({ filter: { type: "cr*" } });
      expect(groups).toEqual([
        expect.objectContaining({ type: "credit", processed: 140, failed: 10, noHandler: 0 }),
      ]);
      expect(failures).toHaveLength(10);
      const { effects } = await it.contents();
      expect(effects.map(({ eventId }) => eventId)).toEqual(
        ids.filter((_, n) => n % 2 === 0 && n % 30 !== 0),
      );
      await inbox.queue.drain();
    });

    test("answers what waited for the write lock, once", async () => {
      await using it = await openEngine(harness);
      const inbox = inboxOn(it);
      let answered = 0;
      let results: Promise<Result[]> = Promise.resolve([]);
      await it.store.whileLocked(async () => {
        results = Promise.all(
          ["a", "b", "a"].map(async (id) => {
            const result = await inbox.deliver(deliver(id));
            answered++;
            return result;
          }),
        );
        await Bun.sleep(30);
        expect(answered).toBe(0);
      });
      expect((await results).map(({ outcome }) => outcome)).toEqual(["processed", "processed", "duplicate"]);
      expect(summaryOf(await it.contents()).effects).toEqual(["a 1", "b 1"]);
      await inbox.queue.drain();
    });

    test("that stops has answered everything, and the engine can be closed", async () => {
      await using it = await openEngine(harness);
      const inbox = inboxOn(it);
      const results = Promise.all(ids.map((id) => inbox.deliver(deliver(id))));
      await inbox.queue.drain();
      await it.reopen();
      expect((await results).every(({ outcome }) => outcome === "processed")).toBe(true);
      expect((await it.contents()).effects).toHaveLength(300);
    });
  });
}
