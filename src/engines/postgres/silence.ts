/** Notices that a server does not answer any more. */
export interface Silence {
  asked(): void;
  answered(): void;
  /** Notices nothing any more. */
  end(): void;
}

/**
 * A server that is frozen, or whose network is gone, may leave a connection open for hours. A statement that is long in
 * itself is ended by its `statement_timeout`.
 *
 * @param limitMs so long nothing may be answered although something is asked, in milliseconds
 */
export function createSilence(limitMs: number, onSilence: () => void): Silence {
  let pending = 0;
  let since = 0;
  let timer: NodeJS.Timeout | undefined;

  function look(): void {
    timer = undefined;
    if (pending === 0) return;
    const leftMs = since + limitMs - performance.now();
    if (leftMs <= 0) onSilence();
    else wait(leftMs);
  }

  function wait(ms: number): void {
    timer = setTimeout(look, ms);
    timer.unref();
  }

  return {
    asked() {
      if (pending++ > 0) return;
      since = performance.now();
      if (timer === undefined) wait(limitMs);
    },
    end() {
      clearTimeout(timer);
      // No later statement begins to wait again.
      pending = Number.POSITIVE_INFINITY;
    },
    answered() {
      pending--;
      since = performance.now();
    },
  };
}
