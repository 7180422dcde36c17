import { FFIType } from "bun:ffi";
import { rmSync, write } from "node:fs";
import { messageOf } from "../errors.ts";
import { openLibc } from "./libc.ts";
import { lookAt, mapMarker, readRun, writeVerdict, type MarkedRun } from "./marker.ts";

/**
 * What a watchdog's thread does (watchdog.ts). It looks at the marker once per tick, and ends the process
 * when the same run has been marked for too many of them. Ticks are counted and not time, so a machine that
 * was suspended in the middle of a run kills nobody: its watchdog stood still, too.
 */

/** The only message to the thread. */
export interface WatchOrder {
  /** Paths. */
  readonly marker: string;
  readonly verdict: string;
  readonly tickMs: number;
  /** After so many ticks of one run. */
  readonly limit: number;
}

/** The only message from the thread: why it watches nothing. */
export interface WatchFailed {
  readonly reason: string;
}

/**
 * Tells other processes that use the same database which run ends this one: the provider's retry goes to one of them.
 * Resolves to a function that takes the report back.
 */
export type TellOthers<Order> = (run: MarkedRun, order: Order) => Promise<() => Promise<void>>;

/** Waits for the one message to the thread, and does what it says. */
export function answerOrder<Order extends WatchOrder>(thread: Worker, tell?: TellOthers<Order>): void {
  thread.addEventListener("message", ({ data }: MessageEvent<Order>) => {
    try {
      watch(data, mapMarker(data.marker), tell === undefined ? undefined : (run) => tell(run, data));
    } catch (error) {
      thread.postMessage({ reason: messageOf(error) } satisfies WatchFailed);
    }
  });
}

type Tell = (run: MarkedRun) => Promise<() => Promise<void>>;

/** How long it may take to tell the others, in milliseconds. */
const MAX_TELL_MS = 5000;

/**
 * A sync that takes so many ticks is logged, and again each time this has doubled. It is never a reason to
 * kill.
 */
const SLOW_SYNC = 5;

/** The exit code of a process that SIGKILL has ended, as shells report it. */
const KILLED = 137;

/** How long the log line may take if nobody reads standard error, in milliseconds. */
const MAX_LOG_MS = 1000;

function watch(order: WatchOrder, marker: Buffer, tell: Tell | undefined): void {
  let last = lookAt(marker);
  let runTicks = 0;
  let syncTicks = 0;

  async function tick(): Promise<void> {
    const now = lookAt(marker);
    runTicks = now.run !== 0 && now.run === last.run ? runTicks + 1 : 0;
    const syncs = now.sync !== 0 && now.sync === last.sync ? syncTicks + 1 : 0;
    if (syncs === 0 && syncTicks >= SLOW_SYNC) logSync("the sync has ended", syncTicks);
    syncTicks = syncs;
    if (Number.isInteger(Math.log2(syncTicks / SLOW_SYNC)))
      logSync("the disk is slow to sync, and no delivery is answered until it has", syncTicks);
    last = now;
    if (runTicks >= order.limit) {
      if (await end(order, marker, now.run, tell)) return;
      runTicks = 0;
    }
    // Not an interval: after a suspension it could catch up.
    setTimeout(() => void tick(), order.tickMs);
  }

  function logSync(msg: string, ticks: number): void {
    log({ level: "warn", ms: ticks * order.tickMs, msg });
  }

  setTimeout(() => void tick(), order.tickMs);
}

/** @returns false if the run has ended meanwhile */
async function end(
  { verdict, tickMs, limit }: WatchOrder,
  marker: Buffer,
  run: number,
  tell: Tell | undefined,
): Promise<boolean> {
  const marked = Buffer.from(marker);
  if (lookAt(marker).run !== run) return false;
  try {
    writeVerdict(verdict, marked);
  } catch (error) {
    // For example on a full disk. The marker alone makes the event run by itself after the start.
    log({ level: "error", cause: messageOf(error), msg: "the verdict on a handler could not be written" });
  }
  const takeBack = await told(tell, readRun(marked));
  if (lookAt(marker).run !== run) {
    rmSync(verdict, { force: true });
    takeBack?.().catch(logUntold);
    return false;
  }
  setTimeout(kill, MAX_LOG_MS);
  log(lineOf(readRun(marked), (limit * tickMs) / 1000), kill);
  return true;
}

async function told(tell: Tell | undefined, run: MarkedRun | undefined) {
  if (tell === undefined || run === undefined) return undefined;
  const telling = tell(run);
  telling.catch(logUntold);
  const late = new Promise<undefined>((resolve) => setTimeout(resolve, MAX_TELL_MS));
  return Promise.race([telling.catch(() => undefined), late]);
}

function logUntold(error: unknown): void {
  log({ level: "error", cause: messageOf(error), msg: "other nodes could not be told of the handler" });
}

function kill(): void {
  process.kill(process.pid, "SIGKILL");
  // Linux sends no SIGKILL to the first process of a container that comes from the container itself.
  openLibc({ _exit: { args: [FFIType.i32], returns: FFIType.void } })?.["_exit"](KILLED);
}

function lineOf(run: MarkedRun | undefined, seconds: number): LogLine {
  return {
    level: "fatal",
    source: run?.source,
    event: run?.eventId,
    type: run?.type,
    handler: run?.handler,
    code: "handler_timeout",
    msg: `the handler did not return within ${seconds} s: hookonce kills itself, and the next start skips this event`,
  };
}

interface LogLine {
  readonly level: "warn" | "error" | "fatal";
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** To standard error: standard output belongs to the main thread, which may hold half a line. */
function log({ level, ...fields }: LogLine, done = (): void => {}): void {
  write(2, `${JSON.stringify({ level, time: new Date().toISOString(), ...fields })}\n`, done);
}
