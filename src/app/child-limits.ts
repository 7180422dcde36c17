import { FFIType, ptr } from "bun:ffi";
import { openLibc } from "../engines/libc.ts";

/**
 * Limits that hold although the parent is gone or stopped, for example by Ctrl+Z: user code may loop, and then only
 * the system can end the process. Windows has neither signal, so only the parent's limits hold there.
 */

const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;
const ITIMER_REAL = 0;

/** The parent ends a child at MAX_LOCK_MS and at the end of its time. These are for when it cannot. In milliseconds. */
const MAX_LOCK_MS = { file: 25, postgres: 1500 } as const;
const GRACE_MS = 1000;

const { u64, i32 } = FFIType;
const timer = openLibc({ setitimer: { args: [i32, FFIType.ptr, FFIType.ptr], returns: i32 } });

let endsAt = Number.POSITIVE_INFINITY;

/** SIGALRM ends the process after this time, whatever it does. Infinity: no limit. */
function endAfter(ms: number): void {
  const micros = Number.isFinite(ms) ? BigInt(Math.round(Math.max(1, ms) * 1000)) : 0n;
  const value = new BigInt64Array([0n, 0n, micros / 1_000_000n, micros % 1_000_000n]);
  timer?.setitimer(ITIMER_REAL, ptr(value), null);
}

/**
 * Ends this process with its parent, and after a time.
 *
 * @param leftMs how long the parent waits for it
 */
export function limitChild(parent: number, leftMs: number): void {
  const linux = openLibc({ prctl: { args: [i32, u64, u64, u64, u64], returns: i32 } });
  linux?.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  // It may have ended before that.
  if (process.ppid !== parent) process.kill(process.pid, "SIGKILL");
  endsAt = performance.now() + leftMs + GRACE_MS;
  endAfter(endsAt - performance.now());
}

/** Runs what locks the real database, and ends this process if that takes too long. */
export async function limitLock<T>(kind: keyof typeof MAX_LOCK_MS, run: () => T | Promise<T>): Promise<T> {
  endAfter(MAX_LOCK_MS[kind]);
  try {
    return await run();
  } finally {
    endAfter(endsAt - performance.now());
  }
}
