import { messageOf } from "../errors.ts";
import { passed } from "../outbox/passed.ts";
import type { Inbox, OpenInboxOptions } from "./open-inbox.ts";
import type { Services } from "./services.ts";

export interface RetryOptions extends Pick<OpenInboxOptions, "log" | "clock"> {
  /** How often to look for failures that are due, in milliseconds. Only tests change it. */
  readonly everyMs?: number;
}

/** How many failures are run again at once, so that they share a sync. */
const PAGE = 64;

/** How long to wait after an error, such as a full disk, in milliseconds. */
const AFTER_ERROR_MS = 10_000;

/**
 * Runs failures again when their time has come (inbox/retry-schedule.ts). The transaction that runs one also
 * sets its next time, so a crash neither loses a retry nor repeats it at once.
 */
export async function startRetries(
  services: Services,
  { engine, queue, live }: Pick<Inbox, "engine" | "queue" | "live">,
  { log, clock, everyMs = 1000 }: RetryOptions,
): Promise<void> {
  const stopping = new AbortController();
  const { signal } = stopping;

  /** @returns whether more may be due */
  async function runDue(): Promise<boolean> {
    const reader = await engine.reader();
    const { sources } = live();
    const now = clock();
    const due = await reader.due(now, PAGE, [...sources.keys()]);
    const runs = due.map(async ({ source: name, eventId }) => {
      const source = sources.get(name);
      if (source === undefined) return;
      const job = { kind: "apply", source, eventId, at: clock(), isRetry: true, ifDueBy: now } as const;
      const { type, handler, outcome } = await queue.write(job, signal);
      log.info({ source: name, event: eventId, type, handler, outcome }, "failed event run again");
    });
    for (const run of await Promise.allSettled(runs)) if (run.status === "rejected") throw run.reason;
    return due.length === PAGE;
  }

  async function untilStop(): Promise<void> {
    let failing = false;
    let wait = everyMs;
    // The first look loads the reader, and a start does not wait for it.
    while (await passed(wait, signal)) {
      try {
        wait = (await runDue()) ? 0 : everyMs;
        failing = false;
      } catch (error) {
        if (signal.aborted) return;
        if (!failing) log.warn({ cause: messageOf(error) }, "failed events could not be run again");
        failing = true;
        wait = Math.max(AFTER_ERROR_MS, everyMs);
      }
    }
  }

  const ended = untilStop();
  await services.start(() => ({
    name: "retries",
    stop() {
      stopping.abort();
      return ended;
    },
  }));
}
