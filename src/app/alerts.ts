import { messageOf } from "../errors.ts";
import { changesOf, HOLD_MS } from "../inbox/alert-changes.ts";
import type { HealthWarning } from "../engines/engine.ts";
import { conditionsOf, silentSources, textOf, type Condition } from "../inbox/conditions.ts";
import { passed } from "../outbox/passed.ts";
import type { Inbox, OpenInboxOptions } from "./open-inbox.ts";
import type { Services } from "./services.ts";
import { storeOf } from "./store.ts";

/** Only tests change these: how often to look, and how long a condition must hold, in milliseconds. */
export interface AlertPace {
  readonly everyMs?: number;
  readonly holdMs?: number;
}

export interface Alerting {
  /** The sources that are silent, known to the minute. Also without `[alerts]`. */
  readonly warnings: () => readonly HealthWarning[];
}

/**
 * Tells the destination of `[alerts]` what begins and what ends. The transaction that stores the change also
 * writes the message, so a crash neither loses one nor repeats it.
 */
export async function startAlerts(
  services: Services,
  { engine, queue, live }: Pick<Inbox, "engine" | "queue" | "live">,
  { log, clock, everyMs = 60_000, holdMs = HOLD_MS }: Pick<OpenInboxOptions, "log" | "clock"> & AlertPace,
): Promise<Alerting> {
  const startedAt = clock();
  const stopping = new AbortController();
  const { signal } = stopping;

  let warnings: readonly HealthWarning[] = [];

  async function look(): Promise<void> {
    const { alerts, sources, database, admin } = live().config;
    const now = clock();
    const reader = await engine.reader();
    const options = { reader, sources: sources.map(({ name }) => name), now, startedAt };
    if (alerts === null) return warn(await silentSources(options));
    const conditions = await conditionsOf({
      ...options,
      freeBytes: (await (await storeOf(database)).diskUse()).freeBytes,
    });
    warn(conditions.found.filter(({ subject }) => subject.alert === "source_silent"));
    const how = { to: alerts.to, url: admin.url, now, holdMs };
    const { entries, told } = changesOf(await reader.alerts(), conditions, how);
    if (entries.length === 0) return;
    await queue.write({ kind: "record", entries }, signal);
    for (const { subject, text, change } of told)
      log[change === "began" ? "warn" : "info"]({ ...subject, to: alerts.to }, `alert ${change}: ${text}`);
  }

  /** For `/readyz`, which has the warnings about pauses anyway. */
  function warn(silent: readonly Condition[]): void {
    warnings = silent.map((one) => ({ code: one.subject.alert, message: textOf(one) }));
  }

  async function untilStop(): Promise<void> {
    let failing = false;
    // The first look loads the reader, and a start does not wait for it.
    while (await passed(everyMs, signal)) {
      try {
        await look();
        failing = false;
      } catch (error) {
        if (signal.aborted) return;
        if (!failing) log.warn({ cause: messageOf(error) }, "alerts could not be sent: hookonce tries again");
        failing = true;
      }
    }
  }

  const ended = untilStop();
  await services.start(() => ({
    name: "alerts",
    stop() {
      stopping.abort();
      return ended;
    },
  }));
  return { warnings: () => warnings };
}
