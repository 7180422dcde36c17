import { expect, setSystemTime, test } from "bun:test";
import pino, { type Logger } from "pino";
import { createJsonLogger } from "../../src/logging/log.ts";
import { HookonceError } from "../../src/errors.ts";

const AT = new Date("2026-01-31T12:00:00.123Z");

function withPino(level: string, write: (line: string) => void): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
    },
    { write },
  );
}

function linesOf(create: typeof createJsonLogger, level: string, log: (logger: Logger) => void): string[] {
  const lines: string[] = [];
  setSystemTime(AT);
  try {
    log(create(level, (line) => lines.push(line)));
  } finally {
    setSystemTime();
  }
  return lines;
}

const plain = new Error("a");
const caused = new Error("b", { cause: new HookonceError("disk_full", "no room") });
const odd = Object.assign(new TypeError("odd"), { errno: 5, nested: { a: [1] }, inner: new Error("inner") });

test.each<[string, (logger: Logger) => void, number]>([
  ["a message alone", (log) => log.info("hello"), 1],
  ["fields and a message", (log) => log.warn({ source: "a", n: 1, none: null, list: ["x"] }, "delivery"), 1],
  ["fields that are undefined", (log) => log.info({ a: undefined, b: 2 }, "m"), 1],
  ["text that JSON escapes", (log) => log.error({ text: '"\\\n\u2028\ud800é€\0' }, 'say "hi" \n'), 1],
  ["a percent sign", (log) => log.info({ path: "%s %d %o" }, "100%"), 1],
  ["an error", (log) => log.fatal({ err: plain }, "an error that nobody caught"), 1],
  ["an error with a cause", (log) => log.error({ a: 1, err: caused }, "m"), 1],
  ["an error with properties", (log) => log.error({ err: odd }, "m"), 1],
  ["a thrown value that is not an error", (log) => log.error({ err: "text" }, "m"), 1],
  [
    "every level, without those below the log's level",
    (log) => {
      for (const level of ["trace", "debug", "info", "warn", "error", "fatal"] as const)
        log[level]({}, level);
    },
    4,
  ],
])("writes the line that pino would write: %s", (_, log, count) => {
  const ours = linesOf(createJsonLogger, "info", log);
  expect(ours).toHaveLength(count);
  expect(ours).toEqual(linesOf(withPino, "info", log));
});

test("logs an error that cannot be written as JSON", () => {
  const circle = Object.assign(new Error("a"), { n: 1n });
  const [line] = linesOf(createJsonLogger, "info", (log) => log.fatal({ err: circle }, "an error"));
  expect(JSON.parse(line ?? "")).toEqual({
    level: "fatal",
    time: AT.toISOString(),
    err: { type: "Error", message: "a", stack: circle.stack },
    msg: "an error",
  });
});

test("writes nothing at the level silent, and reports info as disabled", () => {
  const lines = linesOf(createJsonLogger, "silent", (log) => {
    log.fatal("x");
    expect(log.isLevelEnabled("info")).toBe(false);
  });
  expect(lines).toEqual([]);
});
