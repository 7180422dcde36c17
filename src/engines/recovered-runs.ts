import type { MarkedRun } from "./marker.ts";
import type { QuarantineCode } from "./reader.ts";
import type { StartLog } from "./store.ts";

/** What a start has made of a run during which the process ended. */
export interface Recovered {
  readonly run: MarkedRun;
  /** Null: nobody is blamed yet, and the event runs again, alone. */
  readonly code: QuarantineCode | null;
}

export function logRecovered(recovered: readonly Recovered[], log: StartLog): void {
  for (const { run, code } of recovered) {
    const { source, eventId: event, type, handler } = run;
    const fields = { source, event, type, handler };
    if (code === null)
      log.warn(
        fields,
        "hookonce ended while this handler ran: the event runs again, alone in its transaction",
      );
    else
      log.error(
        { ...fields, code },
        code === "handler_timeout"
          ? `the handler did not return, so hookonce killed itself: the event is skipped until the handler is changed, or until you run: hookonce apply ${event}`
          : `the process ended again while this handler ran: the event is skipped until the handler is changed, or until you run: hookonce apply ${event}`,
      );
  }
}
