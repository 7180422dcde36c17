import type { CommandRun, CutCommand, OutboxReader } from "../engines/outbox.ts";
import type { OutboxLog } from "./log.ts";
import { passed } from "./passed.ts";
import type { Recorder } from "./recorder.ts";
import { nextAfter } from "./schedule.ts";

export interface LeftoverOptions {
  /** Ends what is left of a command. Resolves to false if something still runs. */
  readonly endLeftover: (run: CommandRun, message: string) => Promise<boolean>;
  readonly reader: Pick<OutboxReader, "message">;
  readonly recorder: Pick<Recorder, "record">;
  readonly log: OutboxLog;
  /** Unix milliseconds. */
  readonly clock: () => number;
  /** Ends the wait for a command that cannot be ended. */
  readonly stopping: AbortSignal;
  /** How often a command that cannot be ended is looked at, in milliseconds. Only tests change it. */
  readonly everyMs?: number;
}

const EVERY_MS = 5000;

/**
 * Ends the commands that an earlier hookonce started and did not see end, so that none runs beside the next
 * attempt of its message. Resolves when all have ended and their messages may be sent again.
 *
 * @returns whether that is so; false if hookonce stops first
 */
export async function endLeftovers(cut: readonly CutCommand[], options: LeftoverOptions): Promise<boolean> {
  const ended = await Promise.all(cut.map((command) => endOne(command, options)));
  return !ended.includes(false);
}

async function endOne(
  { row, id, destination, run }: CutCommand,
  { endLeftover, reader, recorder, log, clock, stopping, everyMs = EVERY_MS }: LeftoverOptions,
): Promise<boolean> {
  const fields = { destination, message: id, ...(run === null ? {} : { pid: run.pid }) };
  const isLeft = async (): Promise<boolean> => run !== null && !(await endLeftover(run, id));
  let warned = false;
  while (await isLeft()) {
    if (!warned)
      log.warn(
        fields,
        "a command of an earlier hookonce still runs, and hookonce cannot end it: end it yourself",
      );
    warned = true;
    if (!(await passed(everyMs, stopping))) return false;
  }
  const now = clock();
  const since = await sinceOf(row, reader).catch(() => now);
  log.info(fields, "hookonce ended while this command ran, so it runs again");
  await recorder.record({
    entry: "attempt",
    message: row,
    at: now,
    ms: 0,
    status: null,
    error: "hookonce ended while the command ran",
    answer: "",
    next: nextAfter(
      { verdict: "interrupted", retryAfterMs: null },
      { tries: 0, since, retryForMs: 0 },
      now,
      0,
    ),
  });
  return true;
}

async function sinceOf(row: number, reader: LeftoverOptions["reader"]): Promise<number> {
  const message = await reader.message(row);
  return message?.since ?? 0;
}
