import { QUARANTINE_CODES } from "../engines/reader.ts";
import type { JobFailure } from "../inbox/job-progress.ts";
import { visible } from "../logging/visible.ts";
import { nameFor, terminalWidth } from "./columns.ts";

/** The codes of events that did not run. */
const SKIPPED: ReadonlySet<string> = new Set([
  ...QUARANTINE_CODES,
  "not_owed",
  "event_owed",
  "job_running",
  "stored_event_unreadable",
  "not_processed",
  "reason_missing",
  "message_sending",
  "message_settled",
  "event_not_stored",
]);

/** What went wrong with events of a job, in lines. */
export function failureLines(failures: readonly JobFailure[], dryRun: boolean): string[] {
  const width = terminalWidth();
  return failures.flatMap(({ message, source, eventId, type, code, error, at }) => {
    const what = SKIPPED.has(code) ? "skipped" : dryRun ? "would fail" : "failed";
    return [
      `${what}  ${nameFor(source, width)}  ${visible(message ?? eventId)}  ${nameFor(type, width)}`.trimEnd(),
      `        ${code}: ${visible(error)}`,
      ...(at === undefined ? [] : [`        at ${visible(at)}`]),
    ];
  });
}

/** The same as lines of JSON. */
export function failureJson(failures: readonly JobFailure[]): string[] {
  return failures.map(({ message, source, eventId, type, code, error, at }) =>
    JSON.stringify({ failure: { message, source, event_id: eventId, type, code, error, at } }),
  );
}
