import pino, { type Logger } from "pino";
import { createLineBuffer } from "./line-buffer.ts";

export interface Log {
  readonly logger: Logger;
  /** Writes out what is still in memory. */
  flush(): void;
}

/** JSON lines on standard output; readable ones on a terminal. One for each delivery. */
export async function createLog(options: { readable: boolean }): Promise<Log> {
  const base = {
    level: process.env["LOG_LEVEL"] ?? "info",
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
  };
  if (options.readable) {
    // Loaded only here: a service pays nothing for it.
    const { default: pretty } = await import("pino-pretty");
    const stream = pretty({
      sync: true,
      singleLine: true,
      translateTime: "SYS:HH:MM:ss",
      ignore: "outcome",
      messageFormat: ({ outcome, msg }) => (typeof outcome === "string" ? outcome : (msg as string)),
    });
    return { logger: pino(base, stream), flush: () => {} };
  }
  const lines = createLineBuffer(1);
  return {
    logger: pino({ ...base, formatters: { level: (level) => ({ level }) } }, lines),
    flush: () => lines.flush(),
  };
}
