import { HookonceError } from "../errors.ts";
import type { EventSource, LoadedHandler } from "./engine.ts";
import type { QuarantineCode } from "./reader.ts";
import { payloadRemoved } from "./retention.ts";
import type { Reply } from "../event.ts";
import type { OpenFailure } from "./event-rows.ts";

/** What a handler's run changed and returned. */
export interface Run {
  readonly handler: string | null;
  readonly handlerHash: string | null;
  readonly rowsChanged: number;
  readonly durationUs: number;
  readonly reply: Reply | null;
}

/** An event that no handler ran for. */
export const nothing: Run = { handler: null, handlerHash: null, rowsChanged: 0, durationUs: 0, reply: null };

/** Why an event is ignored that had no handler when it arrived. */
export const NOT_SENT_ON = "there is no handler for it, and no destination takes it";

export function resultOf({ handler, rowsChanged, durationUs, reply }: Run) {
  return { handler, rowsChanged, durationUs, reply, changedBody: false, error: null };
}

export function unreadable({
  source,
  eventId,
}: {
  readonly source: EventSource;
  readonly eventId: string;
}): HookonceError {
  return new HookonceError(
    "stored_event_unreadable",
    `The stored delivery holds no event "${eventId}". If batch or event_id of source "${source.name}" was changed since, set it back.`,
  );
}

/**
 * Why a stored event cannot be run.
 *
 * @param hasBody whether its body is stored
 */
export function notRunnable(hasBody: boolean, job: Parameters<typeof unreadable>[0]): HookonceError {
  return hasBody ? unreadable(job) : payloadRemoved(job.eventId);
}

/** Nothing has run. The failure stays as it is. */
export function quarantined({ code, error }: OpenFailure, handler: LoadedHandler | null) {
  return {
    ...resultOf(nothing),
    handler: handler?.file ?? null,
    outcome: "failed" as const,
    error: new HookonceError(code as QuarantineCode, error),
  };
}

/**
 * The result of a failed event whose handler's file is gone. It stays failed, whatever `unhandled` says and even if a
 * destination takes the event: nobody has applied it, and the file may be gone by mistake.
 *
 * @returns undefined if no handler has failed for it
 */
export function withoutItsHandler(failure: OpenFailure | undefined) {
  if (failure === undefined || failure.handlerHash === null) return undefined;
  return {
    ...resultOf(nothing),
    outcome: "failed" as const,
    error: handlerGone("that failed for this event"),
  };
}

/** Somebody may want the event to be sent on without it. */
export function handlerGone(which: string): HookonceError {
  return new HookonceError(
    "no_handler",
    `The handler ${which} is gone. Put it back or write another one for its type, or discard the event. If a destination takes the event, hookonce apply ID sends it on without a handler.`,
  );
}

/** The code under which an error of a run is recorded. */
export function codeOf(error: unknown): string {
  return error instanceof HookonceError ? error.code : "handler_error";
}

/** Two events of one key have the same version, and somebody has to decide. */
export const isTie = (error: unknown): boolean => codeOf(error) === "version_tie";

/** A reply as it is stored. */
export const replyJson = (reply: Reply | null): string | null =>
  reply === null ? null : JSON.stringify(reply);
