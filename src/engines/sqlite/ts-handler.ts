import { SQLiteError } from "bun:sqlite";
import { DrizzleError } from "drizzle-orm";
import { $ZodError } from "zod/v4/core";
import { zodInWords } from "../../config/zod-words.ts";
import { HookonceError } from "../../errors.ts";
import type { HandlerCode } from "../engine.ts";
import { notePlace } from "../error-place.ts";
import { handlerEvent } from "../handler-event.ts";
import { collectingOutput } from "../handler-output.ts";
import { moduleThrows } from "../late-error.ts";
import { alwaysFails, refusePromise, refuseValue } from "../returned.ts";
import { createEnqueue } from "./enqueue.ts";
import type { OpenGate } from "./gate.ts";
import { createHandlerDatabase } from "./handler-database.ts";
import type { SqliteHandler } from "./handler.ts";

moduleThrows(DrizzleError);

/** Binds a `.ts` handler to a connection's gate. Handlers are synchronous on SQLite. */
export function loadTsHandler(
  { file, hash, run, replyOf, placeOf }: Extract<HandlerCode, { language: "ts" }>,
  openGate: OpenGate,
  /** Receives the error of a promise, after the handler has failed for returning it. */
  onLateError: (file: string, error: unknown) => void,
): SqliteHandler {
  const never = alwaysFails(run);
  return {
    file,
    hash,
    language: "ts",
    alwaysFails: never?.message,
    run(input) {
      if (never !== undefined) throw never;
      const gate = openGate((error) => onLateError(file, error));
      let returned: unknown;
      try {
        const event = handlerEvent(input);
        const db = createHandlerDatabase(gate.client);
        const enqueue = createEnqueue(gate.client);
        returned = collectingOutput(() => run({ event, db, enqueue }));
      } catch (error) {
        // The error that ended the transaction comes before one that followed from it.
        gate.close();
        const shown = readable(error);
        notePlace(shown, placeOf(error));
        throw shown;
      }
      const rowsChanged = gate.close();
      refusePromise(returned, "The handler", (error) => onLateError(file, error));
      const reply = replyOf(returned);
      if (reply === null) refuseValue(returned);
      return { rowsChanged, reply };
    },
  };
}

/**
 * Returns the error to report. zod's own message is JSON over many lines. The gate has already noted SQLite's
 * errors from this database. Any other SQLite error comes from a database that the handler opened itself.
 */
function readable(thrown: unknown): unknown {
  // drizzle's message names the query. Its cause says why the query failed.
  const error = thrown instanceof DrizzleError && thrown.cause !== undefined ? thrown.cause : thrown;
  if (error instanceof SQLiteError) return withMessage(error, error.message);
  if (error instanceof $ZodError) return withMessage(error, zodInWords(error));
  return error;
}

/** The same error with another message and the original stack. */
function withMessage(error: Error, message: string): HookonceError {
  const failure = new HookonceError("handler_error", message, { cause: error });
  if (error.stack !== undefined) failure.stack = error.stack;
  return failure;
}
