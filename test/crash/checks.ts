import { readEffects, type InboxFolder } from "./inbox-folder.ts";
import type { Ledger } from "./load.ts";
import { centsPerEvent } from "./stripe-events.ts";

export interface CrashReport {
  rounds: number;
  sent: number;
  answered: number;
  /** Events answered 200 that are missing from the user's table after the restart. */
  lost: number;
  /** Events applied more than once. */
  doubled: number;
  /**
   * Events answered 200 and processed as new when delivered again. An effect outside the database would
   * happen twice.
   */
  forgotten: number;
  /** All other errors: a damaged file, a partly applied event, an unexpected answer. */
  wrong: string[];
}

export function emptyReport(): CrashReport {
  return { rounds: 0, sent: 0, answered: 0, lost: 0, doubled: 0, forgotten: 0, wrong: [] };
}

/** Checks what must hold before a provider retries: every answered event is applied, and none twice. */
export function checkRecovered(inbox: InboxFolder, answered: ReadonlySet<string>, report: CrashReport): void {
  const { applied, cents, listed, integrity } = readEffects(inbox.database);
  for (const id of answered) if (!applied.has(id)) report.lost++;
  for (const times of applied.values()) if (times > 1) report.doubled++;
  if (listed !== applied.size)
    report.wrong.push(`${listed} events are recorded, but ${applied.size} were applied`);
  if (cents !== applied.size * centsPerEvent)
    report.wrong.push(`${cents} cents credited by ${applied.size} events`);
  if (integrity !== "ok") report.wrong.push(`integrity_check: ${integrity}`);
}

/** Checks what must hold after every event was delivered again: each is applied exactly once. */
export function checkComplete(inbox: InboxFolder, { sent }: Ledger, report: CrashReport): void {
  const { applied, cents, listed, integrity } = readEffects(inbox.database);
  for (const { id } of sent) if (!applied.has(id)) report.wrong.push(`${id} is missing after its redelivery`);
  for (const times of applied.values()) if (times > 1) report.doubled++;
  if (applied.size !== sent.length)
    report.wrong.push(`${applied.size} events applied of ${sent.length} sent`);
  if (listed !== sent.length) report.wrong.push(`${listed} events recorded of ${sent.length} sent`);
  if (cents !== sent.length * centsPerEvent)
    report.wrong.push(`${cents} cents credited by ${sent.length} events`);
  if (integrity !== "ok") report.wrong.push(`integrity_check: ${integrity}`);
}
