import { HookonceError } from "../errors.ts";
import type { HandlerInput, LoadedHandler } from "../handlers/handler.ts";
import { nothingRun, type Result } from "./incoming.ts";

/** What came of a handler. */
export type Run = Omit<Result, "outcome" | "eventId" | "type">;

/**
 * @throws HookonceError `no_rows_changed`
 * @throws whatever its handler does
 */
export function runHandler(handler: LoadedHandler, input: HandlerInput, requireChange: boolean): Run {
  const started = performance.now();
  const { rowsChanged, reply } = handler.run(input);
  const durationUs = Math.round((performance.now() - started) * 1000);
  if (rowsChanged === 0 && requireChange) {
    throw new HookonceError(
      "no_rows_changed",
      `${handler.file} changed no rows, and require_change = true on this source.`,
    );
  }
  return { ...nothingRun, handler: handler.file, rowsChanged, durationUs, reply };
}
