import type { Reply } from "../../event.ts";
import type { HandlerInput, LoadedHandler } from "../engine.ts";
import type { Wire } from "./wire.ts";

/**
 * How long a handler may take, in milliseconds, and each statement of a SQL handler. Nothing else is written meanwhile,
 * on any node.
 */
export const DEADLINE_MS = 30_000;

export interface HandlerRun {
  readonly rowsChanged: number;
  /** The reply that the handler returned, in place of the usual answer. */
  readonly reply: Reply | null;
}

export interface PostgresHandler extends LoadedHandler {
  /** Whether a statement of it names the view `hookonce.outbox`, so that what it enqueues must be read. */
  readonly mayEnqueue: boolean;
  /**
   * Runs inside the event's savepoint. A SQL handler sends all of its statements before this returns, so that those of
   * the next event can be sent behind them. If it throws before it returns, it has sent nothing.
   *
   * @throws the handler's error. The caller rolls back
   */
  readonly run: (wire: Wire, input: HandlerInput) => Promise<HandlerRun>;
}
