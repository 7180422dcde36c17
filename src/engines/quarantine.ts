import { HookonceError } from "../errors.ts";
import type { MarkedRun } from "./marker.ts";
import type { QuarantineCode } from "./reader.ts";
import { WATCH_LIMITS } from "./watchdog.ts";

/** The errors of events whose handler hung or ended the process. */

type Named = Pick<MarkedRun, "handler" | "eventId">;

export function quarantineError(code: QuarantineCode, run: Named): HookonceError {
  return code === "handler_timeout" ? timeout(run) : died(run);
}

export function timeout({ handler, eventId }: Named): HookonceError {
  const seconds = (WATCH_LIMITS.limit * WATCH_LIMITS.tickMs) / 1000;
  return new HookonceError(
    "handler_timeout",
    `${handler} did not return within ${seconds} s for this event, so hookonce killed itself. ${remedy(eventId)}`,
  );
}

/** The handler was ended, and the process goes on. @param ms how long it may take */
export function ended({ handler, eventId }: Named, ms: number): HookonceError {
  return new HookonceError(
    "handler_timeout",
    `${handler} did not end within ${ms / 1000} s for this event, so what it wrote was undone. ${remedy(eventId)}`,
  );
}

export function died({ handler, eventId }: Named, ends?: number): HookonceError {
  const times = ends === undefined ? "again" : `${ends} times`;
  return new HookonceError(
    "handler_died",
    `The process ended ${times} while ${handler} ran for this event. ${remedy(eventId)}`,
  );
}

function remedy(eventId: string): string {
  return `The event is skipped until the handler is changed, or until you run: hookonce apply ${eventId}`;
}
