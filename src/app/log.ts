import pino, { type Logger } from "pino";
import { readableLine } from "./readable-line.ts";
import { HookonceError } from "../errors.ts";
import { createLineBuffer } from "./line-buffer.ts";

export interface Log {
  readonly logger: Logger;
  /** Writes the line of a delivery from its fields in JSON; absent where lines are not JSON, or not wanted. */
  readonly writeDelivery?: (fields: string) => void;
  /** Writes out what is still in memory, as far as somebody reads it. */
  flush(): Promise<void>;
  /** The same for a process that must not take another turn. */
  flushBeforeExit(): void;
}

/** JSON lines on standard output; readable ones on a terminal. One for each delivery. */
export async function createLog(options: { readable: boolean }): Promise<Log> {
  const level = process.env["LOG_LEVEL"] ?? "info";
  if (level !== "silent" && !(level in pino.levels.values)) {
    throw new HookonceError(
      "config_invalid",
      `LOG_LEVEL=${level} is no level: there are ${Object.keys(pino.levels.values).join(", ")} and silent.`,
    );
  }
  const base = {
    level,
    base: null,
    timestamp: isoTime,
  };
  if (options.readable) {
    // Loaded only here: a service pays nothing for it.
    const { default: pretty } = await import("pino-pretty");
    const stream = pretty({
      sync: true,
      translateTime: "SYS:HH:MM:ss",
      hideObject: true,
      ignore: "pid,hostname",
      messageFormat: (line) => readableLine(line),
    });
    return { logger: pino(base, stream), flush: () => Promise.resolve(), flushBeforeExit: () => {} };
  }
  const lines = createLineBuffer(
    1,
    (count) =>
      `{"level":"warn"${isoTime()},"lines":${count},"msg":"log lines were dropped: nobody read them"}\n`,
  );
  const logger = pino({ ...base, formatters: { level: (level) => ({ level }) } }, lines);
  return {
    logger,
    ...(logger.isLevelEnabled("info")
      ? {
          writeDelivery: (fields) => lines.write(`{"level":"info"${isoTime()},${fields},"msg":"delivery"}\n`),
        }
      : {}),
    flush: () => lines.flush(),
    flushBeforeExit: () => lines.flushBeforeExit(),
  };
}

let writtenAt = 0;
let written = "";

/** pino's own writes the date anew for each line, which at 20,000 lines a second is 20 times a millisecond. */
function isoTime(): string {
  const now = Date.now();
  if (now !== writtenAt) {
    writtenAt = now;
    written = `,"time":"${new Date(now).toISOString()}"`;
  }
  return written;
}
