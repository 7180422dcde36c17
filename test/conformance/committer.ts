import { writeSync } from "node:fs";
import type { EngineHarness } from "./harness.ts";
import { failing } from "./failing-events.ts";
import { apply, batchOf, deliver, discard, pause, resume, runHeld } from "./jobs.ts";
import { openEngine } from "./open-engine.ts";
import { ordered } from "./ordered-events.ts";
import { guarded, guardedBatch, SECRET, secretly } from "./redacted-sources.ts";
import { corrected } from "./scenarios/scenario.ts";

/**
 * A process that commits until it is killed, and reports what it was told is durable: one line `id outcome`
 * for each result. Arguments: the harness file, the store, what to do, and the numbers of the first event and
 * of the one after the last.
 */
const [file, location, what, from, to] = process.argv.slice(2) as [string, string, string, string, string];
const { harness } = (await import(file)) as { harness: EngineHarness };
const it = await openEngine(harness, harness.at(location));
const handlers = it.bind(what === "apply" ? corrected : undefined);

function id(n: number): string {
  return `evt_${n}`;
}

/** What arrives at once: new events, a repeat of an older one, a batch, an event that fails. */
function arrivals(n: number): Parameters<typeof it.commit>[0] {
  if (what === "pause") return whilePaused(n);
  if (what === "ordered") return [n, n + 1, n + 2, n + 3, Math.max(0, n - 7)].map((one) => ordered(one));
  // Each of them is delivered five times, twice of it at once.
  if (what === "fail") return [n, n, n - 4, n - 8, n - 12].map((one) => failing(id(Math.max(0, one))));
  if (what === "redact") return whileRedacted(n);
  if (what === "apply") return Array.from({ length: 4 }, (_, k) => apply(id(n + k)));
  return [
    deliver(id(n)),
    deliver(id(n + 1), { type: "reply" }),
    deliver(id(Math.max(0, n - 7))),
    ...batchOf([[id(n + 2)], [id(n + 3)]]),
    deliver(`bad_${n}`, { type: n % 8 === 0 ? "failAtCommit" : "credit", fail: true }),
  ];
}

/** The source is paused and resumed again and again, and what is held runs beside what arrives. */
function whilePaused(n: number): Parameters<typeof it.commit>[0] {
  const round = (n / 4) % 12;
  return [
    ...(round === 2 ? [pause()] : round === 5 ? [resume()] : []),
    deliver(id(n)),
    deliver(id(n + 1), { type: "reply" }),
    deliver(id(Math.max(0, n - 7))),
    ...batchOf([[id(n + 2)], [id(n + 3)]]),
    ...Array.from({ length: round >= 5 ? 6 : 1 }, () => runHeld()),
  ];
}

/** What is done at once, and what is owed and then given up, alone and in batches. */
function whileRedacted(n: number): Parameters<typeof it.commit>[0] {
  const source = guardedBatch;
  return [
    secretly(id(n)),
    secretly(id(n + 1), { type: "other" }),
    secretly(`bad_${n}`, { fail: true }),
    secretly(id(Math.max(0, n - 4))),
    ...batchOf([
      [id(n + 2), { source, note: SECRET, type: "other" }],
      [id(n + 3), { source, note: SECRET }],
    ]),
    ...[id(n - 7), `bad_${n - 8}`].map((one) => discard(one, { source: guarded })),
    discard(id(n - 6), { source }),
  ];
}

const reports: Promise<void>[] = [];
for (let n = Number(from); n < Number(to); n += 4) {
  const jobs = arrivals(n);
  for (let begun = 0; begun < jobs.length;) {
    // The results are not awaited here, so that batches overlap.
    const batch = await it.engine.commit(jobs.slice(begun), { workMs: 20, handlers });
    begun += batch.begun;
    reports.push(batch.results.then(report));
  }
  if (reports.length >= 8) await Promise.all(reports.splice(0, 4));
}
await Promise.all(reports);
await it[Symbol.asyncDispose]();

function report(results: Awaited<Awaited<ReturnType<typeof it.engine.commit>>["results"]>): void {
  const lines = results.map((result) =>
    result !== null && "outcome" in result
      ? `${result.eventId} ${result.isAccepted === true ? "accepted" : result.outcome}\n`
      : "",
  );
  writeSync(1, lines.join(""));
}
