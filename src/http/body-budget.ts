/**
 * The memory and the time that bodies may take. Bytes are counted as they arrive, so what a client declares
 * and does not send costs nothing.
 */
export interface BodyBudget {
  /** Begins a delivery. Returns undefined if there is no room for it. */
  begin(): Share | undefined;
}

/** What one delivery takes. */
export interface Share {
  /** Counts a body that has arrived whole. Returns false if there is no room. */
  takeWhole(bytes: number): boolean;
  /**
   * Waits for bytes from now on. `drop` is called if they take too long, or if others need the room. Returns
   * false if there is no room.
   */
  wait(drop: (why: DropReason) => void): boolean;
  /** Counts bytes of a body that is still arriving. Returns false if there is no room. */
  take(bytes: number): boolean;
  /** The body has arrived. */
  complete(): void;
  /** Releases everything. May be called again. */
  end(): void;
}

/**
 * `pause`: no byte came for too long. `whole`: the body took too long in all. `room`: others need the room, and
 * this one is slow.
 */
export type DropReason = "pause" | "whole" | "room";

export interface BodyLimits {
  /** The memory for all bodies that arrive or wait in the queue, in bytes. */
  readonly total: number;
  /** How much of it bodies that are still arriving leave to those that arrive whole, in bytes. */
  readonly reserve: number;
  /** How long a body may pause, in milliseconds. */
  readonly pauseMs: number;
  /** How long it may take in all, in milliseconds. */
  readonly wholeMs: number;
}

/**
 * Memory that a delivery takes beside its body, in bytes: request, headers, promises, a place in the queue. A
 * body that is waited for takes more, for its connection and its stream (measured with 5,000 of them).
 */
const OVERHEAD = 4 * 1024;
const WAITING_OVERHEAD = 12 * 1024;

/**
 * A body makes room for others that need it if it has not received another KiB within a second, or if it has
 * been arriving for more than five. Without the first rule, clients that send a byte from time to time would
 * keep everyone else out; without the second, those that send a KiB.
 */
const PROGRESS_BYTES = 1024;
const PROGRESS_MS = 1000;
const SLOW_MS = 5000;

/**
 * How often to look for bodies that take too long, in milliseconds, and how many to drop at a time. Dropping
 * 3,000 that began together would stop everything else for half a second.
 */
const SWEEP_MS = 100;
const MAX_DROPPED = 50;

interface Waiting {
  /** On the monotonic clock, in milliseconds. */
  readonly startedAt: number;
  lastAt: number;
  /** When it last had another KiB, and what has come since. */
  progressAt: number;
  sinceProgress: number;
  readonly drop: (why: DropReason) => void;
}

export function createBodyBudget({ total, reserve, pauseMs, wholeMs }: BodyLimits): BodyBudget {
  let taken = 0;
  /** What those take that are still arriving. */
  let unfinished = 0;
  /** The one that began first comes first. */
  const waiting = new Set<Waiting>();
  /** The same ones. The one without progress for longest comes first. */
  const byProgress = new Set<Waiting>();
  let sweeper: ReturnType<typeof setInterval> | undefined;

  function makeRoom(bytes: number, arriving: boolean): boolean {
    for (;;) {
      if (taken + bytes <= total && (!arriving || unfinished + bytes <= total - reserve)) return true;
      const slow = slowOne();
      if (slow === undefined) return false;
      slow.drop("room");
    }
  }

  function slowOne(): Waiting | undefined {
    const now = performance.now();
    const [stalled] = byProgress;
    if (stalled !== undefined && now - stalled.progressAt >= PROGRESS_MS) return stalled;
    const [oldest] = waiting;
    return oldest !== undefined && now - oldest.startedAt >= SLOW_MS ? oldest : undefined;
  }

  function sweep(): void {
    const now = performance.now();
    let dropped = 0;
    for (const { startedAt, lastAt, drop } of waiting) {
      if (dropped === MAX_DROPPED) return;
      const why = now - lastAt >= pauseMs ? "pause" : now - startedAt >= wholeMs ? "whole" : undefined;
      if (why === undefined) continue;
      drop(why);
      dropped++;
    }
    if (waiting.size > 0) return;
    clearInterval(sweeper);
    sweeper = undefined;
  }

  return {
    begin() {
      if (!makeRoom(OVERHEAD, false)) return undefined;
      let held = OVERHEAD;
      taken += held;
      let own: Waiting | undefined;

      function stopWaiting(): void {
        if (own === undefined) return;
        waiting.delete(own);
        byProgress.delete(own);
        own = undefined;
        unfinished -= held;
      }

      function end(): void {
        stopWaiting();
        taken -= held;
        held = 0;
      }

      return {
        takeWhole(bytes) {
          if (!makeRoom(bytes, false)) return false;
          taken += bytes;
          held += bytes;
          return true;
        },
        wait(drop) {
          if (!makeRoom(held + WAITING_OVERHEAD, true)) return false;
          taken += WAITING_OVERHEAD;
          held += WAITING_OVERHEAD;
          const now = performance.now();
          own = {
            startedAt: now,
            lastAt: now,
            progressAt: now,
            sinceProgress: 0,
            drop: (why) => {
              end();
              drop(why);
            },
          };
          waiting.add(own);
          byProgress.add(own);
          unfinished += held;
          sweeper ??= setInterval(sweep, SWEEP_MS).unref();
          return true;
        },
        take(bytes) {
          if (own === undefined) return false;
          own.lastAt = performance.now();
          own.sinceProgress += bytes;
          if (own.sinceProgress >= PROGRESS_BYTES) {
            own.progressAt = own.lastAt;
            own.sinceProgress = 0;
            byProgress.delete(own);
            byProgress.add(own);
          }
          // The slow one that makes room may be this one.
          if (!makeRoom(bytes, true) || !waiting.has(own)) return false;
          taken += bytes;
          unfinished += bytes;
          held += bytes;
          return true;
        },
        complete: stopWaiting,
        end,
      };
    },
  };
}
