import { DrizzleError, DrizzleQueryError } from "drizzle-orm";
import { $ZodError } from "zod/v4/core";
import { zodInWords } from "../../config/zod-words.ts";
import { HookonceError } from "../../errors.ts";
import type { HandlerCode } from "../engine.ts";
import { notePlace } from "../error-place.ts";
import { handlerEvent } from "../handler-event.ts";
import { collectingOutputUntilDone } from "../handler-output.ts";
import { moduleThrows } from "../late-error.ts";
import { ended } from "../quarantine.ts";
import { alwaysFails, refuseValue } from "../returned.ts";
import { createEnqueue } from "./enqueue.ts";
import type { OpenGate } from "./gate.ts";
import { createHandlerDatabase } from "./handler-database.ts";
import { DEADLINE_MS, type PostgresHandler } from "./handler.ts";
import { stateOf } from "./trouble.ts";

moduleThrows(DrizzleError);
moduleThrows(DrizzleQueryError);

export interface TsHandlerOptions {
  readonly openGate: OpenGate;
  /** Receives the error of a handler that has failed before, because its time was over. */
  readonly onLateError: (file: string, error: unknown) => void;
  readonly deadlineMs?: number | undefined;
}

/** Binds a `.ts` handler to the gates of its runs. It may be asynchronous. */
export function loadTsHandler(
  { file, hash, run, replyOf, placeOf }: Extract<HandlerCode, { language: "ts" }>,
  { openGate, onLateError, deadlineMs = DEADLINE_MS }: TsHandlerOptions,
): PostgresHandler {
  const never = alwaysFails(run, true);
  return {
    file,
    hash,
    language: "ts",
    mayEnqueue: true,
    alwaysFails: never?.message,
    async run(wire, input) {
      if (never !== undefined) throw never;
      const began = performance.now();
      const gate = openGate(wire, deadlineMs);
      const context = {
        event: handlerEvent(input),
        db: createHandlerDatabase(gate.client),
        enqueue: createEnqueue(gate.client),
      };
      let returned: unknown;
      try {
        returned = await collectingOutputUntilDone(() =>
          untilDeadline(ran(run(context)), { handler: file, eventId: input.id }, deadlineMs, onLateError),
        );
      } catch (thrown) {
        await (thrown instanceof HookonceError && thrown.code === "handler_timeout"
          ? gate.shut()
          : quietly(gate.close()));
        const error = readable(thrown);
        const isLate = stateOf(error) === "57014" && performance.now() - began >= deadlineMs;
        const shown = isLate ? ended({ handler: file, eventId: input.id }, deadlineMs) : error;
        notePlace(shown, placeOf(thrown));
        throw shown;
      }
      const rowsChanged = await gate.close();
      const reply = replyOf(returned);
      if (reply === null) refuseValue(returned);
      return { rowsChanged, reply };
    },
  };
}

async function untilDeadline(
  work: Promise<unknown>,
  run: { readonly handler: string; readonly eventId: string },
  ms: number,
  onLateError: TsHandlerOptions["onLateError"],
): Promise<unknown> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    work.catch((error: unknown) => onLateError(run.handler, error));
    late.reject(ended(run, ms));
  }, ms);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** The handler's own error comes before those of what it left behind. */
async function quietly(work: Promise<unknown>): Promise<void> {
  await work.catch(() => {});
}

/** A query of drizzle runs when it is awaited. A handler may return one in place of awaiting it. */
async function ran(returned: unknown): Promise<unknown> {
  const isQuery = typeof returned === "object" && returned !== null && "getSQL" in returned;
  const value: unknown = await returned;
  return isQuery ? undefined : value;
}

/** Returns the error to report: the server's, not drizzle's, which quotes the query and its values. */
function readable(thrown: unknown): unknown {
  const error = thrown instanceof DrizzleQueryError && thrown.cause !== undefined ? thrown.cause : thrown;
  return error instanceof $ZodError ? withMessage(error, zodInWords(error)) : error;
}

/** The same error with another message and the original stack. */
function withMessage(error: Error, message: string): HookonceError {
  const failure = new HookonceError("handler_error", message, { cause: error });
  if (error.stack !== undefined) failure.stack = error.stack;
  return failure;
}
