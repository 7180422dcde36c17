import { write } from "node:fs";

export interface LineBuffer {
  write(line: string): void;
  /** Resolves when all is written, or when it seems that nobody reads. */
  flush(): Promise<void>;
  /** For a process that must not take another turn: what is left is handed over, and given a moment. */
  flushBeforeExit(): void;
}

/** In UTF-16 units. Written when so much is waiting, or after a moment. */
const FULL = 32 * 1024;
const MOMENT_MS = 50;

/** What is kept for a reader who does not read: some seconds at full speed. Besides as much that is being written. In UTF-16 units. */
const MAX_KEPT = 8 * 1024 * 1024;

/** How long a flush waits for such a reader. A stop has 10 s in all. */
const MAX_WAIT_MS = 1500;
const LAST_WAIT_MS = 100;

/**
 * Log lines on their way to a file descriptor, many to a write: at 20,000 deliveries a second one write each would cost more than the
 * deliveries. The write is made by another thread, and the next one begins when it has ended: a pipe whose reader has stalled blocks
 * whoever writes to it, and that is not to be the server. What then no longer fits is dropped, and said so once there is room. A reader
 * who has gone away (`hookonce serve | head`) ends the log and not the server.
 *
 * @param dropped makes the line that says how many were
 */
export function createLineBuffer(descriptor: number, dropped: (lines: number) => string): LineBuffer {
  let waiting = "";
  let lost = 0;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let writing = false;
  let gone = false;
  let flushed: PromiseWithResolvers<void> | null = null;

  function take(): Buffer {
    const lines = lost === 0 ? waiting : waiting + dropped(lost);
    waiting = "";
    lost = 0;
    return Buffer.from(lines);
  }

  function begin(): void {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    if (writing) return;
    const bytes = take();
    if (gone || bytes.byteLength === 0) {
      flushed?.resolve();
      flushed = null;
      return;
    }
    writing = true;
    writeAll(bytes);
  }

  function writeAll(bytes: Buffer, retryMs = 1): void {
    write(descriptor, bytes, (error, length) => {
      // A pipe that is non-blocking, as Bun makes its own, and full for the moment.
      if (error?.code === "EAGAIN") setTimeout(writeAll, retryMs, bytes, Math.min(retryMs * 2, MOMENT_MS));
      else if (error === null && length < bytes.byteLength) writeAll(bytes.subarray(length));
      else {
        gone = error !== null;
        writing = false;
        if (gone || flushed !== null || waiting.length >= FULL) begin();
        else if (waiting !== "") timer ??= setTimeout(begin, MOMENT_MS);
      }
    });
  }

  return {
    write(line) {
      if (gone) return;
      if (lost > 0 || waiting.length + line.length > MAX_KEPT) {
        lost++;
        return;
      }
      waiting += line;
      if (writing) return;
      if (waiting.length >= FULL) begin();
      else timer ??= setTimeout(begin, MOMENT_MS);
    },
    flush() {
      flushed ??= Promise.withResolvers();
      const { promise } = flushed;
      begin();
      return Promise.race([promise, Bun.sleep(MAX_WAIT_MS)]);
    },
    flushBeforeExit() {
      if (gone) return;
      if (writing) Bun.sleepSync(LAST_WAIT_MS);
      const bytes = take();
      if (bytes.byteLength === 0) return;
      write(descriptor, bytes, () => {});
      Bun.sleepSync(LAST_WAIT_MS);
    },
  };
}
