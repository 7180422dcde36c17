import type { Logger } from "pino";
// The half of pino that is made for browsers. The other brings worker threads and writers of its own, 6 ms of every start, and nothing of
// them is of use to one who writes by himself (line-buffer.ts).
import pino from "pino/browser.js";
import { err } from "pino-std-serializers";
import { HookonceError } from "../errors.ts";
import { createLineBuffer } from "./line-buffer.ts";
import { readableLine } from "./readable-line.ts";

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
  if (options.readable) {
    // Loaded only here: a service pays nothing for them.
    const [{ default: pino }, { default: pretty }] = await Promise.all([
      import("pino"),
      import("pino-pretty"),
    ]);
    const stream = pretty({
      sync: true,
      translateTime: "SYS:HH:MM:ss",
      hideObject: true,
      ignore: "pid,hostname",
      messageFormat: (line) => readableLine(line),
    });
    const logger = pino({ level, base: null, timestamp: isoTime }, stream);
    return { logger, flush: () => Promise.resolve(), flushBeforeExit: () => {} };
  }
  const lines = createLineBuffer(
    1,
    (count) =>
      `{"level":"warn"${isoTime()},"lines":${count},"msg":"log lines were dropped: nobody read them"}\n`,
  );
  const logger = createJsonLogger(level, (line) => lines.write(line));
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

/** @param write gets each line whole */
export function createJsonLogger(level: string, write: (line: string) => void): Logger {
  return pino({
    level,
    timestamp: false,
    serializers: { err },
    browser: {
      serialize: ["err"],
      formatters: { level: (level) => ({ level }) },
      write: (fields) => write(lineOf(fields as LineFields)),
    },
  });
}

interface LineFields {
  readonly level: string;
  readonly msg: string;
  readonly err?: Readonly<Record<"type" | "message" | "stack", string>>;
  readonly [field: string]: unknown;
}

/** In the order of pino's other half. */
function lineOf({ level, ...fields }: LineFields): string {
  let json: string;
  try {
    json = JSON.stringify(fields);
  } catch {
    // An error may have anything for a property: a BigInt, a circle.
    const { type, message, stack } = fields.err ?? {};
    json = JSON.stringify({ err: { type, message, stack }, msg: fields.msg });
  }
  return `{"level":"${level}"${isoTime()},${json.slice(1)}\n`;
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
