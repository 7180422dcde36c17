import { HookonceError } from "../errors.ts";

/**
 * The first line of a starter handler. While a SQL handler has this line, each of its runs fails, so that no
 * event is processed before its update is written.
 */
export const UNFINISHED_LINE = "-- hookonce: unfinished";

/** Whether a SQL handler still has the line. */
export function isUnfinished(text: string): boolean {
  return text.split("\n").some((line) => line.trimStart().startsWith(UNFINISHED_LINE));
}

export const WHY_UNFINISHED = `is not finished, so each of its events fails and is kept. Write the update, then delete the line that starts with "${UNFINISHED_LINE}"`;

export function unfinished(file: string): HookonceError {
  return new HookonceError("handler_unfinished", `${file} ${WHY_UNFINISHED}.`);
}
