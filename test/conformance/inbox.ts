import { describe, expect, test } from "bun:test";
import type { Handlers, Result } from "../../src/engines/engine.ts";
import { beginningOf, runEventJob } from "../../src/inbox/event-jobs.ts";
import { createProgressLog, type JobProgress } from "../../src/inbox/job-progress.ts";
import type { EventJobRequest, JobPosition } from "../../src/inbox/job-selection.ts";
import { createQueue } from "../../src/inbox/queue.ts";
import type { EngineHarness } from "./harness.ts";
import { deliver, pause, resume, retry, runHeld, shop, type Delivery, type Types } from "./jobs.ts";
import { openEngine, type OpenEngine } from "./open-engine.ts";
import { corrected, none, summaryOf } from "./scenarios/scenario.ts";

const ids = Array.from({ length: 300 }, (_, n) => `evt_${n}`);

/** An inbox on an engine, as app/open-inbox.ts makes it. */
function inboxOn(it: OpenEngine) {
  let handlers: Handlers = it.bind();
  const sources = new Map([[shop.name, shop]]);
  const fatal: unknown[] = [];
  const queue = createQueue(it.engine, {
    loaded: () => ({ sources, handlers }),
    // How long 300 deliveries take depends on the machine.
    maxWaitMs: 60_000,
    onFatal: (error) => void fatal.push(error),
  });
  return {
    queue,
    fatal,
    replaceHandlers(types?: Types): void {
      handlers = it.bind(types);
    },
    deliver: ({ event }: Delivery): Promise<Result> => queue.deliver(event),
    /** By default, applies everything. */
    async run(
      request: Partial<EventJobRequest> = {},
      { id = "job", from }: { readonly id?: string; readonly from?: JobPosition } = {},
    ): Promise<JobProgress> {
      const log = createProgressLog();
      const reader = await it.engine.reader();
      await runEventJob(
        {
          reader,
          queue,
          sources,
          destinations: new Set(["app"]),
          handlers: () => handlers,
          clock: () => 9000,
        },
        { action: "apply", filter: {}, dryRun: false, ...request },
        {
          id,
          startedAt: 9000,
          progress: log,
          from: from ?? (await beginningOf({ reader })),
          done: new Set(),
          signal: new AbortController().signal,
        },
      );
      return log.progress();
    },
  };
}

function counts({ groups }: JobProgress) {
  return groups.map(({ outcome, held, wouldRun, processed, discarded }) => ({
    outcome,
    held,
    wouldRun,
    processed,
    discarded,
  }));
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
        inbox.run(),
        inbox.run(),
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
      const [wouldRun] = (await inbox.run({ dryRun: true })).groups;
      expect(wouldRun).toMatchObject({ type: "credit", wouldRun: 150, processed: 0 });
      expect(await it.contents()).toEqual(before);
      const { groups, failures } = await inbox.run({ filter: { type: "cr*" } });
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

    test("events that were settled meanwhile do not refuse the others of a selection", async () => {
      await using it = await openEngine(harness);
      const inbox = inboxOn(it);
      for (const id of ["f1", "f2", "f3", "given up"]) await inbox.deliver(deliver(id, { fail: true }));
      await inbox.deliver(deliver("done"));
      await inbox.run({ action: "discard", filter: { ids: ["given up"] }, reason: "a test" });
      inbox.replaceHandlers(corrected);
      const run = async (
        action: EventJobRequest["action"],
        reason: string | undefined,
        ...named: string[]
      ) => {
        const { groups, failures } = await inbox.run(
          { action, reason, filter: { ids: named } },
          { id: action },
        );
        const sum = (name: "processed" | "discarded" | "alreadyDone" | "unfit"): number =>
          groups.reduce((total, group) => total + group[name], 0);
        return {
          changed: sum("processed") + sum("discarded"),
          done: sum("alreadyDone"),
          unfit: sum("unfit"),
          why: failures.map(({ eventId, code }) => `${eventId}: ${code}`),
        };
      };
      expect(await run("apply", undefined, "given up", "f1", "done")).toEqual({
        changed: 1,
        done: 1,
        unfit: 1,
        why: ["given up: reason_missing"],
      });
      expect(await run("discard", "a test", "f1", "f2", "given up")).toEqual({
        changed: 1,
        done: 1,
        unfit: 1,
        why: ["f1: not_owed"],
      });
      expect(await run("replay", "a test", "f3", "f1", "f2")).toEqual({
        changed: 1,
        done: 0,
        unfit: 2,
        why: ["f3: not_processed", "f2: not_processed"],
      });
      for (const [action, code, ...named] of [
        ["apply", "reason_missing", "given up", "f2"],
        ["discard", "not_owed", "done", "f1"],
        ["replay", "not_processed", "f3", "f2"],
      ] as const) {
        const refused = run(action, action === "apply" ? undefined : "a test", ...named);
        expect(await refused.catch((error: unknown) => error)).toMatchObject({ code });
      }
      expect(summaryOf(await it.contents())).toMatchObject({
        effects: ["done 1", "f1 1", "f1 1"],
        events: ["done processed", "given up discarded", "f1 processed", "f2 discarded"],
        failures: ["f3 handler_error"],
      });
      await inbox.queue.drain();
    });

    test.each<Partial<EventJobRequest>>([{}, { filter: { ids: ["u", "f", "p", "new"] } }, { limit: 1 }])(
      "a replay leaves alone what is processed while it waits or runs: %j",
      async (selection) => {
        await using it = await openEngine(harness);
        const inbox = inboxOn(it);
        inbox.replaceHandlers(none);
        await inbox.deliver(deliver("u"));
        inbox.replaceHandlers();
        await inbox.deliver(deliver("f", { fail: true }));
        await inbox.deliver(deliver("p"));
        const from = await beginningOf({ reader: await it.engine.reader() });
        inbox.replaceHandlers(corrected);
        await inbox.deliver(deliver("new"));
        await inbox.run();
        const replay = { action: "replay", reason: "a test", ...selection } as const;
        await inbox.run(replay, { id: "first", from });
        expect(summaryOf(await it.contents()).effects).toEqual(["p 1", "new 1", "u 1", "f 1", "p 1"]);
        // One that was ordered at the same time takes the same events.
        await inbox.run(replay, { id: "second", from });
        expect(summaryOf(await it.contents()).effects.slice(5)).toEqual(["p 1"]);
        await inbox.queue.drain();
      },
    );

    test("apply and replay leave a paused source alone, a dry run says so, and discard gives up what is held", async () => {
      await using it = await openEngine(harness);
      const inbox = inboxOn(it);
      await inbox.deliver(deliver("f", { fail: true }));
      await inbox.deliver(deliver("p"));
      await it.commit([pause()]);
      for (const id of ["h1", "h2"]) await inbox.deliver(deliver(id));
      inbox.replaceHandlers(corrected);
      const nothing = { wouldRun: 0, processed: 0, discarded: 0 };
      for (const request of [{ dryRun: true }, {}, { filter: { ids: ["f", "h1", "h2"] } }])
        expect(counts(await inbox.run(request))).toEqual([
          { outcome: "failed", ...nothing, held: 1 },
          { outcome: "held", ...nothing, held: 2 },
        ]);
      for (const dryRun of [true, false])
        expect(counts(await inbox.run({ action: "replay", reason: "a test", dryRun }))).toEqual([
          { outcome: "processed", ...nothing, held: 1 },
        ]);
      const refused = inbox.run({ filter: { outcome: "held" } });
      expect(await refused.catch((error: unknown) => error)).toMatchObject({ code: "not_owed" });
      const discard = {
        action: "discard",
        reason: "a test",
        filter: { outcome: "held", ids: undefined },
      } as const;
      expect(counts(await inbox.run(discard))).toEqual([
        { outcome: "held", ...nothing, held: 0, discarded: 2 },
      ]);
      await it.commit([resume(), runHeld(), runHeld()], corrected);
      expect(counts(await inbox.run())).toEqual([]);
      expect(summaryOf(await it.contents()).effects).toEqual(["p 1", "f 1"]);
      await inbox.queue.drain();
    });

    test("jobs for the same ids, own retries and redeliveries race to one effect of each event", async () => {
      await using it = await openEngine(harness);
      const inbox = inboxOn(it);
      const named = ids.slice(0, 100);
      const events = named.map((id) => deliver(id, { fail: true }));
      await Promise.all(events.map((event) => inbox.deliver(event)));
      inbox.replaceHandlers(corrected);
      const [applied, discarded] = await Promise.all([
        inbox.run({ filter: { ids: named } }),
        inbox.run({ action: "discard", filter: { ids: named.toReversed() }, reason: "a test" }),
        ...named.filter((_, n) => n % 2 === 0).map((id) => inbox.queue.write(retry(id))),
        ...events.filter((_, n) => n % 3 === 0).map((event) => inbox.deliver(event)),
      ]);
      for (const { groups } of [applied, discarded])
        expect([
          groups.reduce((sum, { failed }) => sum + failed, 0),
          groups.reduce((sum, one) => sum + one.processed + one.discarded + one.alreadyDone + one.unfit, 0),
        ]).toEqual([0, 100]);
      const { effects, events: recorded, failures } = await it.contents();
      expect(recorded).toHaveLength(100);
      const done = recorded.filter(({ outcome }) => outcome === "processed").map(({ eventId }) => eventId);
      expect(effects.map(({ eventId }) => eventId).sort()).toEqual(done.sort());
      expect(recorded.every(({ outcome }) => outcome === "processed" || outcome === "discarded")).toBe(true);
      expect(failures.filter(({ settled }) => !settled)).toEqual([]);
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
