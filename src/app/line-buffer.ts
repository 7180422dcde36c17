import { writeSync } from "node:fs";

export interface LineBuffer {
  write(line: string): void;
  flush(): void;
}

/** In UTF-16 units. Written when so much is waiting, or after a moment. */
const FULL = 8 * 1024;
const MOMENT_MS = 50;

/** What is kept for a reader who does not read. */
const MAX_KEPT = 4 * 1024 * 1024;

/**
 * Log lines on their way to a file descriptor, many to a write: at 20,000 deliveries a second one write each would cost more than the
 * deliveries. A reader who has gone away (`hookonce serve | head`) ends the log and not the server.
 */
export function createLineBuffer(descriptor: number): LineBuffer {
  let waiting = "";
  let timer: ReturnType<typeof setTimeout> | null = null;
  let gone = false;

  function flush(): void {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    if (waiting === "" || gone) return;
    let bytes = Buffer.from(waiting);
    waiting = "";
    try {
      while (bytes.byteLength > 0) bytes = bytes.subarray(writeSync(descriptor, bytes));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") {
        gone = true;
        return;
      }
      // A pipe that is full for the moment.
      waiting = bytes.byteLength > MAX_KEPT ? "" : bytes.toString();
      timer = setTimeout(flush, MOMENT_MS);
    }
  }

  return {
    write(line) {
      if (gone) return;
      waiting += line;
      if (waiting.length >= FULL && timer !== null) flush();
      else timer ??= setTimeout(flush, MOMENT_MS);
    },
    flush,
  };
}
