import { counted } from "../logging/counted.ts";
import { isLoadingHandler } from "./handler-process.ts";

/** Output that handlers write with `console` becomes log lines, because standard output is the log. */

export interface HandlerOutput {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly text: string;
}

const LEVELS = {
  log: "info",
  info: "info",
  warn: "warn",
  error: "error",
  debug: "debug",
  trace: "debug",
} as const satisfies Partial<Record<keyof Console, HandlerOutput["level"]>>;

/**
 * The most lines and characters of one run, so that a handler that writes in an endless loop does not fill
 * the memory.
 */
const MAX_LINES = 1000;
const MAX_LENGTH = 64 * 1024;

/*
 * This state is per module, because there is one `console` for the whole process. One run at a time uses it: runs
 * follow one another, and do not nest.
 */

/** The lines of the handler that runs now; undefined if none does. */
let current: HandlerOutput[] | undefined;
/** How many more characters it may write. */
let room = 0;
let dropped = 0;
/** The lines of the last run, until they are taken. */
let collected: HandlerOutput[] = [];
/** Receives output that is written while no handler runs: by a handler's timer, promise or top level. */
let stray: ((output: HandlerOutput) => void) | undefined;
let patched = false;

/**
 * Sends output that is written while no handler runs to the log instead of to standard output. Undefined
 * stops this.
 */
export function onStrayOutput(write: typeof stray): void {
  stray = write;
}

/**
 * Takes over `console` for the rest of the process. Call it before the first TypeScript handler is loaded.
 */
export function takeOverConsole(): void {
  if (patched) return;
  patched = true;
  const toStandardError = console.error.bind(console);
  for (const [name, level] of Object.entries(LEVELS)) {
    const method = name as keyof typeof LEVELS;
    const original = console[method].bind(console);
    console[method] = (...values: unknown[]): void => {
      if (current !== undefined || stray !== undefined) write(level, values);
      // Standard output belongs to the result of the command that loads the handlers.
      else if (isLoadingHandler()) toStandardError(...values);
      else original(...values);
    };
  }
}

function write(level: HandlerOutput["level"], values: readonly unknown[]): void {
  if (current === undefined) {
    stray?.({ level, text: format(values).slice(0, MAX_LENGTH) });
  } else if (current.length >= MAX_LINES || room <= 0) {
    dropped++;
  } else {
    const text = format(values).slice(0, room);
    room -= text.length;
    current.push({ level, text });
  }
}

function format(values: readonly unknown[]): string {
  // Loaded on the first line, because node:util adds 2 ms to a start.
  const util = require("node:util") as typeof import("node:util");
  try {
    return util.format(...values);
  } catch {
    return "a value that cannot be written as text"; // a getter of the user's value has thrown
  }
}

/** Runs a handler and collects its output for {@link takeOutput}. */
export function collectingOutput<Result>(run: () => Result): Result {
  begin();
  try {
    return run();
  } finally {
    end();
  }
}

/** The same for a handler that may return a promise. Runs follow one another. */
export async function collectingOutputUntilDone<Result>(
  run: () => Result | Promise<Result>,
): Promise<Result> {
  begin();
  try {
    return await run();
  } finally {
    end();
  }
}

function begin(): void {
  current = [];
  room = MAX_LENGTH;
  dropped = 0;
}

function end(): void {
  const lines = current ?? [];
  if (dropped > 0) {
    const text = counted(dropped, "more line of this run was", "more lines of this run were");
    lines.push({ level: "warn", text: `${text} dropped` });
  }
  collected = lines;
  current = undefined;
}

/** Returns the output of the last run, once. */
export function takeOutput(): readonly HandlerOutput[] {
  if (collected.length === 0) return collected;
  const output = collected;
  collected = [];
  return output;
}
