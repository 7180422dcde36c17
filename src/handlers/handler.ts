import type { Event, Reply } from "../event.ts";

/** An event on its way through a handler: what TypeScript sees, and what SQL binds. */
export interface HandlerInput extends Event {
  /** `:payload`; null when the body is neither JSON nor a form. */
  readonly payloadJson: string | null;
  /** `:headers` */
  readonly headersJson: string;
}

export interface HandlerRun {
  readonly rowsChanged: number;
  /** What it wants to be answered, instead of the usual. */
  readonly reply: Reply | null;
}

/** A handler, loaded and checked. */
export interface LoadedHandler {
  /** Relative to the inbox folder. */
  readonly file: string;
  /**
   * Runs inside the event's transaction.
   *
   * @throws whatever went wrong: the caller rolls back
   */
  readonly run: (input: HandlerInput) => HandlerRun;
}
