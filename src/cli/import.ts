import { HookonceError } from "../errors.ts";
import { openAdmin } from "../app/apply.ts";
import { readTime } from "../config/instant.ts";
import { counted } from "../logging/counted.ts";
import { visible } from "../logging/visible.ts";
import { checkId, checkType } from "../providers/body/identity.ts";
import { EXIT } from "./exit.ts";
import { linesOf, rowReader, type ImportRow } from "./import-rows.ts";
import { openingOf, runJob, stopOnSignal, waitForServe } from "./run-job.ts";
import { complain, progress, say, sayJson } from "./terminal.ts";

export interface ImportFlags {
  source: string;
  /** For rows that do not name one. */
  type?: string;
  reason?: string;
  json?: boolean;
  database?: string;
}

/** How many events go into one job: reading its request takes about 30 ms. */
const PER_JOB = 20_000;

/** How many refused rows are listed. */
const MAX_LISTED = 20;

type Row = [id: string, type: string, at: number];

/** `hookonce import`: records events as applied elsewhere. Exits with 1 if a row was refused. */
export async function runImport(file: string, folder: string, flags: ImportFlags): Promise<number> {
  using stop = stopOnSignal();
  const total = { fresh: 0, known: 0, owed: 0, refused: 0 };
  const options = openingOf({ folder, database: flags.database, readOnly: false });
  const now = Date.now();
  let admin = await openAdmin(options);
  let rows: Row[] = [];

  async function send(): Promise<void> {
    // In the order of the index, each transaction changes few of its pages: random ids go in twice as fast.
    rows.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    while (rows.length > 0 && !stop.signal.aborted) {
      const { source, reason } = flags;
      const json = {
        action: "import" as const,
        source,
        events: rows,
        ...(reason === undefined ? {} : { reason }),
      };
      const { view, yielded } = await runJob(admin, json, stop.signal, () => {});
      if (view.error !== null) throw new HookonceError(view.error.code, view.error.message);
      const { fresh, known, owed } = view.imported ?? { fresh: 0, known: 0, owed: 0 };
      total.fresh += fresh;
      total.known += known;
      total.owed += owed;
      rows = rows.slice(fresh + known + owed);
      if (flags.json !== true) progress(`${total.fresh + total.known + total.owed} imported `);
      if (!yielded) return;
      await admin[Symbol.asyncDispose]();
      complain("hookonce serve is starting. The rest goes to it.");
      admin = await waitForServe(options, "hookonce import");
    }
  }

  try {
    let read: ReturnType<typeof rowReader> | undefined;
    let number = 0;
    for await (const line of linesOf(file)) {
      number++;
      if (line.trim() === "") continue;
      if (read === undefined) {
        read = rowReader(line);
        if (read.isHeader) continue;
      }
      try {
        rows.push(rowOf(read.read(line), flags.type, now));
      } catch (error) {
        if (!(error instanceof HookonceError)) throw error;
        total.refused++;
        if (total.refused <= MAX_LISTED) complain(`line ${number}: ${visible(error.message)}`);
      }
      if (rows.length === PER_JOB) await send();
      if (stop.signal.aborted) break;
    }
    await send();
  } finally {
    progress("");
    await admin[Symbol.asyncDispose]();
  }
  const { fresh, known, owed, refused } = total;
  if (flags.json === true) sayJson(JSON.stringify({ new: fresh, known, owed, refused }));
  else
    say(
      `${stop.signal.aborted ? "Stopped. " : ""}${counted(fresh + known + owed, "event")} of ${flags.source}: ${inWords(fresh)} new, ${inWords(known)} already known, ${inWords(owed)} owed until now. ${counted(refused, "line")} refused.`,
    );
  return refused > 0 || stop.signal.aborted ? EXIT.failed : EXIT.done;
}

/** @throws HookonceError `invalid_event_id`, `invalid_event_type`, `invalid_request` */
function rowOf({ id, type, time }: ImportRow, otherwise: string | undefined, now: number): Row {
  const at = time === undefined ? now : readTime(time);
  if (at === undefined)
    throw new HookonceError(
      "invalid_request",
      `The time "${time}" is neither ISO 8601, such as 2026-01-31T12:00:00Z, nor Unix seconds.`,
    );
  return [checkId(id), checkType(type ?? otherwise), at];
}

const inWords = (count: number): string => count.toLocaleString("en");
