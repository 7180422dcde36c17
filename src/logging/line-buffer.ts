import { write } from "node:fs";

export interface LineBuffer {
  write(line: string): void;
  /** Resolves when all is written, or when it seems that nobody reads. */
  flush(): Promise<void>;
  /** For a process that must not take another turn: what is left is handed over, and given a moment. */
  flushBeforeExit(): void;
}

/** In bytes. Written when so much is waiting, or after a moment. */
const FULL = 32 * 1024;
const MOMENT_MS = 50;

/** What is kept for a reader who does not read: some seconds at full speed. Besides as much that is being written. In bytes. */
const MAX_KEPT = 8 * 1024 * 1024;

/** In bytes. */
const CHUNK = 2 * FULL;

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
  /** Lines become bytes at once: strings put together later are no longer in the processor's cache, which takes 2 µs a line. */
  let chunk = Buffer.allocUnsafeSlow(CHUNK);
  let used = 0;
  /** Chunks that were waiting before it. */
  let kept: Buffer[] = [];
  let keptBytes = 0;
  let lost = 0;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let writing = false;
  let gone = false;
  let flushed: PromiseWithResolvers<void> | null = null;

  function put(line: string): void {
    // UTF-8 takes at most three bytes for a UTF-16 unit.
    const most = line.length * 3;
    if (used + most > chunk.byteLength) {
      kept.push(chunk.subarray(0, used));
      keptBytes += used;
      chunk = Buffer.allocUnsafeSlow(Math.max(CHUNK, most));
      used = 0;
    }
    used += chunk.write(line, used);
  }

  function take(): Buffer {
    if (lost > 0) put(dropped(lost));
    const lines = Buffer.concat([...kept, chunk.subarray(0, used)]);
    kept = [];
    keptBytes = 0;
    // One that was made for a long line would be kept for good.
    if (chunk.byteLength > CHUNK) chunk = Buffer.allocUnsafeSlow(CHUNK);
    used = 0;
    lost = 0;
    return lines;
  }

  function waiting(): number {
    return keptBytes + used;
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
        if (gone || flushed !== null || waiting() >= FULL) begin();
        else if (waiting() > 0) timer ??= setTimeout(begin, MOMENT_MS);
      }
    });
  }

  return {
    write(line) {
      if (gone) return;
      if (lost > 0 || waiting() + line.length > MAX_KEPT) {
        lost++;
        return;
      }
      put(line);
      if (writing) return;
      if (waiting() >= FULL) begin();
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
