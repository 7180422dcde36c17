import type { HealthWarning } from "../engine.ts";

const MIB = 1024 * 1024;

/** The log takes up to 80 MiB under load. With more than this, something keeps it from being emptied. */
const LARGE = 256 * MIB;

export interface LogSize {
  /** Call it with the length of the log in bytes after each commit. */
  see(bytes: number): void;
  /** While the log is large. */
  warning(): HealthWarning | undefined;
}

/** @param onLarge is called with the length in bytes when the log has become large, and at each doubling */
export function watchLogSize(onLarge: (bytes: number) => void): LogSize {
  let length = 0;
  let next = LARGE;
  return {
    see(bytes) {
      length = bytes;
      if (bytes < LARGE) next = LARGE;
      if (bytes < next) return;
      while (next <= bytes) next *= 2;
      onLarge(bytes);
    },
    warning() {
      if (length < LARGE) return undefined;
      const message = `The write-ahead log has ${Math.floor(length / MIB)} MiB. A long read transaction of another process keeps it from being emptied. End that transaction.`;
      return { code: "log_large", message };
    },
  };
}
