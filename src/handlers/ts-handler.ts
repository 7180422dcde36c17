import { SQLiteError } from "bun:sqlite";
import { DrizzleError } from "drizzle-orm";
import { $ZodError, prettifyError } from "zod/v4/core";
import { HookonceError, type Problem } from "../errors.ts";
import type { Headers } from "../event.ts";
import { isHandler, isReply, type Handler } from "./api.ts";
import { createHandlerDatabase } from "./database.ts";
import { refusePromise, type OpenGate } from "./gate.ts";
import type { LoadedHandler } from "./handler.ts";
import { moduleThrows } from "./late-error.ts";
import { loadProblems } from "./load-error.ts";
import { supplyModules } from "./modules.ts";

moduleThrows(DrizzleError);

/** Called with what a handler's promise came to after the handler had failed for returning it. */
export type OnLateError = (file: string, error: unknown) => void;

/**
 * Loads a `.ts` handler. Its top level runs here, once.
 *
 * @param file for messages, relative to the inbox folder
 */
export async function loadTsHandler(
  openGate: OpenGate,
  file: string,
  path: string,
  onLateError: OnLateError,
): Promise<LoadedHandler | Problem[]> {
  supplyModules();
  let exported: unknown;
  try {
    exported = (await importHandler(path)).default;
  } catch (error) {
    return loadProblems(file, path, error);
  }
  if (!isHandler(exported)) {
    return [{ file, message: "has no handler: write export default handler(({ event, db }) => { … })" }];
  }
  // What it will ask is not known beforehand.
  return { file, independent: false, run: runner(exported, openGate, file, onLateError) };
}

/** What a handler's top level may take, in milliseconds. */
const LOAD_TIMEOUT = 5000;

/** Its top level is the user's code: it may wait for ever, or end the process, and neither may happen without a word. */
async function importHandler(path: string): Promise<{ default?: unknown }> {
  const exit = Object.getOwnPropertyDescriptor(process, "exit") as PropertyDescriptor;
  const tooLate = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    tooLate.reject(new Error(`its top level has not come to an end after ${LOAD_TIMEOUT / 1000} s`));
  }, LOAD_TIMEOUT);
  process.exit = () => {
    throw new Error("its top level calls process.exit, which would end hookonce");
  };
  try {
    return await Promise.race([import(Bun.pathToFileURL(path).href) as Promise<object>, tooLate.promise]);
  } finally {
    clearTimeout(timer);
    Object.defineProperty(process, "exit", exit);
  }
}

function runner(
  handler: Handler,
  openGate: OpenGate,
  file: string,
  onLateError: OnLateError,
): LoadedHandler["run"] {
  return ({ id, type, source, receivedAt, payloadJson, headersJson, body }) => {
    const gate = openGate((error) => onLateError(file, error));
    let returned: unknown;
    try {
      returned = handler.run({
        event: {
          id,
          type,
          source,
          receivedAt,
          payload: payloadJson === null ? null : JSON.parse(payloadJson),
          headers: JSON.parse(headersJson) as Headers,
          // A copy, made when asked for: these bytes are stored after the handler has run.
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
    return { rowsChanged, reply: isReply(returned) ? returned.reply : null };
  };
}

/**
 * An error as it is told and judged. zod's own message is JSON over many lines. What SQLite says of this database the gate has noted
 * by now; anything else it says is of a database that the handler opened itself, and no trouble of ours.
 */
function readable(thrown: unknown): unknown {
  // drizzle says which query it was; why it failed is its cause.
  const error = thrown instanceof DrizzleError && thrown.cause !== undefined ? thrown.cause : thrown;
  if (error instanceof SQLiteError) return told(error, error.message);
  if (error instanceof $ZodError) return told(error, prettifyError(error).replaceAll(/\n +→/g, " →"));
  return error;
}

/** Under another message, and from where it was thrown. */
function told(error: Error, message: string): HookonceError {
  const failure = new HookonceError("handler_error", message, { cause: error });
  if (error.stack !== undefined) failure.stack = error.stack;
  return failure;
}
