import { SQLiteError } from "bun:sqlite";
import { DrizzleError } from "drizzle-orm";
import { $ZodError, prettifyError } from "zod/v4/core";
import { HookonceError } from "../../errors.ts";
import type { Headers } from "../../event.ts";
import type { HandlerCode } from "../engine.ts";
import { moduleThrows } from "../late-error.ts";
import { refusePromise, type OpenGate } from "./gate.ts";
import { createHandlerDatabase } from "./handler-database.ts";
import type { SqliteHandler } from "./handler.ts";

moduleThrows(DrizzleError);

/** Binds a `.ts` handler to a connection's gate. Handlers are synchronous on SQLite. */
export function loadTsHandler(
  { file, hash, run, replyOf }: Extract<HandlerCode, { language: "ts" }>,
  openGate: OpenGate,
  /** Hears what a handler's promise came to after the handler had failed for returning it. */
  onLateError: (file: string, error: unknown) => void,
): SqliteHandler {
  return {
    file,
    hash,
    language: "ts",
    run({ id, type, source, receivedAt, payloadJson, headersJson, body }) {
      const gate = openGate((error) => onLateError(file, error));
      let returned: unknown;
      try {
        returned = run({
          event: {
            id,
            type,
            source,
            receivedAt,
            payload: payloadJson === null ? null : JSON.parse(payloadJson),
            headers: JSON.parse(headersJson) as Headers,
            // A copy, made when it is asked for: these bytes are stored after the handler has run.
            get body() {
              return body.slice();
            },
          },
          db: createHandlerDatabase(gate.client),
        });
      } catch (error) {
        // The error that ended the transaction comes before one that followed from it.
        gate.close();
        throw readable(error);
      }
      const rowsChanged = gate.close();
      refusePromise(returned, "The handler", (error) => onLateError(file, error));
      return { rowsChanged, reply: replyOf(returned) };
    },
  };
}

/**
 * An error as it is shown and judged. zod's own message is JSON over many lines. The gate has noted what SQLite says of
 * this database; any other SQLite error is of a database that the handler opened itself.
 */
function readable(thrown: unknown): unknown {
  // drizzle says which query it was; its cause says why the query failed.
  const error = thrown instanceof DrizzleError && thrown.cause !== undefined ? thrown.cause : thrown;
  if (error instanceof SQLiteError) return withMessage(error, error.message);
  if (error instanceof $ZodError) return withMessage(error, prettifyError(error).replaceAll(/\n +→/g, " →"));
  return error;
}

/** The same error with another message and the original stack. */
function withMessage(error: Error, message: string): HookonceError {
  const failure = new HookonceError("handler_error", message, { cause: error });
  if (error.stack !== undefined) failure.stack = error.stack;
  return failure;
}
