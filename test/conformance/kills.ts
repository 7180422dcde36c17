import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Job } from "../../src/engines/engine.ts";
import type { Contents, EngineHarness, Store } from "./harness.ts";
import { limited, MAX_FAILED_ANSWERS } from "./failing-events.ts";
import { apply, deliver, inWords, pause, resume, retry, runHeld } from "./jobs.ts";
import { openEngine } from "./open-engine.ts";
import { newestOf, ordered } from "./ordered-events.ts";
import { placesOf } from "./redacted.ts";
import { guarded, guardedBatch } from "./redacted-sources.ts";
import { corrected, none } from "./scenarios/scenario.ts";

/** How long a child may take. Loading it takes most of that. */
const TIMEOUT = 60_000;

/**
 * Runs committer.ts until it has reported so many lines, and then kills it in the middle of whatever it does.
 *
 * @returns what it reported: id → outcomes
 */
async function runUntilKilled(
  harness: EngineHarness,
  store: Store,
  what: "deliver" | "apply" | "ordered" | "pause" | "fail" | "redact",
  numbers: readonly [from: number, to: number],
  lines: number,
): Promise<Map<string, string[]>> {
  await using child = Bun.spawn(
    [
      process.execPath,
      join(import.meta.dir, "committer.ts"),
      harness.module,
      store.location,
      what,
      ...numbers.map(String),
    ],
    { stdin: "ignore", stdout: "pipe", stderr: "inherit" },
  );
  const reported = new Map<string, string[]>();
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    if (text.split("\n").length > lines) child.kill("SIGKILL");
  }
  await child.exited;
  // A line that the kill has cut off was not reported.
  for (const line of text.split("\n").slice(0, -1)) {
    const [id, outcome] = line.split(" ") as [string, string];
    reported.set(id, [...(reported.get(id) ?? []), outcome]);
  }
  return reported;
}

/** Each processed event has its effect once, and the effects are in the order in which the events were received. */
function checkReceivedOrder({ events, effects }: Pick<Contents, "events" | "effects">): void {
  const processed = events.filter(({ outcome }) => outcome === "processed").map(({ eventId }) => eventId);
  expect(effects.map(({ eventId }) => eventId)).toEqual(processed);
}

/** Each processed event has its effect once. */
function checkOnce({ events, effects }: Pick<Contents, "events" | "effects">): void {
  const processed = events.filter(({ outcome }) => outcome === "processed").map(({ eventId }) => eventId);
  expect(effects.map(({ eventId }) => eventId).toSorted()).toEqual(processed.toSorted());
}

/** The effects of each key are in the order of their versions, each once. */
function checkOrder({ effects }: Pick<Contents, "effects">): void {
  const newest = new Map<string, number>();
  for (const { eventId, cents } of effects) {
    const [key = ""] = eventId.split("_");
    expect(cents).toBeGreaterThan(newest.get(key) ?? -1);
    newest.set(key, cents);
  }
}

/** What a process that is killed leaves behind. @param rounds how often each test kills one */
export function createKillTests(name: string, harness: EngineHarness, rounds: number): void {
  describe(`${name}: killed with kill -9 in the middle of its commits`, () => {
    test(
      "it has lost nothing that it reported, and the events delivered again are applied once",
      async () => {
        await using store = await harness.create();
        const reported = new Map<string, string[]>();
        let next = 0;
        for (let round = 0; round < rounds; round++) {
          const lines = 40 + 37 * round;
          for (const [id, outcomes] of await runUntilKilled(
            harness,
            store,
            "deliver",
            [next, next + 4000],
            lines,
          ))
            reported.set(id, [...(reported.get(id) ?? []), ...outcomes]);
          await using it = await openEngine(harness, store);
          const { effects, events, failures, bodies } = await it.contents();
          const processed = events.map(({ eventId }) => eventId);
          const failed = new Set(failures.map(({ eventId }) => eventId));
          // Each recorded event has its one effect and its body; nothing is recorded in part.
          expect(effects.map(({ eventId }) => eventId)).toEqual(processed);
          expect(events.every(({ outcome, result }) => outcome === "processed" && result !== null)).toBe(
            true,
          );
          expect(bodies).toBeLessThanOrEqual(processed.length);
          const kept = new Set(processed);
          const lost = [...reported].filter(
            ([id, outcomes]) => !(outcomes.includes("failed") ? failed : kept).has(id),
          );
          expect(lost).toEqual([]);
          const doubled = [...reported].filter(
            ([, outcomes]) => outcomes.filter((outcome) => outcome === "processed").length > 1,
          );
          expect(doubled).toEqual([]);
          next = Math.max(...processed.map((id) => Number(id.slice("evt_".length)))) + 1;
        }
        expect(reported.size).toBeGreaterThan(60);

        // The provider retries all that it has sent, answered or not.
        const ids = Array.from({ length: next }, (_, n) => `evt_${n}`);
        await using it = await openEngine(harness, store);
        const before = new Set((await it.contents()).events.map(({ eventId }) => eventId));
        const answers = (await it.commit(ids.map((id) => deliver(id)))).map(
          (result) => inWords(result).split(",")[0],
        );
        expect(answers).toEqual(ids.map((id) => (before.has(id) ? "duplicate" : "processed")));
        const { effects } = await it.contents();
        expect(effects.map(({ eventId }) => eventId).sort()).toEqual(ids.toSorted());
      },
      TIMEOUT,
    );

    test(
      "no older event of a key was applied after a newer one, and the newest one is applied in the end",
      async () => {
        await using store = await harness.create();
        let next = 0;
        for (let round = 0; round < rounds; round++) {
          const reported = await runUntilKilled(
            harness,
            store,
            "ordered",
            [next, next + 400],
            30 + 23 * round,
          );
          // A provider begins with what it has not been told to be stored.
          next += reported.size === 0 ? 0 : 4 * Math.floor(reported.size / 5);
          checkOrder(await store.contents());
        }
        await using it = await openEngine(harness, store);
        // Every event is delivered again, in another order, and does not fail.
        await it.commit(Array.from({ length: next }, (_, n) => ordered(next - 1 - n, { fails: false })));
        const { effects, failures } = await it.contents();
        checkOrder({ effects });
        expect(
          failures.filter(({ settled, eventId }) => !settled && Number(eventId.split("_")[1]) < next),
        ).toEqual([]);
        const last = new Map(effects.map(({ eventId, cents }) => [eventId.split("_")[0] ?? "", cents]));
        for (const [key, version] of newestOf(next)) expect(last.get(key)).toBeGreaterThanOrEqual(version);
      },
      TIMEOUT,
    );

    test(
      "what is held while its source is paused is lost by no kill, and runs once and in the order received",
      async () => {
        await using store = await harness.create();
        const reported = new Map<string, string[]>();
        let next = 0;
        for (let round = 0; round < rounds; round++) {
          const lines = 40 + 29 * round;
          const told = await runUntilKilled(harness, store, "pause", [next, next + 800], lines);
          for (const [id, outcomes] of told) reported.set(id, [...(reported.get(id) ?? []), ...outcomes]);
          const { events, effects } = await store.contents();
          checkReceivedOrder({ events, effects });
          const recorded = new Map(events.map(({ eventId, outcome }) => [eventId, outcome]));
          for (const [id, outcomes] of reported)
            expect([id, recorded.get(id)]).toEqual([
              id,
              outcomes.includes("processed") || recorded.get(id) === "processed" ? "processed" : "held",
            ]);
          next = 4 * Math.floor(events.length / 4);
        }
        expect([...reported.values()].flat()).toContain("held");
        await using it = await openEngine(harness, store);
        await it.commit([pause(), deliver("last"), resume()]);
        for (let left: unknown; left !== null;) [left] = await it.commit([runHeld()]);
        const { events, effects } = await it.contents();
        checkReceivedOrder({ events, effects });
        expect(effects).toHaveLength(events.length);
        expect(effects.at(-1)?.eventId).toBe("last");
      },
      TIMEOUT,
    );

    test(
      "an event that is done has lost its values, and one that is owed is whole",
      async () => {
        await using store = await harness.create();
        let next = 0;
        for (let round = 0; round < rounds; round++) {
          await runUntilKilled(harness, store, "redact", [next, next + 2000], 40 + 23 * round);
          const contents = await store.contents();
          const owed = contents.events.filter(({ outcome }) => outcome === "unhandled");
          const failed = contents.failures.filter(({ settled }) => !settled);
          expect(new Set(placesOf(contents))).toEqual(
            new Set([
              ...owed.map(({ eventId }) => `${eventId}: body`),
              ...failed.map(({ eventId }) => `${eventId}: failure`),
            ]),
          );
          next += 2000;
        }
        await using it = await openEngine(harness, store);
        const { events, failures } = await it.contents();
        expect(events.some(({ outcome }) => outcome === "processed")).toBe(true);
        const left = [...events, ...failures].map(({ eventId, source }) =>
          apply(eventId, { source: source === guarded.name ? guarded : guardedBatch }),
        );
        await it.commit(left, { ...corrected, other: "writeEffect" });
        expect(placesOf(await it.contents())).toEqual([]);
        checkOnce(await it.contents());
      },
      TIMEOUT,
    );

    test(
      "max_failed_answers is kept, and each event that was accepted is run again and applied once",
      async () => {
        await using store = await harness.create();
        const reported = new Map<string, string[]>();
        let next = 0;
        for (let round = 0; round < rounds; round++) {
          const answers = await runUntilKilled(harness, store, "fail", [next, next + 400], 30 + 17 * round);
          for (const [id, words] of answers) reported.set(id, [...(reported.get(id) ?? []), ...words]);
          // The provider delivers the latest ones again: their answers were lost.
          next = Math.max(0, next + 4 * Math.floor(answers.size / 2));
        }
        const { failures } = await store.contents();
        const retried = new Set(failures.filter((one) => one.retried).map(({ eventId }) => eventId));
        const accepted = [...reported].filter(([, words]) => words.includes("accepted")).map(([id]) => id);
        expect(accepted.length).toBeGreaterThan(0);
        expect(accepted.filter((id) => !retried.has(id))).toEqual([]);
        for (const [id, words] of reported) {
          const failed = words.filter((word) => word === "failed").length;
          expect({ id, isKept: failed <= MAX_FAILED_ANSWERS }).toEqual({ id, isKept: true });
          expect(words.lastIndexOf("failed")).toBeLessThan(words.concat("accepted").indexOf("accepted"));
        }

        await using it = await openEngine(harness, store);
        const again = (): Job[] => [...retried].map((id) => retry(id, { source: limited }));
        await it.commit([...again(), ...again()], corrected);
        const { effects } = await it.contents();
        expect(effects.map(({ eventId }) => eventId).sort()).toEqual([...retried].sort());
      },
      TIMEOUT,
    );

    test(
      "apply that is run again applies each event once",
      async () => {
        await using store = await harness.create();
        const ids = Array.from({ length: 400 }, (_, n) => `evt_${n}`);
        {
          await using it = await openEngine(harness, store);
          await it.commit(
            ids.filter((_, n) => n % 3 !== 0).map((id) => deliver(id)),
            none,
          );
          await it.commit(ids.filter((_, n) => n % 3 === 0).map((id) => deliver(id, { fail: true })));
        }
        const first = await runUntilKilled(harness, store, "apply", [0, 400], 60);
        expect(first.size).toBeLessThan(400);
        {
          await using it = await openEngine(harness, store);
          const { effects } = await it.contents();
          const once = new Set(effects.map(({ eventId }) => eventId));
          expect(once.size).toBe(effects.length);
          const reported = [...first].filter(([, outcomes]) => outcomes[0] === "processed").map(([id]) => id);
          expect(reported.filter((id) => !once.has(id))).toEqual([]);
        }
        await runUntilKilled(harness, store, "apply", [0, 400], Number.POSITIVE_INFINITY);
        const { effects } = await store.contents();
        expect(effects.map(({ eventId }) => eventId).sort()).toEqual(ids.toSorted());
      },
      TIMEOUT,
    );
  });
}
