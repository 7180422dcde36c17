import { FORGOTTEN, hashed, TEXT_PLACES, TEXTS, type StoredText, type TextPlace } from "../engines/forget.ts";
import { HookonceError } from "../errors.ts";
import type { Headers } from "../event.ts";
import type { JobInbox } from "./event-jobs.ts";
import { hiding, type Erasing, type ForgetRun } from "./forget-steps.ts";
import { createTextMatch, type TextMatch } from "./text-match.ts";

/** Rows that get no other texts later. The second round goes on after those that were there when the job began. */
const UNCHANGING: ReadonlySet<TextPlace> = new Set(["bodies", "events"]);

/** How long it works without a pause, in milliseconds, and how many times longer the pause is. */
export const WORK_MS = 4;
export const REST = 4;

/** Looks through everything that is stored. */
export async function forgetMatching(
  inbox: JobInbox,
  { match, dryRun }: { readonly match: string; readonly dryRun: boolean },
  run: ForgetRun,
  erasing: Erasing,
): Promise<void> {
  const { reader } = inbox;
  const { progress, signal } = run;
  const matches = createTextMatch(match);
  let workedAt = performance.now();
  const rest = async (): Promise<void> => {
    const worked = performance.now() - workedAt;
    if (worked < WORK_MS) return;
    await Bun.sleep(worked * REST);
    workedAt = performance.now();
  };
  // The body of an event has the event's id, or a higher one.
  const known = run.from.ordered.event;
  // A dry run would count twice what it leaves.
  const rounds = dryRun ? 1 : 2;
  for (let { round, place: index, row } = run.from; round <= rounds; round++) {
    for (; index < TEXT_PLACES.length; index++, row = 0) {
      const place = TEXT_PLACES[index] as TextPlace;
      let after = round === 2 && UNCHANGING.has(place) ? Math.max(row, known) : row;
      for (;;) {
        if (signal.aborted) return;
        const page = await reader.texts(place, after);
        for (const { row, values } of page.rows) {
          if (signal.aborted) return;
          await forgetRow(inbox, { place, row, values, matches, run, erasing });
          progress.erased({ rows: 1 });
          await rest();
        }
        after = page.last;
        run.onPosition({ ...run.from, place: index, row: after, round });
        if (page.isEnd) break;
        await rest();
      }
    }
    index = 0;
  }
  progress.erased({ requests: await erasing.memory(matches) });
}

interface Looked {
  readonly place: TextPlace;
  readonly row: number;
  readonly values: readonly StoredText[];
  readonly matches: TextMatch;
  readonly run: ForgetRun;
  readonly erasing: Erasing;
}

async function forgetRow(inbox: JobInbox, looked: Looked): Promise<void> {
  const { place, row, values, matches, run, erasing } = looked;
  const { reader } = inbox;
  const names: readonly string[] = TEXTS[place];
  const found = new Set<string>();
  for (const [index, name] of names.entries())
    // The headers of a body come before it.
    if (await matches(values[index] ?? null, encodingOf(values[index - 1]))) found.add(name);
  if (found.size === 0) return;
  const textOf = (name: string): string => String(values[names.indexOf(name)]);
  const replaced = (...which: string[]): Readonly<Record<string, string>> =>
    Object.fromEntries(which.filter((name) => found.has(name)).map((name) => [name, FORGOTTEN]));
  if (place === "results" && !found.has("reply")) return erasing.texts(place, row, replaced("reason"));
  switch (place) {
    case "bodies": {
      const events = await reader.eventsAt(place, row);
      const [headers, bytes] = values as [string, Uint8Array];
      if (events.length === 0) return erasing.row(place, row);
      if (events.length === 1) {
        for (const event of events) await erasing.event(event, await hiding(event, matches));
        return;
      }
      return erasing.batch({ row, headers, bytes, events }, matches);
    }
    case "results":
    case "events":
    case "changed bodies":
    case "failures":
      for (const event of await reader.eventsAt(place, row))
        await erasing.event(event, await hiding(event, matches));
      return;
    case "messages":
      if (["message_id", "headers", "body"].some((name) => found.has(name)))
        return erasing.message(row, found.has("message_id"));
      return erasing.texts(place, row, replaced("last_error", "reason"));
    case "attempts":
    case "audit":
    case "source states":
    case "destinations":
      return erasing.texts(place, row, replaced(...names));
    case "positions":
      return erasing.texts(
        place,
        row,
        Object.fromEntries([...found].map((name) => [name, hashed(textOf(name))])),
      );
    case "enqueued":
    case "interrupted runs":
      return erasing.row(place, row);
    case "jobs": {
      const job = await reader.jobAt(row);
      // A job that runs needs what it was given. This one is recorded without its text when it ends.
      if (job === undefined || job.id === run.id) return;
      if (job.endedAt === null) {
        run.progress.leave({ source: "", eventId: "", type: "" }, jobRuns(job.action));
        return;
      }
      const texts = await Promise.all(
        [...found].map(async (name) => [
          name,
          JSON.stringify(await scrubbed(JSON.parse(textOf(name)), matches)),
        ]),
      );
      return erasing.texts(place, row, Object.fromEntries(texts) as Record<string, string>);
    }
  }
}

/** Of a body with these headers, as JSON. */
function encodingOf(headers: StoredText | undefined): string | undefined {
  if (typeof headers !== "string" || !headers.startsWith("{")) return undefined;
  return (JSON.parse(headers) as Headers)["content-encoding"];
}

function jobRuns(action: string): HookonceError {
  return new HookonceError(
    "job_running",
    `a running job (${action}) has the text in its filter or its reason: wait until it has ended, and run forget again`,
  );
}

/** A copy in which the texts that match are replaced. */
async function scrubbed(value: unknown, matches: TextMatch): Promise<unknown> {
  if (typeof value === "string") return (await matches(value)) ? FORGOTTEN : value;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return Promise.all(value.map((one) => scrubbed(one, matches)));
  const entries = Object.entries(value).map(async ([key, one]) => [key, await scrubbed(one, matches)]);
  return Object.fromEntries((await Promise.all(entries)) as [string, unknown][]);
}
