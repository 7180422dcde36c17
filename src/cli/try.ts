import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { resolve } from "node:path";
import { secretNeeds } from "../app/sources.ts";
import { tryHandler, type TryRequest } from "../app/try.ts";
import { chosenLocation } from "../config/location.ts";
import { loadConfig } from "../config/load.ts";
import { HookonceError, messageOf } from "../errors.ts";
import type { TryJson } from "../http/admin/try-shapes.ts";
import { visible } from "../logging/visible.ts";
import { terminalWidth } from "./columns.ts";
import { EXIT } from "./exit.ts";
import { printRefusal } from "./refusal.ts";
import { clearScreen, complain, say, sayJson, sayTable } from "./terminal.ts";
import { tryReport } from "./try-report.ts";
import { changedAfter, filesToWatch } from "./try-watch.ts";
import { UsageError } from "./usage-error.ts";

export interface TryFlags {
  event?: string;
  /** True without a number. */
  last?: number | true;
  sample?: string;
  data?: string;
  source?: string;
  watch?: boolean;
  json?: boolean;
  database?: string;
}

/** The width of the report if the output is no terminal. */
const USUAL_WIDTH = 80;

/** `hookonce try HANDLER`. Exits with 1 if a run failed or there was nothing to run. */
export async function runTry(handler: string, folder: string, flags: TryFlags): Promise<number> {
  const given = [flags.event, flags.last, flags.sample, flags.data].filter((one) => one !== undefined);
  if (given.length > 1) throw new UsageError("choose one of --event, --last, --sample and --data.");
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  const inboxFolder = resolve(folder);
  if (flags.watch !== true) {
    const code = await runOnce(handler, inboxFolder, flags, stop.signal);
    return stop.signal.aborted ? 128 + constants.signals.SIGINT : code;
  }
  while (!stop.signal.aborted) {
    // Before the run, so that a change during it is noticed.
    const files = filesToWatch(inboxFolder, handler, flags.data);
    clearScreen();
    try {
      await runOnce(handler, inboxFolder, flags, stop.signal);
    } catch (error) {
      printRefusal(error);
    }
    if (stop.signal.aborted) break;
    if (flags.json !== true) say("\nWaiting for a change. Ctrl+C stops.");
    await changedAfter(files, stop.signal);
  }
  return EXIT.done;
}

async function runOnce(
  handler: string,
  folder: string,
  flags: TryFlags,
  signal: AbortSignal,
): Promise<number> {
  const loaded = loadConfig(folder, secretNeeds, null);
  const config = { ...loaded, database: chosenLocation(loaded, flags.database) };
  const request: TryRequest = { handler, source: flags.source, on: chosen(flags) };
  const tried = await tryHandler(config, request, { signal });
  if (signal.aborted) return EXIT.failed;
  print(tried, flags);
  if (tried.items.some(({ failure, why }) => failure !== null || why !== null)) return EXIT.failed;
  return tried.why === null ? EXIT.done : EXIT.failed;
}

function chosen({ event, last, sample, data }: TryFlags): TryRequest["on"] {
  if (event !== undefined) return { from: "stored", eventId: event };
  if (last !== undefined) return { from: "last", count: last === true ? 1 : last };
  if (sample !== undefined) return { from: "sample", type: sample };
  if (data === undefined) return { from: "any" };
  try {
    return { from: "data", body: readFileSync(data).toString("base64") };
  } catch (error) {
    throw new HookonceError("config_invalid", `--data cannot be read: ${messageOf(error)}`);
  }
}

function print({ items, notes, why }: TryJson, { json }: TryFlags): void {
  if (json === true) {
    for (const one of items) sayJson(JSON.stringify(one));
  } else {
    const width = terminalWidth() ?? USUAL_WIDTH;
    const reports = items.map((one) => tryReport(one, width));
    if (reports.length > 0) sayTable([reports.join("\n\n")]);
  }
  if (items.some(({ from, why: notRun }) => from === "sample" && notRun !== null))
    complain("note: To try it on your own body, use --data FILE.");
  else for (const note of notes) complain(visible(`note: ${note}`));
  if (why !== null) complain(visible(`error: not tried: ${why}`));
}
