/** The most bytes of bodies that are being sent at a time. One message of each destination may exceed it. */
const TOTAL = 64 * 1024 * 1024;

/**
 * Limits the memory for bodies that are being sent: with 256 at a time they could be 6 GiB. A destination takes at
 * most half of what the others leave, so one that hangs with large bodies leaves room for the others. One message
 * always has room, or the others could keep a destination from sending at all.
 */
export interface BodyRoom {
  /** @returns a function that gives the room back, to be called once; undefined if there is no room now */
  take(destination: string, bytes: number): (() => void) | undefined;
  /** Calls back once when room was given back. */
  whenFree(callback: () => void): void;
}

export function createBodyRoom(total = TOTAL): BodyRoom {
  const used = new Map<string, { bytes: number; messages: number }>();
  let all = 0;
  let waiting = new Set<() => void>();
  return {
    take(destination, bytes) {
      const own = used.get(destination) ?? { bytes: 0, messages: 0 };
      const left = total - (all - own.bytes);
      if (own.messages > 0 && own.bytes + bytes > left / 2) return undefined;
      own.bytes += bytes;
      own.messages++;
      all += bytes;
      used.set(destination, own);
      return () => {
        own.bytes -= bytes;
        own.messages--;
        all -= bytes;
        const callbacks = waiting;
        if (callbacks.size === 0) return;
        waiting = new Set();
        for (const callback of callbacks) callback();
      };
    },
    whenFree(callback) {
      waiting.add(callback);
    },
  };
}
