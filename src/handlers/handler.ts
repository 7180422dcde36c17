import type { Event } from "../event.ts";

/** An event on its way through a handler: what TypeScript sees, and what SQL binds. */
export interface HandlerInput extends Event {
  /** `:payload`; null when the body is neither JSON nor a form. */
  readonly payloadJson: string | null;
  /** `:headers` */
  readonly headersJson: string;
}

/** A handler, loaded and checked. */
export interface LoadedHandler {
  /** Relative to the inbox folder. */
  readonly file: string;
  /**
   * Runs inside the event's transaction.
   *
   * @returns how many rows were changed
   * @throws whatever went wrong: the caller rolls back
   */
  readonly run: (input: HandlerInput) => number;
}
