import { pathToFileURL } from "node:url";
import { HookonceError, messageOf, type Problem } from "../errors.ts";
import { isHandler, isReply, type Handler } from "./api.ts";
import { createHandlerDatabase } from "./database.ts";
import type { Gate } from "./gate.ts";
import type { LoadedHandler } from "./handler.ts";
import { supplyModules } from "./modules.ts";

/** Called with what a handler's promise came to after the handler had failed for returning it. */
export type OnLateError = (file: string, error: unknown) => void;

/**
 * Loads a `.ts` handler. Its top level runs here, once.
 *
 * @param file for messages, relative to the inbox folder
 */
export async function loadTsHandler(
  openGate: () => Gate,
  file: string,
  path: string,
  onLateError: OnLateError,
): Promise<LoadedHandler | Problem[]> {
  supplyModules();
  let exported: unknown;
  try {
    const module = (await import(pathToFileURL(path).href)) as { default?: unknown };
    exported = module.default;
  } catch (error) {
    return problemsOf(file, error);
  }
  if (!isHandler(exported)) {
    return [{ file, message: "has no handler: write export default handler(({ event, db }) => { … })" }];
  }
  return { file, run: runner(exported, openGate, file, onLateError) };
}

function runner(
  handler: Handler,
  openGate: () => Gate,
  file: string,
  onLateError: OnLateError,
): LoadedHandler["run"] {
  return ({ id, type, source, receivedAt, payload, headers, body }) => {
    const gate = openGate();
    let returned: unknown;
    try {
      returned = handler.run({
        event: {
          id,
          type,
          source,
          receivedAt,
          payload,
          headers,
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
      throw error;
    }
    const rowsChanged = gate.close();
    if (isThenable(returned)) {
      void Promise.resolve(returned).catch((error: unknown) => onLateError(file, error));
      throw new HookonceError(
        "handler_async",
        "The handler returned a promise. Handlers are synchronous: they run inside the transaction, and what they write after an await would not be part of it. Drop the async; work that leaves the process belongs in the outbox.",
      );
    }
    return { rowsChanged, reply: isReply(returned) ? returned.reply : null };
  };
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function"
  );
}

/** Bun gives a syntax error as an AggregateError of messages with positions. */
function problemsOf(file: string, error: unknown): Problem[] {
  const messages = error instanceof AggregateError ? (error.errors as unknown[]) : [error];
  return messages.map((message) => {
    const position = (message as { position?: { line?: number } | null } | null)?.position;
    return { file, line: position?.line, message: messageOf(message) };
  });
}
