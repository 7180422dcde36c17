/**
 * The memory that all bodies together may take while they arrive or wait in the queue. Bytes are counted as
 * they arrive, so what a client declares and does not send costs nothing.
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
   * Waits for bytes from now on. If others need room, a body that has waited for more than a second is dropped,
   * and `evict` is called.
   */
  wait(evict: () => void): void;
  /** Counts bytes of a body that is still arriving. Returns false if there is no room. */
  take(bytes: number): boolean;
  /** The body has arrived. */
  complete(): void;
  /** Releases everything. May be called again. */
  end(): void;
}

export interface BudgetLimits {
  /** In bytes. */
  readonly total: number;
  /** How much of it bodies that are still arriving leave to those that arrive whole, in bytes. */
  readonly reserve: number;
}

/** Memory that a delivery takes beside its body, in bytes: request, headers, promises, a place in the queue. */
const OVERHEAD = 8 * 1024;

/** After how many milliseconds without a byte a body makes room for others that need it. */
const PATIENCE_MS = 1000;

interface Waiting {
  /** On the monotonic clock, in milliseconds. */
  lastAt: number;
  readonly evict: () => void;
}

export function createBodyBudget({ total, reserve }: BudgetLimits): BodyBudget {
  let taken = 0;
  /** What those take that are still arriving. */
  let unfinished = 0;
  /** The one that has waited longest comes first. */
  const waiting = new Set<Waiting>();

  function makeRoom(bytes: number, arriving: boolean): boolean {
    for (;;) {
      if (taken + bytes <= total && (!arriving || unfinished + bytes <= total - reserve)) return true;
      const [longest] = waiting;
      if (longest === undefined || performance.now() - longest.lastAt < PATIENCE_MS) return false;
      longest.evict();
    }
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
        wait(evict) {
          own = {
            lastAt: performance.now(),
            evict: () => {
              end();
              evict();
            },
          };
          waiting.add(own);
          unfinished += held;
        },
        take(bytes) {
          if (own === undefined) return false;
          own.lastAt = performance.now();
          waiting.delete(own);
          waiting.add(own);
          if (!makeRoom(bytes, true)) return false;
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
