import type { Logger } from "pino";
import { HookonceError, messageOf } from "../errors.ts";
import type { Result } from "../inbox/incoming.ts";
import type { HandshakeDone } from "../providers/handshake.ts";
import { statuses } from "./statuses.ts";

/** One line for each delivery, with its outcome and cause. Never a body, a header's value or a signature. */
export interface DeliveryLog {
  received(source: string, received: Result, startedAt: number): void;
  /** It brought no event. What is to be shown to the user of it is shown here. */
  handshake(source: string, done: HandshakeDone, startedAt: number): void;
  /** Refused before anything was recorded. */
  rejected(source: string, error: unknown, startedAt: number): void;
}

/** A warning for each type, but not for each of a million made-up ones. */
const MAX_WARNED = 1000;

/**
 * @param writeLine where a line goes that was applied or recognised, as JSON; without it the logger writes these too. Such lines are
 *   nearly all there are, and putting one together by hand takes 3 µs instead of 10, of the 40 that a delivery takes
 */
export function createDeliveryLog(log: Logger, writeLine?: (fields: string) => void): DeliveryLog {
  const warned = new Set<string>();
  const once = (key: string): boolean => {
    if (warned.has(key) || warned.size >= MAX_WARNED) return false;
    warned.add(key);
    return true;
  };
  const warn = (source: string, { outcome, type, handler, rowsChanged, ignored }: Result): void => {
    if (outcome === "processed" && rowsChanged === 0 && once(`rows ${String(handler)}`)) {
      log.warn(
        { source, type, handler },
        "the handler changed no rows: an UPDATE that matched nothing, or a query that was never run?",
      );
    }
    if (outcome === "unhandled" && once(`type ${source} ${type}`)) {
      log.warn(
        { source, type },
        ignored === true
          ? "no handler for this type: nothing of the event is kept (unhandled = ignore)"
          : "no handler for this type: the event is kept, and applied when there is one",
      );
    }
  };
  return {
    received(source, received, startedAt) {
      const { outcome, eventId, type, handler, rowsChanged, changedBody, error } = received;
      if (writeLine !== undefined && outcome !== "failed" && !changedBody) {
        writeLine(fieldsOf(source, received, elapsed(startedAt)));
        warn(source, received);
        return;
      }
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
      warn(source, received);
    },
    handshake(source, { handshake, secret }, startedAt) {
      log.info({ source, handshake, ms: elapsed(startedAt) }, "handshake");
      if (secret !== undefined) {
        log.warn(
          { source, secret: secret.text },
          `somebody has sent what may be the provider's secret; that is not signed, and so may be anybody's. Enter it at the provider's, which takes only its own, and only then put it into .env, name it as the source's secret, and restart${secret.last ? ". No more are shown until then" : ""}`,
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

/** The same fields in the same order as the logger would write them. */
function fieldsOf(
  source: string,
  { outcome, eventId, type, handler, rowsChanged }: Result,
  ms: number,
): string {
  const ran =
    (handler === null ? "" : `,"handler":${JSON.stringify(handler)}`) +
    (outcome === "processed" ? `,"rows":${rowsChanged}` : "");
  return `"source":"${source}","event":${JSON.stringify(eventId)},"type":${JSON.stringify(type)},"outcome":"${outcome}","ms":${ms}${ran}`;
}

/** Milliseconds, to a tenth. */
function elapsed(startedAt: number): number {
  return Math.round((performance.now() - startedAt) * 10) / 10;
}
