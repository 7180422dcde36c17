import { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { startServer } from "./child-server.ts";
import type { Design, DesignName } from "./design.ts";
import type { LoadFile } from "./load-file.ts";
import { cpuTimeUs, machineTimeUs, peakMemory } from "./process-stats.ts";
import { runWrk, type WrkResult } from "./wrk.ts";

export interface Measurement {
  readonly design: DesignName;
  readonly eventsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** User and system time of all threads. */
  readonly cpuUsPerEvent: number;
  readonly peakBytes: number;
  /** The share of the machine's time that other processes used. It includes the kernel's writing. */
  readonly othersShare: number;
  /** Reasons not to trust the numbers. */
  readonly problems: readonly string[];
}

export interface Subject {
  readonly folder: string;
  readonly binary: string;
  readonly load: LoadFile;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

/** Starts a design in its folder, warms it up to compile its code, measures it, and counts what it stored. */
export async function measure(design: Design, subject: Subject): Promise<Measurement> {
  const { folder, binary, load, seconds } = subject;
  const before = countStored(design, folder);
  await using server = await startServer(
    (port) => design.command({ port, folder, binary }),
    join(folder, "server.log"),
  );
  const url = `${server.url}/webhook/stripe`;
  const warmUp = await runWrk({
    url,
    seconds: subject.warmUpSeconds,
    load,
    first: 0,
    count: load.requests,
  });
  const part = partToSend(design, load, warmUp.sent);
  const machineBefore = machineTimeUs();
  const cpuBefore = cpuTimeUs(server.pid);
  const result = await runWrk({ url, seconds, load, ...part });
  const cpuUs = cpuTimeUs(server.pid) - cpuBefore;
  const machine = machineTimeUs();
  const others = machine.busy - machineBefore.busy - cpuUs - result.cpuUs;
  const peakBytes = peakMemory(server.pid);
  await server.stop();

  const warmUpRanOut = warmUp.sent > load.requests;
  const ranOut = design.load === "new events" && (warmUpRanOut || result.sent > part.count);
  const problems = [
    ...failures(warmUp, "in the warm-up "),
    ...failures(result, ""),
    ...(ranOut ? ["ran out of new events, so that some were duplicates: raise --max-rate"] : []),
    ...(ranOut || warmUpRanOut
      ? []
      : miscounts(design, countStored(design, folder) - before, warmUp, result)),
  ];
  return {
    design: design.name,
    eventsPerSecond: result.answered / (result.durationUs / 1e6),
    p50Ms: result.p50Us / 1000,
    p99Ms: result.p99Us / 1000,
    cpuUsPerEvent: cpuUs / result.answered,
    peakBytes,
    othersShare: Math.max(0, others / (machine.total - machineBefore.total)),
    problems,
  };
}

/** @param used how many requests the warm-up sent. More than the file has if it started over */
function partToSend(design: Design, load: LoadFile, used: number): { first: number; count: number } {
  if (used >= load.requests) return { first: 0, count: load.requests };
  // wrk asks its script for a first request that it does not send.
  return design.load === "new events"
    ? { first: used, count: load.requests - used }
    : { first: 1, count: used - 1 };
}

function failures({ not200, socketErrors }: WrkResult, when: string): string[] {
  return [
    ...(not200 > 0 ? [`${when}${not200} answers were errors`] : []),
    ...(socketErrors > 0 ? [`${when}${socketErrors} socket errors or timeouts`] : []),
  ];
}

/** Checks that every answered event is stored once, and that nothing is stored that was not sent. */
function miscounts(design: Design, stored: number, warmUp: WrkResult, result: WrkResult): string[] {
  if (design.stored === undefined) return [];
  const runs = design.load === "duplicates" ? [warmUp] : [warmUp, result];
  const answered = runs.reduce((sum, run) => sum + run.answered, 0);
  const sent = runs.reduce((sum, run) => sum + run.sent, 0);
  if (stored >= answered && stored <= sent) return [];
  return [`${answered} events were answered, ${sent} sent, and ${stored} stored`];
}

function countStored(design: Design, folder: string): number {
  const query = design.stored?.(folder);
  if (query === undefined || !existsSync(query.database)) return 0;
  using database = new Database(query.database, { readonly: true });
  return database.query<{ count: number }, []>(query.sql).get()?.count ?? 0;
}
