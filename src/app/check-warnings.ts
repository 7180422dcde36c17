import { statSync } from "node:fs";
import { join } from "node:path";
import type { HandlerDuration } from "../engines/store.ts";
import type { Problem } from "../errors.ts";
import type { Source } from "../providers/source.ts";

/** Warns of secrets that other users can read. */
export function warnOfDotEnv(inboxFolder: string): Problem[] {
  const mode = statSync(join(inboxFolder, ".env"), { throwIfNoEntry: false })?.mode ?? 0;
  if (process.platform === "win32" || (mode & 0o077) === 0) return [];
  return [{ file: ".env", message: "other users of this machine can read it: run chmod 600 .env" }];
}

/** Providers that wait longer than this are not checked, because handlers take less. In milliseconds. */
const SHORT_DEADLINE = 5000;

/** Warns of handlers that take at least half of the time that the source's provider waits. */
export function warnOfDeadlines(
  sources: ReadonlyMap<string, Source>,
  durations: readonly HandlerDuration[],
): Problem[] {
  return durations.flatMap(({ source, handler, slowestUs }) => {
    const provider = sources.get(source)?.provider;
    const ms = slowestUs / 1000;
    if (provider === undefined || provider.timeoutMs > SHORT_DEADLINE || ms < provider.timeoutMs / 2)
      return [];
    const message = `source "${source}": ${handler} takes ${Math.round(ms)} ms or more for one event in a hundred, and ${provider.title} waits ${provider.timeoutMs / 1000} s for an answer`;
    return [{ message }];
  });
}
