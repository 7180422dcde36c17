import { resolve } from "node:path";
import { moveInbox, rehearseMove, type MovedInbox } from "../app/move-inbox.ts";
import { secretNeeds } from "../app/sources.ts";
import { loadConfig } from "../config/load.ts";
import { chosenLocation } from "../config/location.ts";
import { counted } from "../logging/counted.ts";
import { EXIT } from "./exit.ts";
import { stopOnSignal } from "./run-job.ts";
import { complain, progress, say, sayJson } from "./terminal.ts";

export interface MoveFlags {
  dryRun?: boolean;
  json?: boolean;
  database?: string;
}

/** `hookonce import --inbox`: moves an inbox on SQLite to PostgreSQL. Exits with 1 if it was stopped. */
export async function runMove(inbox: string, folder: string, flags: MoveFlags): Promise<number> {
  using stop = stopOnSignal();
  const config = loadConfig(resolve(folder), secretNeeds, null);
  const to = { inboxFolder: config.inboxFolder, database: chosenLocation(config, flags.database) };
  let moved: MovedInbox;
  if (flags.dryRun === true) moved = await rehearseMove({ config: to, inbox });
  else
    try {
      moved = await moveInbox({ config: to, inbox, signal: stop.signal, onProgress: createProgress(flags) });
    } finally {
      progress("");
    }
  const { from, rows, events, isDone, wasDone, openSources } = moved;
  if (flags.json === true) {
    sayJson(JSON.stringify({ from, to: moved.to, rows, events, done: isDone, open_sources: openSources }));
    return isDone || flags.dryRun === true ? EXIT.done : EXIT.failed;
  }
  const what = `${counted(events, "event")} (${counted(rows, "row")}) from ${from} to ${moved.to}`;
  if (flags.dryRun === true) say(`Nothing was changed. This would move ${what}.`);
  else if (wasDone) say(`Everything was moved already: ${what}.`);
  else if (isDone) say(`Moved ${what}. Both have the same number of rows and bytes in each table.`);
  else say(`Stopped after ${counted(rows, "row")}. Run the command again: it goes on there.`);
  if (openSources.length > 0 && !wasDone)
    complain(
      `warning: ${openSources.join(", ")} ${openSources.length === 1 ? "is" : "are"} not paused: hookonce serve will apply events as soon as it starts. Move your own tables before that.`,
    );
  return isDone || flags.dryRun === true ? EXIT.done : EXIT.failed;
}

/** How often the progress is shown, in milliseconds. */
const SHOWN_MS = 200;

function createProgress({ json }: MoveFlags): (rows: number, of: number) => void {
  const begin = performance.now();
  let shownAt = -Infinity;
  let before: number | undefined;
  return (rows, of) => {
    before ??= rows;
    const now = performance.now();
    if (json === true || now < shownAt + SHOWN_MS) return;
    shownAt = now;
    const perSecond = Math.round(((rows - before) / (now - begin)) * 1000);
    progress(
      `${rows.toLocaleString("en")} of ${counted(of, "row")}, ${perSecond.toLocaleString("en")} per second`,
    );
  };
}
