import type { Logger } from "pino";
import { HookonceError, messageOf } from "../errors.ts";
import type { Received } from "../inbox/receive.ts";
import { statuses } from "./statuses.ts";

/** One line for each delivery, with its outcome and cause. Never a body, a header's value or a signature. */
export interface DeliveryLog {
  received(source: string, received: Received, startedAt: number): void;
  /** Refused before anything was recorded. */
  rejected(source: string, error: unknown, startedAt: number): void;
}

/** A warning for each type, but not for each of a million made-up ones. */
const MAX_WARNED = 1000;

export function createDeliveryLog(log: Logger): DeliveryLog {
  const warned = new Set<string>();
  const once = (key: string): boolean => {
    if (warned.has(key) || warned.size >= MAX_WARNED) return false;
    warned.add(key);
    return true;
  };
  return {
    received(source, { outcome, eventId, type, handler, rowsChanged, changedBody, error }, startedAt) {
      const line: Record<string, unknown> = { source, event: eventId, type, outcome, ms: elapsed(startedAt) };
      if (handler !== null) line["handler"] = handler;
      if (outcome === "processed") line["rows"] = rowsChanged;
      if (changedBody) line["changed_body"] = true;
      if (outcome === "failed") {
        line["code"] = error instanceof HookonceError ? error.code : "handler_error";
        line["cause"] = messageOf(error);
        log.error(line, "delivery");
        return;
      }
      log.info(line, "delivery");
      if (outcome === "processed" && rowsChanged === 0 && once(`rows ${String(handler)}`)) {
        log.warn(
          { source, type, handler },
          "the handler changed no rows: an UPDATE that matched nothing, or a query that was never run?",
        );
      }
      if (outcome === "unhandled" && once(`type ${source} ${type}`)) {
        log.warn(
          { source, type },
          "no handler for this type: the event is kept, and applied when there is one",
        );
      }
    },
    rejected(source, error, startedAt) {
      const known = error instanceof HookonceError && statuses[error.code] !== undefined ? error : undefined;
      const line = {
        source,
        outcome: "rejected",
        code: known?.code ?? "internal",
        cause: messageOf(error),
        ms: elapsed(startedAt),
      };
      if (known === undefined) log.error({ ...line, err: error }, "delivery");
      else log.warn(line, "delivery");
    },
  };
}

/** Milliseconds, to a tenth. */
function elapsed(startedAt: number): number {
  return Math.round((performance.now() - startedAt) * 10) / 10;
}
