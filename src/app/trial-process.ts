import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DatabaseLocation } from "../config/location.ts";
import type { TrialPlace } from "../engines/store.ts";
import { messageOf } from "../errors.ts";
import type { TrialPlan } from "./trial.ts";

/** The hidden command of the child that tries handlers. */
export const TRY = "try-handlers-and-roll-back";

/**
 * How long one run may lock the real database, in milliseconds. SQLite locks all of it. PostgreSQL locks the rows that
 * the run has changed, and each of its statements takes a round trip.
 */
const MAX_LOCK_MS = { file: 15, postgres: 1000 } as const;

/** Begins the name of the folder in which a copy of the database is made. */
export const TEMPORARY = "hookonce-trial-";

/** How long all runs may take, in milliseconds. */
export const MAX_TRIAL_MS = 30_000;

/** The input of each child, as JSON on standard input. */
export interface TrialOrder extends TrialPlan {
  /** Begins each of its lines, because handlers may write to standard output as well. */
  readonly token: string;
  /** The process that waits for it, and how long, in milliseconds. */
  readonly parent: number;
  readonly leftMs: number;
}

/** What a child says: one line of JSON each. `begin` and `end` enclose each run. */
export type TrialLine<Begun, Ended> =
  | { readonly is: "copy" }
  | { readonly is: "refused"; readonly why: string }
  | ({ readonly is: "begin" } & Begun)
  | { readonly is: "end"; readonly ran: Ended };

export interface TrialOptions<Begun> {
  readonly folder: string;
  readonly database: DatabaseLocation;
  /** Where to begin. If that is not possible in the real database, a copy is used. */
  readonly place: TrialPlace;
  /** What is left to be run, as the rest of the child's order; undefined if nothing is. */
  readonly left: () => object | undefined;
  readonly onEnded: (ran: unknown) => void;
  /** The process has ended during this run. */
  readonly onDied: (running: Begun, failure: { readonly code: string; readonly error: string }) => void;
  readonly signal?: AbortSignal | undefined;
  /**
   * Only tests change these: the command of this program, and how long all of it may take, in milliseconds.
   */
  readonly command?: readonly string[] | undefined;
  readonly maxMs?: number | undefined;
}

/**
 * Runs handlers and rolls back, in child processes, because user code cannot be interrupted. It begins in the
 * real database, which each run locks for a moment only. On SQLite, it goes on in a copy if that is not enough. Ends
 * within 30 s, whatever a handler does.
 *
 * @returns why not all were run
 */
export async function runTrials<Begun extends object>({
  folder,
  database,
  place: first,
  left,
  onEnded,
  onDied,
  signal,
  command = ownCommand(),
  maxMs = MAX_TRIAL_MS,
}: TrialOptions<Begun>): Promise<string | undefined> {
  const until = performance.now() + maxMs;
  let temporary: string | undefined;
  let place = first;
  const isStopped = (): boolean => signal?.aborted === true;
  try {
    for (let rest = left(); rest !== undefined && !isStopped(); rest = left()) {
      // Only its owner can read it. A copy is removed even if the child is killed.
      temporary ??= temporaryFolder();
      const copy = join(temporary, `${crypto.randomUUID()}.db`);
      const order: TrialOrder = {
        ...rest,
        folder,
        database,
        place,
        copy,
        token: crypto.randomUUID(),
        parent: process.pid,
        leftMs: until - performance.now(),
      };
      const end = await runTrial<Begun>(command, order, until, onEnded, signal);
      if (end.is === "done") return undefined;
      if (end.is === "refused") return end.why;
      if (end.is === "copy" || (end.is === "locked" && database.kind === "file")) place = "copy";
      if (end.is === "locked" && database.kind === "postgres" && end.running !== undefined && !isStopped())
        onDied(end.running, TOO_LONG);
      if (end.is !== "ended" || isStopped()) continue;
      const isLate = performance.now() >= until;
      if (end.running !== undefined) {
        const error = isLate ? `it did not return within ${maxMs / 1000} s` : "it ended the process";
        onDied(end.running, { code: isLate ? "handler_timeout" : "handler_died", error });
      }
      if (isLate) return `the time limit of ${maxMs / 1000} s was reached`;
      if (end.running === undefined) return `the process that tries them ended: ${end.said}`;
    }
    return isStopped() ? "it was stopped" : undefined;
  } catch (error) {
    return messageOf(error);
  } finally {
    if (temporary !== undefined) rmSync(temporary, { recursive: true, force: true });
  }
}

/** A parent that was killed could not remove its folder, with a copy of the database. No trial takes so long. */
const LEFT_MS = 10 * 60 * 1000;

function temporaryFolder(): string {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(TEMPORARY)) continue;
    const path = join(tmpdir(), name);
    try {
      if (Date.now() - statSync(path).mtimeMs > LEFT_MS) rmSync(path, { recursive: true, force: true });
    } catch {
      // It is another user's, or another process has removed it.
    }
  }
  return mkdtempSync(join(tmpdir(), TEMPORARY));
}

const TOO_LONG = {
  code: "handler_timeout",
  error: `it held rows of the real database for more than ${MAX_LOCK_MS.postgres / 1000} s, so it was rolled back. A delivery would wait for it`,
} as const;

type TrialEnd<Begun> =
  | { readonly is: "done" }
  /** The runs that are left need a copy of the database. */
  | { readonly is: "copy" }
  /** This run has locked the real database for too long. */
  | { readonly is: "locked"; readonly running: Begun | undefined }
  | { readonly is: "refused"; readonly why: string }
  /** It ended during this run; undefined if none had begun. */
  | { readonly is: "ended"; readonly running: Begun | undefined; readonly said: string };

/**
 * Runs handlers in one child. It is killed when a run locks the real database for too long; SQLite then rolls
 * back what it had not committed.
 *
 * @param until when all of it must be over, by `performance.now()`
 */
async function runTrial<Begun extends object>(
  command: readonly string[],
  order: TrialOrder,
  until: number,
  onEnded: (ran: unknown) => void,
  signal?: AbortSignal,
): Promise<TrialEnd<Begun>> {
  const child = Bun.spawn([...command, TRY], {
    // The signals of a terminal (Ctrl+Z) would stop it while it holds the lock.
    detached: true,
    stdin: new Blob([JSON.stringify(order)]),
    stdout: "pipe",
    stderr: "pipe",
  });
  let end: TrialEnd<Begun> | undefined;
  let running: Begun | undefined;
  let unlock: Timer | undefined;
  const stop = (): void => child.kill("SIGKILL");
  const timeout = setTimeout(stop, Math.max(0, until - performance.now()));
  signal?.addEventListener("abort", stop);
  if (signal?.aborted === true) stop();
  for await (const line of linesOf(child.stdout)) {
    if (!line.startsWith(order.token)) continue;
    const said = JSON.parse(line.slice(order.token.length)) as TrialLine<Begun, unknown>;
    clearTimeout(unlock);
    running = undefined;
    if (said.is === "begin") {
      running = said;
      if (order.place === "live") {
        unlock = setTimeout(() => {
          end = { is: "locked", running: said };
          stop();
        }, MAX_LOCK_MS[order.database.kind]);
      }
    } else if (said.is === "end") onEnded(said.ran);
    else end = said;
  }
  const [code, said] = await Promise.all([child.exited, new Response(child.stderr).text()]);
  clearTimeout(timeout);
  clearTimeout(unlock);
  signal?.removeEventListener("abort", stop);
  if (end !== undefined) return end;
  // Its own limit of the lock (child-limits.ts). On a loaded machine, it may be over before the child has said that it
  // begins.
  if (child.signalCode === "SIGALRM" && order.place === "live") return { is: "locked", running };
  if (code === 0 && running === undefined) return { is: "done" };
  return { is: "ended", running, said: said.trim().slice(-500) };
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  yield rest;
}

/** The command that runs this program: the compiled binary, or Bun with main.ts. */
export function ownCommand(): string[] {
  const isCompiled = /^(?:\/\$bunfs\/|[A-Z]:[\\/]~BUN[\\/])/.test(Bun.main);
  return isCompiled ? [process.execPath] : [process.execPath, Bun.main];
}
