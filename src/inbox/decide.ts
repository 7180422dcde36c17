import type {
  EventSource,
  FailedDelivery,
  HandlerInput,
  LoadedHandler,
  NewEvent,
  Policy,
  RecordedWithoutBody,
  Result,
  RetriedFailure,
} from "../engines/engine.ts";
import type { Newest, PlacedRun, Verdict } from "../engines/order.ts";
import type { RecordedFailure, RecordedOutcome } from "../engines/reader.ts";
import { QUARANTINE_CODES } from "../engines/reader.ts";
import { HookonceError } from "../errors.ts";
import type { Outcome } from "../event.ts";
import type { Place } from "../providers/newest.ts";
import { compareVersions, parseVersion } from "../providers/version.ts";
import { nextRetryAt } from "./retry-schedule.ts";

/**
 * The policy: what becomes of an event. Pure functions that know no database. An engine asks them inside its
 * transaction, so that every engine decides alike.
 */
export const policy: Policy = {
  decideNew,
  judge,
  sendsOn,
  isOwed,
  isQuarantined,
  isLikelyRetry,
  acceptsFailure,
  retryAt,
  countsForHold,
  repeatedAs,
  checkChange,
};

/**
 * What to do with an event that is not recorded yet. Only `run` runs the handler. Without a handler, an event of a
 * source that sends on is done: it is sent, or no destination takes it.
 */
export function decideNew(
  source: EventSource,
  type: string,
  handler: LoadedHandler | null,
  isSentOn: boolean,
): NewEvent {
  if (handler !== null || isSentOn) return { run: handler };
  if (sendsOn(source)) return { record: "ignored" };
  switch (source.unhandled) {
    case "record":
      return { record: "unhandled" };
    case "ignore":
      return { record: "ignored" };
    case "fail": {
      const what = type === "" ? "events without a type" : `the type "${type}"`;
      return {
        fail: new HookonceError(
          "no_handler",
          `There is no handler for ${what}, and source "${source.name}" has unhandled = "fail". Add a handler for it in handlers/${source.handlersOf}/.`,
        ),
      };
    }
  }
}

/**
 * An event runs if it is not older than the newest one of its key that was applied. Two of one version are in no
 * order: `ties` says whether the last one to commit wins, or somebody decides.
 */
export function judge(place: Place, newest: Newest | undefined, { eventId, isNamed }: PlacedRun): Verdict {
  if (newest === undefined) return "newest";
  const order = orderOf(place.version, newest.version);
  const other = `The event ${newest.eventId} with the version ${newest.version}`;
  if (order === undefined) {
    if (isNamed) return "newest";
    const message = `${other} was applied for the key ${place.key}, and the version ${place.version} cannot be compared with it, because one is a whole number and the other a time. If this event is the newer one, run: hookonce apply ${eventId}. Otherwise discard it.`;
    return { fail: new HookonceError("mixed_versions", message) };
  }
  if (order < 0)
    return { stale: `${other} was applied before this one, which has the version ${place.version}.` };
  if (order > 0 || place.ties === "apply" || newest.eventId === eventId || isNamed) return "newest";
  const message = `${other} was applied for the key ${place.key}, and this one has the same version. To apply it after all, run: hookonce apply ${eventId}. Otherwise discard it.`;
  return { fail: new HookonceError("version_tie", message) };
}

function orderOf(version: string, other: string): number | undefined {
  const [one, two] = [parseVersion(version), parseVersion(other)];
  return one === undefined || two === undefined ? undefined : compareVersions(one, two);
}

/**
 * An unhandled event is owed until a handler has run, or until it is sent on, and so is a held one once its source
 * is open. Every other recorded event is done.
 */
export function isOwed(
  source: Pick<EventSource, "forwards">,
  outcome: RecordedOutcome,
  handler: LoadedHandler | null,
): boolean {
  return isOwedOutcome(outcome) && (handler !== null || sendsOn(source));
}

/** Whether a source has destinations. */
export function sendsOn({ forwards = [] }: Pick<EventSource, "forwards">): boolean {
  return forwards.length > 0;
}

/**
 * A handler that hung or ended the process would do so at each retry. It is not run again for that event
 * until it changes, or until somebody asks for the event by its id.
 */
export function isQuarantined({ code, handlerHash }: RecordedFailure, handler: LoadedHandler): boolean {
  return (QUARANTINE_CODES as readonly string[]).includes(code) && handlerHash === handler.hash;
}

/**
 * Without a body, an event cannot be told from another one that had the same id under the earlier rule. An
 * ignored event was never applied, so its retry may count as another event: nothing is applied twice, and no
 * other event is lost. An imported event was applied elsewhere, so it counts as the same one, but only while
 * its provider may still retry it. The time counts from the first delivery: from the last one, each event
 * would extend it for the next.
 */
export function isLikelyRetry(
  { retryWindowMs }: Pick<EventSource, "retryWindowMs">,
  recorded: RecordedWithoutBody,
  { type, receivedAt }: Pick<HandlerInput, "type" | "receivedAt">,
): boolean {
  if (recorded.outcome === "ignored" || recorded.type !== type) return false;
  return receivedAt - recorded.receivedAt <= retryWindowMs;
}

/**
 * Whether a delivery of an event that has failed is answered 200. A tie is, because another delivery cannot decide it.
 * With `max_failed_answers`, so is what was answered 500 so often, because the provider would switch the endpoint off.
 */
export function acceptsFailure(
  { maxFailedAnswers = Number.POSITIVE_INFINITY }: Pick<EventSource, "maxFailedAnswers">,
  { code, failedAnswers }: FailedDelivery,
): boolean {
  return code === "version_tie" || failedAnswers >= maxFailedAnswers;
}

/**
 * When hookonce itself runs a failure again: see retry-schedule.ts. After a 200 nobody else does, so `retry_for` does
 * not limit it. A tie is for somebody to decide.
 */
export function retryAt(
  { retryForMs }: Pick<EventSource, "retryForMs">,
  failure: RetriedFailure,
  now: number,
): number | null {
  if (failure.code === "version_tie") return null;
  const limit = failure.isAccepted ? Number.POSITIVE_INFINITY : retryForMs;
  return nextRetryAt(failure, { now, retryForMs: limit, random: Math.random() });
}

/** A copy of an owed event is answered with that outcome. A copy of any other is a duplicate. */
export function repeatedAs(outcome: RecordedOutcome): Outcome {
  return isOwedOutcome(outcome) ? outcome : "duplicate";
}

const isOwedOutcome = (outcome: RecordedOutcome) => outcome === "unhandled" || outcome === "held";

/**
 * Whether a failure counts for `hold_after`: a handler has run, or was to run. A tie is for somebody to decide, and an
 * event whose handler hung before was skipped.
 */
export function countsForHold({
  outcome,
  handler,
  error,
}: Pick<Result, "outcome" | "handler" | "error">): boolean {
  if (outcome !== "failed" || handler === null) return false;
  const code = error instanceof HookonceError ? error.code : "handler_error";
  return code !== "version_tie" && !(QUARANTINE_CODES as readonly string[]).includes(code);
}

/** @throws HookonceError `no_rows_changed` */
export function checkChange(source: EventSource, handler: LoadedHandler, rowsChanged: number): void {
  if (rowsChanged > 0 || !source.requireChange) return;
  throw new HookonceError(
    "no_rows_changed",
    `${handler.file} changed no rows, and source "${source.name}" has require_change = true.`,
  );
}
