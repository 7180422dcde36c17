import { readEffects, type InboxFolder } from "./inbox-folder.ts";
import type { Ledger } from "./load.ts";
import { centsPerEvent } from "./stripe-events.ts";

export interface CrashReport {
  rounds: number;
  sent: number;
  answered: number;
  /** Answered 200 and not in the user's table after the restart. */
  lost: number;
  /** Applied more than once. */
  doubled: number;
  /** Answered 200, and taken for new when it was delivered again: with handlers that reach outside, a second effect. */
  forgotten: number;
  /** Everything else that must not be: damage to the file, half an event, an answer that is no answer. */
  wrong: string[];
}

export function emptyReport(): CrashReport {
  return { rounds: 0, sent: 0, answered: 0, lost: 0, doubled: 0, forgotten: 0, wrong: [] };
}

/** What must hold before any provider retries: every answer was the truth, and nothing was applied twice. */
export function checkRecovered(inbox: InboxFolder, answered: ReadonlySet<string>, report: CrashReport): void {
  const { applied, cents, listed, integrity } = readEffects(inbox.database);
  for (const id of answered) if (!applied.has(id)) report.lost++;
  for (const times of applied.values()) if (times > 1) report.doubled++;
  if (listed !== applied.size)
    report.wrong.push(`${listed} events are on the list and ${applied.size} were applied`);
  if (cents !== applied.size * centsPerEvent)
    report.wrong.push(`${cents} cents credited by ${applied.size} events`);
  if (integrity !== "ok") report.wrong.push(`integrity_check: ${integrity}`);
}

/** What must hold after every event was delivered again: each is there, once. */
export function checkComplete(inbox: InboxFolder, { sent }: Ledger, report: CrashReport): void {
  const { applied, cents, listed, integrity } = readEffects(inbox.database);
  for (const { id } of sent) if (!applied.has(id)) report.wrong.push(`${id} is missing after its redelivery`);
  for (const times of applied.values()) if (times > 1) report.doubled++;
  if (applied.size !== sent.length)
    report.wrong.push(`${applied.size} events applied of ${sent.length} sent`);
  if (listed !== sent.length) report.wrong.push(`${listed} events are on the list of ${sent.length} sent`);
  if (cents !== sent.length * centsPerEvent)
    report.wrong.push(`${cents} cents credited by ${sent.length} events`);
  if (integrity !== "ok") report.wrong.push(`integrity_check: ${integrity}`);
}
