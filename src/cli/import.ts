import { statSync } from "node:fs";
import { openAdmin, type Admin } from "../app/apply.ts";
import { HookonceError } from "../errors.ts";
import type { ImportCounts } from "../inbox/import.ts";
import { counted } from "../logging/counted.ts";
import { visible } from "../logging/visible.ts";
import { checkId, checkType } from "../providers/body/identity.ts";
import { columns, terminalWidth } from "./columns.ts";
import { EXIT } from "./exit.ts";
import { linesOf } from "./import-lines.ts";
import { createRowReader, type ImportRow } from "./import-rows.ts";
import { timeOf } from "./import-time.ts";
import { openingOf, runJob, stopOnSignal, waitForServe } from "./run-job.ts";
import { complain, progress, say, sayJson, sayTable } from "./terminal.ts";

export interface ImportFlags {
  source: string;
  /** For rows that do not name one. */
  type?: string;
  reason?: string;
  dryRun?: boolean;
  json?: boolean;
  database?: string;
}

/** How many events go into one job: reading its request takes about 30 ms. */
const PER_JOB = 20_000;

/** How many jobs run at a time, so that one is written while the other is on its way to the disk. */
const JOBS = 2;

/**
 * How many events are sorted together, about 40 MB. In the order of the index, events that follow one another
 * change the same pages. With random ids beside a million others, a transaction writes 0.6 kB for each, and
 * 2.0 kB if only those of a job are sorted. But if the rows have times, whose index is in the order of the file,
 * more than a job takes twice the processor time.
 */
const SORTED = 200_000;

/** How many refused rows are listed. */
const MAX_LISTED = 20;

/** How many of the first events a dry run shows. */
const MAX_SHOWN = 5;

type Row = [id: string, type: string, at: number];

/** `hookonce import`: records events as applied elsewhere. Exits with 1 if a row was refused. */
export async function runImport(file: string, folder: string, flags: ImportFlags): Promise<number> {
  using stop = stopOnSignal();
  const { source, reason, dryRun = false } = flags;
  const total: Total = { fresh: 0, known: 0, owed: 0, old: 0, refused: 0, settled: [] };
  const options = openingOf({ folder, database: flags.database, readOnly: dryRun });
  const now = Date.now();
  // Opened for the first rows: a file that cannot be read leaves no trace.
  let admin: Admin | undefined;
  let rows: Row[] = [];
  const first: Row[] = [];

  async function send(): Promise<void> {
    if (first[0]?.[2] === now) rows.sort(byId);
    while (rows.length > 0 && !stop.signal.aborted) {
      admin ??= await openAdmin(options);
      const yielded = await Promise.all(Array.from({ length: JOBS }, () => runJobs(admin as Admin)));
      if (!yielded.includes(true)) continue;
      await admin[Symbol.asyncDispose]();
      progress("");
      complain("hookonce serve is starting, so it imports the rest.");
      admin = await waitForServe(options, "hookonce import");
    }
  }

  /** @returns whether a `serve` wants the database */
  async function runJobs(of: Admin): Promise<boolean> {
    while (rows.length > 0 && !stop.signal.aborted) {
      const events = rows.slice(0, PER_JOB).sort(byId);
      rows = rows.slice(PER_JOB);
      const json = {
        action: "import" as const,
        source,
        events,
        dry_run: dryRun,
        ...(reason === undefined ? {} : { reason }),
      };
      const { view, yielded } = await runJob(of, json, stop.signal, () => {});
      if (view.error !== null) throw new HookonceError(view.error.code, view.error.message);
      const { fresh, known, owed, old, settled } = view.imported ?? NONE;
      total.fresh += fresh;
      total.known += known;
      total.owed += owed;
      total.old += old;
      total.settled = [...total.settled, ...settled].slice(0, MAX_LISTED);
      if (flags.json !== true) progress(counted(doneOf(total), "event"));
      rows.push(...events.slice(fresh + known + owed));
      if (yielded) return true;
    }
    return false;
  }

  function take(row: ImportRow): void {
    const event = rowOf(row, flags.type, now);
    if (first.length < MAX_SHOWN) first.push(event);
    rows.push(event);
  }

  try {
    const reader = createRowReader();
    if (file !== "-" && statSync(file).isDirectory())
      throw new HookonceError("file_unreadable", "This is a folder.");
    const stream = file === "-" ? Bun.stdin.stream() : Bun.file(file).stream();
    for await (const lines of linesOf(stream, stop.signal)) {
      for (const line of lines) {
        try {
          const row = reader.push(line);
          if (row !== undefined) take(row);
        } catch (error) {
          if (!(error instanceof HookonceError) || error.code === "file_unreadable") throw error;
          total.refused++;
          if (total.refused > MAX_LISTED) continue;
          progress("");
          complain(`line ${reader.line}: ${visible(error.message)}`);
        }
        if (rows.length >= SORTED) await send();
        if (stop.signal.aborted) break;
      }
    }
    if (!stop.signal.aborted) reader.end();
    await send();
  } catch (error) {
    if (!(error instanceof HookonceError) || error.code !== "file_unreadable") throw error;
    throw located(error, file, doneOf(total));
  } finally {
    progress("");
    await admin?.[Symbol.asyncDispose]();
  }
  const stopped = stop.signal.aborted;
  if (flags.json === true) printJson(total, dryRun ? first : undefined);
  else printTotal(total, first, { source, dryRun, stopped, now });
  return total.refused > 0 || stopped ? EXIT.failed : EXIT.done;
}

/** @throws HookonceError `invalid_event_id`, `invalid_event_type`, `invalid_request` */
function rowOf({ id, type, time }: ImportRow, otherwise: string | undefined, now: number): Row {
  return [checkId(id ?? ""), checkType(type ?? otherwise), time === undefined ? now : timeOf(time, now)];
}

const NONE: ImportCounts = { fresh: 0, known: 0, owed: 0, old: 0, settled: [] };

type Total = { -readonly [Name in keyof ImportCounts]: ImportCounts[Name] } & { refused: number };

const doneOf = ({ fresh, known, owed }: ImportCounts): number => fresh + known + owed;

/** What is wrong with a file, and what became of it. */
function located(error: HookonceError, file: string, done: number): HookonceError {
  const name = file === "-" ? "standard input" : file;
  const rest =
    done === 0
      ? "Nothing was imported."
      : `${counted(done, "event")} before that ${done === 1 ? "was" : "were"} imported. Correct the file and import it again.`;
  return new HookonceError(error.code, `${name}: ${error.message} ${rest}`, { cause: error });
}

function printJson(
  { fresh, known, owed, old, refused, settled }: Total,
  first: readonly Row[] | undefined,
): void {
  const shown = first?.map(([event_id, type, received_at]) => ({ event_id, type, received_at }));
  sayJson(
    JSON.stringify({
      new: fresh,
      known,
      owed,
      old,
      refused,
      ...(settled.length === 0 ? {} : { settled }),
      ...(shown === undefined ? {} : { first: shown }),
    }),
  );
}

interface Report {
  readonly source: string;
  readonly dryRun: boolean;
  readonly stopped: boolean;
  readonly now: number;
}

function printTotal(total: Total, first: readonly Row[], { source, dryRun, stopped, now }: Report): void {
  const { fresh, known, owed, old, refused, settled } = total;
  const timeText = (at: number): string => (at === now ? "now" : new Date(at).toISOString());
  if (dryRun && first.length > 0) {
    const cells = first.map(([id, type, at]) => [timeText(at), type || "(none)", id]);
    const layout = { width: terminalWidth(), flexible: [1], endsWithId: true };
    const table = columns(["received", "type", "event id"], cells, layout);
    sayTable([...table, ""]);
  } else if (first[0] !== undefined) {
    const [id, type, at] = first[0];
    say(
      `First id: ${visible(id)}, ${type === "" ? "no type" : `type ${visible(type)}`}, received ${timeText(at)}.`,
    );
  }
  const begin = `${stopped ? "Stopped. " : ""}${dryRun ? "Nothing was changed. " : ""}`;
  say(
    `${begin}${counted(doneOf(total), "event")} of ${source}: ${inWords(fresh)} new, ${inWords(known)} already known, ${inWords(owed)} owed until now. ${counted(refused, "line")} refused.`,
  );
  if (settled.length > 0) {
    const more = owed > settled.length ? ` and ${inWords(owed - settled.length)} more` : "";
    say(`Owed until now: ${settled.map((id) => visible(id)).join(", ")}${more}.`);
  }
  if (old > 0)
    say(
      `${counted(old, "event is", "events are")} older than the provider's retries: only a manual redelivery can send ${old === 1 ? "it" : "them"} again.`,
    );
}

const byId = ([a]: Row, [b]: Row): number => (a < b ? -1 : a > b ? 1 : 0);

const inWords = (count: number): string => count.toLocaleString("en");
