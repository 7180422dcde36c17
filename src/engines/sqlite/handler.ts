import type { Reply } from "../../event.ts";
import type { HandlerInput, LoadedHandler } from "../engine.ts";

export interface HandlerRun {
  readonly rowsChanged: number;
  /** The reply that the handler returned, in place of the usual answer. */
  readonly reply: Reply | null;
}

/** A handler bound to a connection. */
export interface SqliteHandler extends LoadedHandler {
  /**
   * Runs inside the event's transaction.
   *
   * @throws the handler's error. The caller rolls back
   */
  readonly run: (input: HandlerInput) => HandlerRun;
}
