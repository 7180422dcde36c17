import { write } from "node:fs";

export interface LineBuffer {
  write(line: string): void;
  /** Writes all lines. Resolves when they are written, or after 1.5 s if the reader has stalled. */
  flush(): Promise<void>;
  /** Writes the remaining lines without returning to the event loop, and blocks for at most 200 ms. */
  flushBeforeExit(): void;
}

/** Lines are written once this many bytes are waiting, or after `MOMENT_MS`. */
const FULL = 32 * 1024;
const MOMENT_MS = 50;

/**
 * How many bytes wait in memory while the reader has stalled, a few seconds of lines at full speed. Another
 * write of up to this size may be under way.
 */
const MAX_KEPT = 8 * 1024 * 1024;

/** The size of a chunk, in bytes. */
const CHUNK = 2 * FULL;

/** How long a flush waits for a stalled reader. A stop has 10 s in all. */
const MAX_WAIT_MS = 1500;
const LAST_WAIT_MS = 100;

/**
 * Buffers log lines and writes many of them at once to a file descriptor. At 20,000 deliveries a second, one
 * write per line would cost more than the deliveries do.
 *
 * Another thread makes the write, and the next write begins when it has ended. A pipe whose reader has
 * stalled blocks the thread that writes to it, so it must not be the main thread. Lines that do not fit into
 * memory meanwhile are dropped, and one line reports how many once there is room. If the reader goes away
 * (`hookonce serve | head`), the log ends and the server continues.
 *
 * @param dropped makes the line that reports the number of dropped lines
 */
export function createLineBuffer(descriptor: number, dropped: (lines: number) => string): LineBuffer {
  /**
   * Lines are encoded at once. Later they are no longer in the processor's cache, which costs 2 µs a line.
   */
  let chunk = Buffer.allocUnsafeSlow(CHUNK);
  let used = 0;
  /** The full chunks before `chunk`. */
  let kept: Buffer[] = [];
  let keptBytes = 0;
  let lost = 0;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let writing = false;
  let gone = false;
  let flushed: PromiseWithResolvers<void> | null = null;

  function put(line: string): void {
    // A UTF-16 unit takes at most three bytes in UTF-8.
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
    // Do not keep a chunk that was enlarged for a long line.
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
      // The pipe is non-blocking, as the pipes that Bun creates are, and it is full.
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
