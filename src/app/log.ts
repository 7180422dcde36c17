import pino, { type DestinationStream, type Logger } from "pino";
import pretty from "pino-pretty";

export interface Log {
  readonly logger: Logger;
  /** Writes out what is still in memory. */
  flush(): void;
}

/** Readable lines on a terminal; JSON lines everywhere else, one for each delivery. */
export function createLog(options: { readable: boolean }): Log {
  const base = {
    level: process.env["LOG_LEVEL"] ?? "info",
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
  };
  if (options.readable) {
    const stream: DestinationStream = pretty({
      sync: true,
      singleLine: true,
      translateTime: "SYS:HH:MM:ss",
      ignore: "outcome",
      messageFormat: ({ outcome, msg }) => (typeof outcome === "string" ? outcome : (msg as string)),
    });
    return { logger: pino(base, stream), flush: () => {} };
  }
  // A line for each of 20,000 deliveries a second: written together, but never kept longer than a moment.
  const destination = pino.destination({ dest: 1, sync: false, minLength: 8 * 1024, periodicFlush: 200 });
  return {
    logger: pino({ ...base, formatters: { level: (level) => ({ level }) } }, destination),
    flush: () => destination.flushSync(),
  };
}
