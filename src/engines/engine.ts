import type { HookonceError, Problem } from "../errors.ts";
import type { Event, Headers, Outcome, Reply } from "../event.ts";
import type { HandlerOutput } from "./handler-output.ts";
import type { WatchLimits } from "./watchdog.ts";

/**
 * The interface between the inbox, which decides, and an engine, which stores. All code that knows a database
 * is behind these types: src/engines/<name>/ implements {@link Engine}, and only app/store.ts picks an
 * engine.
 */

/** What an engine needs to know about a source. */
export interface EventSource {
  readonly name: string;
  /** The source whose handlers run: usually its own name. */
  readonly handlersOf: string;
  readonly unhandled: "record" | "ignore" | "fail";
  readonly requireChange: boolean;
  /** `same_body = "duplicate"`: the same bytes under another id are the same event. */
  readonly sameBody: boolean;
  /**
   * Reads a stored delivery again. Returns the event's payload as JSON text, or undefined if it does not
   * contain the event.
   */
  readonly payloadOf: (stored: StoredDelivery, eventId: string) => { json: string | null } | undefined;
  /** Whether a stored delivery carried the event that has this id by the present rule. */
  readonly carries: (stored: StoredDelivery, eventId: string) => boolean;
}

/** What is kept of a delivery. Secrets in `headers` are replaced. `body` is the raw bytes. */
export interface StoredDelivery {
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/**
 * An event for a handler. SQL binds these values. A TypeScript handler gets an {@link Event} made of them.
 */
export interface HandlerInput extends Omit<Event, "payload" | "headers" | "files"> {
  /** `:payload`; null if the body is neither JSON nor a form. */
  readonly payloadJson: string | null;
  /** `:headers` */
  readonly headersJson: string;
}

/** A verified and identified event, before it is recorded. */
export interface Incoming {
  readonly source: EventSource;
  readonly input: HandlerInput;
  /**
   * The delivery, if it carried a batch. All events of one batch share this object, and its bytes are stored
   * once.
   */
  readonly batch: object | undefined;
  /**
   * Other ids that earlier versions of hookonce gave this event, the latest first. An event that is
   * recorded under it, or has failed under it, keeps it.
   */
  readonly earlierIds?: readonly string[] | undefined;
}

/** One unit of writing. Each succeeds or fails alone, whatever else is in its transaction. */
export type Job =
  | { readonly kind: "delivery"; readonly event: Incoming }
  /** Run an owed event now. */
  | {
      readonly kind: "apply";
      readonly source: EventSource;
      readonly eventId: string;
      /** The time of this run, in Unix milliseconds. */
      readonly at: number;
      /** Somebody has asked for this event by its id, so it runs even if it is quarantined. */
      readonly evenQuarantined?: boolean;
    };

/** What became of an event. */
export interface Result {
  readonly eventId: string;
  readonly type: string;
  readonly outcome: Outcome;
  /** Relative to the inbox folder; null if none ran. */
  readonly handler: string | null;
  readonly rowsChanged: number;
  /** How long the handler ran, in microseconds. */
  readonly durationUs: number;
  /** Whether the body of a repeat differs from the stored one. */
  readonly changedBody: boolean;
  /** Why it failed. */
  readonly error: unknown;
  /** The reply that its handler returned. */
  readonly reply: Reply | null;
}

/** What became of the first jobs of a commit. */
export interface Batch {
  /**
   * How many jobs were begun: the first ones, in order, and at least one unless `blocked`. The caller keeps
   * the others.
   */
  readonly begun: number;
  /** Set if another process holds the write lock, so that no further job could be begun. Try again soon. */
  readonly blocked: HookonceError | undefined;
  /**
   * One for each job that was begun, in order. Resolves once they are durable, so no delivery is answered
   * before that. An error means that nothing of the job was recorded (`disk_full`, `out_of_memory`,
   * `storage_failed`, `database_locked`). Rejects if this process can no longer trust the database.
   */
  readonly results: Promise<readonly (Result | HookonceError)[]>;
}

/** What to log about a handler's run, once the run or its failure is committed. */
export interface RunNote {
  readonly source: string;
  readonly eventId: string;
  readonly type: string;
  readonly handler: string;
  /** How long it ran, in milliseconds. */
  readonly ms: number;
  readonly output: readonly HandlerOutput[];
}

/** In milliseconds. A run that takes longer is logged. */
export const SLOW_RUN_MS = 1000;

/** What every engine is made with. */
export interface EngineOptions {
  readonly policy: Policy;
  /**
   * Called with an error that occurs between calls and means that this process can no longer trust the
   * database.
   */
  readonly onFatal: (error: unknown) => void;
  /** Called if a promise rejects after its handler has already failed for returning it. */
  readonly onLateError: (file: string, error: unknown) => void;
  /** Called with the bytes of the write-ahead log when there are 256 MiB of it, and at each doubling. */
  readonly onLargeLog?: (bytes: number) => void;
  /** Called after the commit for each run that was slow or wrote output. */
  readonly onRun?: (note: RunNote) => void;
  /** After which time a run of a handler ends the process. Undefined: never, and no run is marked. */
  readonly watch?: WatchLimits | undefined;
  /** Called with the reason why runs of handlers are not marked or not watched. */
  readonly onNotWatched?: (reason: string) => void;
}

/** What a probe finds. */
export interface Health {
  readonly warnings: readonly HealthWarning[];
}

/** Deliveries can be stored, but somebody should look after this. */
export interface HealthWarning {
  readonly code: string;
  readonly message: string;
}

/** A handler that an engine has loaded and checked. */
export interface LoadedHandler {
  /** Relative to the inbox folder. */
  readonly file: string;
  /** The hash of the file's text. It shows whether this version made a stored result. */
  readonly hash: string;
  readonly language: "sql" | "ts";
  /** Why every run of it fails, if the engine knows that without running it. */
  readonly alwaysFails?: string | undefined;
}

/** A handler's code, read from the inbox folder and not yet bound to a database. */
export type HandlerCode =
  | { readonly language: "sql"; readonly file: string; readonly hash: string; readonly text: string }
  | {
      readonly language: "ts";
      readonly file: string;
      readonly hash: string;
      /** The user's function. */
      readonly run: (context: { event: Event; db: unknown }) => unknown;
      /** The reply that the function returned, if it did. */
      readonly replyOf: (returned: unknown) => Reply | null;
      /**
       * Where in the inbox folder an error was thrown, as `file:line`. Undefined if its stack does not say
       * so.
       */
      readonly placeOf: (thrown: unknown) => string | undefined;
    };

/** The table of handlers. Replaced as a whole, so that all events of a batch see the same set. */
export interface Handlers {
  /** The most specific handler for a type, or null. */
  readonly for: (source: string, type: string) => LoadedHandler | null;
  readonly files: readonly { readonly source: string; readonly file: string }[];
}

/** The rules of inbox/decide.ts, as an engine asks for them inside its transaction. */
export interface Policy {
  /** What to do with an event that is not recorded yet. */
  decideNew(source: EventSource, type: string, handler: LoadedHandler | null): NewEvent;
  /** Whether a recorded event must run now. */
  isOwed(outcome: RecordedOutcome, handler: LoadedHandler | null): boolean;
  /** Whether a failure is not run again with this handler, unless somebody asks for it by its id. */
  isQuarantined(failure: RecordedFailure, handler: LoadedHandler): boolean;
  /** How a delivery of a recorded event is answered when nothing runs. */
  repeatedAs(outcome: RecordedOutcome): Outcome;
  /** Throws `no_rows_changed` if the source requires a change and there was none. */
  checkChange(source: EventSource, handler: LoadedHandler, rowsChanged: number): void;
}

/** The decision about a new event, before anything runs. */
export type NewEvent =
  | { readonly run: LoadedHandler }
  | { readonly record: "unhandled" | "ignored" }
  | { readonly fail: HookonceError };

/** Codes of failures whose handler hung or ended the process. */
export const QUARANTINE_CODES = ["handler_timeout", "handler_died"] as const;

export type QuarantineCode = (typeof QUARANTINE_CODES)[number];

/** What the policy must know of a failure. */
export interface RecordedFailure {
  readonly code: string;
  /** Which version of the handler failed; null if none ran. */
  readonly handlerHash: string | null;
}

/** Outcomes of an event in the table of events. A failed event is in the table of failures instead. */
export type RecordedOutcome = "processed" | "unhandled" | "ignored";

/** Which events a command or a page selects. */
export interface EventFilter {
  readonly ids?: readonly string[] | undefined;
  readonly source?: string | undefined;
  /** Exact, or with `*` at its end. */
  readonly type?: string | undefined;
  readonly outcome?: "unhandled" | "failed" | undefined;
  /** Unix milliseconds, of the first receipt; `since` is included, `until` is not. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
}

/** An event that is stored and not done. */
export interface OwedEvent {
  readonly source: string;
  readonly eventId: string;
  readonly type: string;
  /** `failed` also if the event was unhandled and its handler has failed since. */
  readonly outcome: "unhandled" | "failed";
  /** Of a failure with one of the {@link QUARANTINE_CODES}. */
  readonly quarantine?: RecordedFailure | undefined;
}

/** Where the next page begins: after this position in the order received. */
export interface Cursor {
  /** The row id of an event, or the highest event id at a failure's first attempt. */
  readonly position: number;
  /** The row id of a failure; 0 for an event. */
  readonly failure: number;
}

/**
 * One page of owed events. `next` is undefined on the last page. An earlier page may hold fewer events than
 * asked for, or none, because each page looks at a limited number of rows.
 */
export interface OwedPage {
  readonly items: readonly OwedEvent[];
  readonly next: Cursor | undefined;
}

/** How many events of a source, type and outcome are owed. */
export interface OwedCount extends Omit<OwedEvent, "eventId" | "quarantine"> {
  readonly count: number;
}

/** An event as {@link Reader.find} finds it. */
export interface FoundEvent {
  readonly source: string;
  readonly type: string;
  readonly outcome: RecordedOutcome | "failed";
}

/** Why an event's handler failed last. */
export interface FailureCause {
  /** Relative to the inbox folder; null if none ran. */
  readonly handler: string | null;
  readonly code: string;
  readonly error: string;
}

/**
 * Reads that are not part of a delivery. Each call is one short query; none keeps a snapshot. SQLite answers
 * at once, a server after a round trip.
 */
export interface Reader {
  /** Owed events in the order received, at most `limit`. */
  owed(filter: EventFilter, after: Cursor | undefined, limit: number): OwedPage | Promise<OwedPage>;
  /** How many events are owed, by source, type and outcome. A count stops at `cap`. */
  owedByType(cap: number): readonly OwedCount[] | Promise<readonly OwedCount[]>;
  /** What has become of an id: one row for each of these sources that has it. */
  find(eventId: string, sources: readonly string[]): readonly FoundEvent[] | Promise<readonly FoundEvent[]>;
  /** Why an event is owed as failed; undefined if it is not. */
  failure(source: string, eventId: string): FailureCause | undefined | Promise<FailureCause | undefined>;
}

/**
 * A database with hookonce's tables, migrated, and this process its only writer. Nothing in here calls the
 * inbox.
 */
export interface Engine {
  /**
   * Runs the first of these jobs in one transaction, in order, until `workMs` milliseconds of work are done.
   * A job that fails is rolled back alone and recorded as a failure. The engine decides how it repeats a
   * transaction. The tables afterwards are the same. Resolves when the next batch may be committed, which may
   * be before this one is durable.
   *
   * @throws an error that means that this process can no longer trust the database: exit without answering
   */
  commit(jobs: readonly Job[], how: { readonly workMs: number; readonly handlers: Handlers }): Promise<Batch>;
  /** Whether the next batch can be committed while the last one is on its way to the disk. */
  readonly overlaps: boolean;
  /** Opens its own connections on first use. */
  reader(): Promise<Reader>;
  /** Checks a handler against the tables. Returns every problem with its line, if there is one. */
  loadHandler(
    code: HandlerCode,
  ): LoadedHandler | readonly Problem[] | Promise<LoadedHandler | readonly Problem[]>;
  /**
   * Modules that TypeScript handlers may import, beside hookonce's own. Loaded with the first such handler.
   */
  handlerModules(): Promise<Readonly<Record<string, object>>>;
  /**
   * Proves that a delivery can be stored: on the real tables, durably, and with what it needs of the disk.
   * `now` is in Unix milliseconds. An error after which this process can no longer trust the database is also
   * passed to {@link EngineOptions.onFatal}.
   *
   * @throws HookonceError `database_locked`, `disk_full`, `out_of_memory`, `storage_failed`, `database_moved`
   */
  probe(now: number): Health | Promise<Health>;
  /** Makes everything durable and releases the database. No commit may be under way. */
  close(): Promise<void>;
}
