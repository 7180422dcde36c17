import type { Reply } from "../../event.ts";
import type { HandlerInput, LoadedHandler } from "../engine.ts";

export interface HandlerRun {
  readonly rowsChanged: number;
  /** What it wants to be answered, instead of the usual. */
  readonly reply: Reply | null;
}

/** A handler bound to a connection. */
export interface SqliteHandler extends LoadedHandler {
  /**
   * Runs inside the event's transaction.
   *
   * @throws whatever went wrong: the caller rolls back
   */
  readonly run: (input: HandlerInput) => HandlerRun;
}
