import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { EventSource, Job } from "../../src/engines/engine.ts";
import type { Contents, EngineHarness } from "./harness.ts";
import {
  apply,
  batchOf,
  deliver,
  discard,
  inWords,
  pause,
  resume,
  retry,
  runHeld,
  sourceWith,
  type HandlerName,
} from "./jobs.ts";
import { openEngine, type OpenEngine } from "./open-engine.ts";
import { applied } from "./scenarios/apply.ts";
import { batches } from "./scenarios/batches.ts";
import { earlierIds } from "./scenarios/earlier-ids.ts";
import { newEvents } from "./scenarios/events.ts";
import { failedAnswers } from "./scenarios/failed-answers.ts";
import { failures } from "./scenarios/failures.ts";
import { goneHandlers } from "./scenarios/gone-handlers.ts";
import { newestWins } from "./scenarios/newest-wins.ts";
import { otherJobs } from "./scenarios/other-jobs.ts";
import { paused } from "./scenarios/paused.ts";
import { windows } from "./scenarios/windows.ts";
import { corrected, none, summaryOf, type Scenario, type Step } from "./scenarios/scenario.ts";

/** The jobs of a step in one commit, or each in a commit by itself. */
type How = "together" | "alone";

export async function play(it: OpenEngine, steps: readonly Step[], how: How): Promise<string[]> {
  const answers: string[] = [];
  for (const { handlers, jobs } of steps) {
    const groups = how === "together" ? [jobs] : jobs.map((job) => [job]);
    for (const group of groups) {
      const results = await it.commit(group, handlers);
      answers.push(...results.map((result, n) => inWords(result, group[n])));
    }
  }
  return answers;
}

/** What a history of jobs leaves in the tables, whatever shares a transaction. */
export function createHistoryTests(
  name: string,
  harness: EngineHarness,
  ways: readonly How[] = ["together", "alone"],
): void {
  const { asyncHandlers, sql } = harness.dialect;
  const has = {
    endTransaction: sql.endTransaction !== null,
    asyncHandlers,
    synchronousHandlers: !asyncHandlers,
  };
  const scenarios = [
    ...newEvents,
    ...failures,
    ...failedAnswers,
    ...batches,
    ...applied,
    ...earlierIds,
    ...otherJobs,
    ...newestWins,
    ...windows,
    ...paused,
    ...goneHandlers,
  ]
    .filter(({ needs }) => needs === undefined || has[needs])
    .map((scenario): [string, Scenario] => [scenario.name, scenario]);

  describe.each(ways)(`${name}, jobs committed %s`, (how) => {
    test.each(scenarios)("%s", async (_, { steps, answers, ...expected }) => {
      await using it = await openEngine(harness);
      expect(await play(it, steps, how)).toEqual([...answers]);
      const { effects = [], events = [], failures = [], settled = [], bodies = events.length } = expected;
      expect(summaryOf(await it.contents())).toEqual({ effects, events, failures, settled, bodies });
    });
  });
}

/** @param runs how many random histories are tried */
export function createRandomHistories(name: string, harness: EngineHarness, runs: number): void {
  test(`${name}: any history leaves the same tables, whatever shares a transaction, and one effect of each event`, async () => {
    await fc.assert(
      fc.asyncProperty(historiesFor(harness.dialect.sql.endTransaction !== null), async (steps) => {
        await using together = await openEngine(harness);
        await using alone = await openEngine(harness);
        const answers = await play(together, steps, "together");
        expect(answers).toEqual(await play(alone, steps, "alone"));
        const contents = await together.contents();
        expect(contents).toEqual(await alone.contents());
        checkOnce(contents);
      }),
      { numRuns: runs, seed: 20_261_127 },
    );
  }, 600_000);
}

/**
 * Each processed event has its one effect, each other event none. A processed event is not owed, and a held event has
 * no open failure.
 */
function checkOnce({ effects, events, failures }: Contents): void {
  const processed = events.filter(({ outcome }) => outcome === "processed");
  const withEffect = processed
    .filter(({ handler }) => handler !== "handlers/shop/changeNothing.sql")
    .map(({ eventId }) => eventId);
  expect(effects.map(({ eventId }) => eventId).sort()).toEqual(withEffect.sort());
  const held = events.filter(({ outcome }) => outcome === "held");
  const done = new Set([...processed, ...held].map(({ eventId }) => eventId));
  expect(failures.filter(({ settled, eventId }) => !settled && done.has(eventId))).toEqual([]);
}

function idOf(n: number): string {
  return `evt_${n}`;
}

/**
 * Histories of few events in all ways to fail. The type belongs to the event, as it does in real deliveries.
 */
export function historiesFor(canEndTransaction: boolean): fc.Arbitrary<Step[]> {
  const types: readonly HandlerName[] = [
    "credit",
    "credit",
    "reply",
    "failAtCommit",
    "changeNothing",
    canEndTransaction ? "endTransaction" : "credit",
  ];
  const typeOf = (n: number): HandlerName => types[n % types.length] as HandlerName;
  const event = fc.record({ n: fc.nat({ max: 7 }), cents: fc.constantFrom(1, 2), fail: fc.boolean() });
  const at = fc.integer({ min: 1000, max: 1005 });

  const jobsOf = (source: EventSource): fc.Arbitrary<readonly Job[]> =>
    fc.oneof(
      {
        weight: 5,
        arbitrary: fc
          .tuple(event, at)
          .map(([{ n, cents, fail }, at]) => [
            deliver(idOf(n), { type: typeOf(n), cents, fail, at, source }),
          ]),
      },
      {
        weight: 2,
        arbitrary: fc
          .tuple(fc.uniqueArray(event, { minLength: 1, maxLength: 4, selector: ({ n }) => n }), at)
          .map(([events, at]) =>
            batchOf(
              events.map(({ n, cents, fail }) => [idOf(n), { type: typeOf(n), cents, fail, at, source }]),
            ),
          ),
      },
      { weight: 2, arbitrary: fc.tuple(event, at).map(([{ n }, at]) => [apply(idOf(n), { at, source })]) },
      {
        weight: 1,
        arbitrary: fc
          .tuple(event, at, fc.boolean())
          .map(([{ n }, at, isRetry]) => [
            isRetry ? retry(idOf(n), { at, source }) : discard(idOf(n), { source }),
          ]),
      },
      { weight: 1, arbitrary: fc.constantFrom(...steering) },
      { weight: 2, arbitrary: fc.constant([runHeld({ source })]) },
    );
  const sources = [
    sourceWith(),
    sourceWith({ requireChange: true }),
    sourceWith({ unhandled: "fail" }),
    sourceWith({ unhandled: "ignore" }),
    sourceWith({ holdAfter: 2 }),
    sourceWith({ maxFailedAnswers: 2, unhandled: "fail" }),
  ];
  const steering: readonly (readonly Job[])[] = [
    [pause()],
    [resume()],
    [resume({ stopOnFailure: true })],
    [pause({ state: "refusing" })],
  ];
  const all = Object.fromEntries(types.map((type) => [type, type]));
  const sets = [
    undefined,
    undefined,
    none,
    { ...all, ...corrected },
    { ...all, reply: "changeNothing" as const },
  ];
  return fc.constantFrom(...sources).chain((source) =>
    fc.array(
      fc
        .tuple(fc.constantFrom(...sets), fc.array(jobsOf(source), { minLength: 1, maxLength: 8 }))
        .map(([handlers, jobs]): Step => ({ handlers, jobs: jobs.flat() })),
      { minLength: 1, maxLength: 4 },
    ),
  );
}
