import type { Logger } from "pino";
// pino's browser build. The build for Node.js loads worker threads and writers, which adds 6 ms to every
// start, and none of them are needed here: line-buffer.ts does the writing.
import pino from "pino/browser.js";
import { err } from "pino-std-serializers";
import { HookonceError } from "../errors.ts";
import { createLineBuffer } from "./line-buffer.ts";
import { readableLine } from "./readable-line.ts";
import { visibleJson } from "./visible.ts";
import { wrapped } from "./wrap.ts";

export interface Log {
  readonly logger: Logger;
  /** Whether it is on a terminal, in readable lines, and not kept. */
  readonly terminal: boolean;
  /**
   * Writes the line of a delivery from its JSON fields. Absent for readable lines and for levels above
   * `info`.
   */
  readonly writeDelivery?: (fields: string) => void;
  /** Writes the lines that are still in memory. Gives up after 1.5 s if the reader has stalled. */
  flush(): Promise<void>;
  /** Does the same without returning to the event loop. */
  flushBeforeExit(): void;
}

/**
 * Creates the log on standard output: one line for each delivery, in JSON or, for a terminal, in readable
 * form. The level is `LOG_LEVEL`, `info` by default.
 *
 * @throws HookonceError `config_invalid` if `LOG_LEVEL` is not a level
 */
export async function createLog(options: { readable: boolean }): Promise<Log> {
  const level = process.env["LOG_LEVEL"] ?? "info";
  if (level !== "silent" && !(level in pino.levels.values)) {
    throw new HookonceError(
      "config_invalid",
      `LOG_LEVEL=${level} is not a log level. Use one of ${Object.keys(pino.levels.values).join(", ")} or silent.`,
    );
  }
  if (options.readable) {
    // Loaded only for a terminal, so that a service does not pay for them.
    const [{ default: pino }, { default: pretty }] = await Promise.all([
      import("pino"),
      import("pino-pretty"),
    ]);
    const stream = pretty({
      sync: true,
      translateTime: "SYS:HH:MM:ss",
      hideObject: true,
      ignore: "pid,hostname",
      // The width may change. 18 columns are taken by the time and the level.
      messageFormat: (line) => wrapped(readableLine(line), process.stdout.columns, 18),
    });
    const logger = pino({ level, base: null, timestamp: isoTime }, stream);
    return { logger, terminal: true, flush: () => Promise.resolve(), flushBeforeExit: () => {} };
  }
  const lines = createLineBuffer(
    1,
    (count) =>
      `{"level":"warn"${isoTime()},"lines":${count},"msg":"log lines were dropped because their reader stalled"}\n`,
  );
  const logger = createJsonLogger(level, (line) => lines.write(visibleJson(line)));
  return {
    logger,
    terminal: false,
    ...(logger.isLevelEnabled("info")
      ? {
          writeDelivery: (fields) =>
            lines.write(visibleJson(`{"level":"info"${isoTime()},${fields},"msg":"delivery"}\n`)),
        }
      : {}),
    flush: () => lines.flush(),
    flushBeforeExit: () => lines.flushBeforeExit(),
  };
}

/** @param write receives one complete line per call */
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

/** Formats a line with its fields in the order that pino's build for Node.js uses. */
function lineOf({ level, ...fields }: LineFields): string {
  let json: string;
  try {
    json = JSON.stringify(fields);
  } catch {
    // JSON.stringify throws if a property of an error is a BigInt or a circular reference.
    const { type, message, stack } = fields.err ?? {};
    json = JSON.stringify({ err: { type, message, stack }, msg: fields.msg });
  }
  return `{"level":"${level}"${isoTime()},${json.slice(1)}\n`;
}

let writtenAt = 0;
let written = "";

/**
 * Formats the time once per millisecond. At 20,000 lines a second, pino would format it 20 times as often.
 */
function isoTime(): string {
  const now = Date.now();
  if (now !== writtenAt) {
    writtenAt = now;
    written = `,"time":"${new Date(now).toISOString()}"`;
  }
  return written;
}
