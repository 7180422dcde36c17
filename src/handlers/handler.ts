import type { Event, Reply } from "../event.ts";

/** An event on its way through a handler, as SQL binds it; what TypeScript sees is made of that, anew for each run. */
export interface HandlerInput extends Omit<Event, "payload" | "headers"> {
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
   * Whether nothing of what it does depends on hookonce's own tables: then it cannot tell that the events after its own are on the list
   * already.
   */
  readonly independent: boolean;
  /**
   * Runs inside the event's transaction.
   *
   * @throws whatever went wrong: the caller rolls back
   */
  readonly run: (input: HandlerInput) => HandlerRun;
}
