import type { HookonceError, Problem } from "../errors.ts";
import type { Event, Outcome, Reply } from "../event.ts";
import type { Place } from "../providers/newest.ts";
import type { Redaction } from "../providers/redact.ts";
import type { HandlerOutput } from "./handler-output.ts";
import type { EventSource, HandlerInput, Job, JobResult, Result } from "./job.ts";
import type { Newest, PlacedRun, Verdict } from "./order.ts";
import type { Reader, RecordedFailure, RecordedOutcome } from "./reader.ts";
import type { PausedByItself } from "./source-states.ts";
import type { WatchLimits } from "./watchdog.ts";

/**
 * The interface between the inbox, which decides, and an engine, which stores. All code that knows a database
 * is behind these types: src/engines/<name>/ implements {@link Engine}, and only app/store.ts picks an
 * engine.
 */

export type {
  EventSource,
  HandlerInput,
  Incoming,
  Job,
  ImportedEvent,
  Imported,
  ResultOf,
  ChangedMessage,
  JobResult,
  Result,
} from "./job.ts";
export { MAX_SETTLED } from "./job.ts";

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
   * `storage_failed`, `database_locked`, and what an entry is refused for). Rejects if this process can no
   * longer trust the database.
   */
  readonly results: Promise<readonly (JobResult | HookonceError)[]>;
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
  /** Called with how long each sync of the write-ahead log has taken, in milliseconds. */
  readonly onSync?: ((ms: number) => void) | undefined;
  /** Called after the commit for each run that was slow or wrote output. */
  readonly onRun?: (note: RunNote) => void;
  /** Called after the commit for each source that hookonce has paused by itself. */
  readonly onPause?: (pause: PausedByItself) => void;
  /** After which time a run of a handler ends the process. Undefined: never, and no run is marked. */
  readonly watch?: WatchLimits | undefined;
  /** Called with the reason why runs of handlers are not marked or not watched. */
  readonly onNotWatched?: (reason: string) => void;
  /**
   * Why nothing can be enqueued to a destination. Undefined if it can. By default there is no destination.
   */
  readonly enqueueProblem?: ((destination: string) => HookonceError | undefined) | undefined;
  /** How the values are replaced that a source's `redact` names. Undefined if it names none. */
  readonly redactionOf?: ((source: string) => Redaction | undefined) | undefined;
  /** Called with destinations for which messages have become durable. */
  readonly onMessages?: ((destinations: ReadonlySet<string>) => void) | undefined;
  /** Called when another process that used the same database is gone: the others take over what it did. */
  readonly onNodeGone?: (() => void) | undefined;
  /** Called if the others thought that this process was gone: another one may have taken over what it does. */
  readonly onNodeLost?: (() => void) | undefined;
  /** Called with what another process has asked all others (entry `ask nodes`). Resolves to the answer. */
  readonly onNodeAsked?: ((request: string) => Promise<string>) | undefined;
}

/** What a process tells the others that use the same database. */
export interface Shown {
  readonly version: string;
  /** Hashes of the config and of the handlers that it has loaded. */
  readonly config: string;
  readonly handlers: string;
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

export interface EnqueueOptions {
  /** Unique for the destination: a second message with the same id is not written. Default: made by hookonce. */
  readonly id?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** Writes a message to a destination, in the transaction of the event. */
export type Enqueue = (destination: string, body: unknown, options?: EnqueueOptions) => void;

/** A handler's code, read from the inbox folder and not yet bound to a database. */
export type HandlerCode =
  | { readonly language: "sql"; readonly file: string; readonly hash: string; readonly text: string }
  | {
      readonly language: "ts";
      readonly file: string;
      readonly hash: string;
      /** The user's function. */
      readonly run: (context: { event: Event; db: unknown; enqueue: Enqueue }) => unknown;
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
  /**
   * What to do with an event that is not recorded yet.
   *
   * @param isSentOn whether at least one destination gets it
   */
  decideNew(source: EventSource, type: string, handler: LoadedHandler | null, isSentOn: boolean): NewEvent;
  /** Whether a run may go on, if its event has a place in the order of a key. */
  judge(place: Place, newest: Newest | undefined, run: PlacedRun): Verdict;
  /** Whether a source has destinations, so that its events need no handler. */
  sendsOn(source: EventSource): boolean;
  /** Whether a recorded event must run now. */
  isOwed(source: EventSource, outcome: RecordedOutcome, handler: LoadedHandler | null): boolean;
  /** Whether a failure is not run again with this handler, unless somebody asks for it by its id. */
  isQuarantined(failure: RecordedFailure, handler: LoadedHandler): boolean;
  /** Whether an event may be the one that is recorded under its earlier id, if no stored body shows it. */
  isLikelyRetry(source: EventSource, recorded: RecordedWithoutBody, input: HandlerInput): boolean;
  /** Whether a delivery of an event that has failed is answered 200. */
  acceptsFailure(source: EventSource, failure: FailedDelivery): boolean;
  /** When hookonce itself runs a failure again, in Unix milliseconds; null if it does not. */
  retryAt(source: EventSource, failure: RetriedFailure, now: number): number | null;
  /** Whether a failure counts for `hold_after`. */
  countsForHold(result: Pick<Result, "outcome" | "handler" | "error">): boolean;
  /** How a delivery of a recorded event is answered when nothing runs. */
  repeatedAs(outcome: RecordedOutcome): Outcome;
  /** Throws `no_rows_changed` if the source requires a change and there was none. */
  checkChange(source: EventSource, handler: LoadedHandler, rowsChanged: number): void;
}

/** What is known of a recorded event whose body is not stored. */
export interface RecordedWithoutBody {
  readonly type: string;
  readonly outcome: RecordedOutcome;
  /** Unix milliseconds, of the first delivery. */
  readonly receivedAt: number;
}

/**
 * The longest time that a failure waits for hookonce's own next run, in milliseconds. A time that lies further ahead
 * was set while the clock was wrong.
 */
export const LONGEST_RETRY_MS = 3_600_000;

/** What the answer to a delivery of an event that has failed depends on. */
export interface FailedDelivery {
  readonly code: string;
  /** How many deliveries of the event were answered 500 before this one. */
  readonly failedAnswers: number;
}

/** What the schedule of own retries depends on. */
export interface RetriedFailure {
  readonly code: string;
  /** Unix milliseconds. */
  readonly firstAt: number;
  /** How often hookonce itself has run it again. */
  readonly retries: number;
  /** Whether a delivery of the event was answered 200. */
  readonly isAccepted: boolean;
}

/** The decision about a new event, before anything runs. */
export type NewEvent =
  /** Null if there is no handler: the event is only sent on. */
  | { readonly run: LoadedHandler | null }
  | { readonly record: "unhandled" | "ignored" }
  | { readonly fail: HookonceError };

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
  /** Tells other processes that use the same database what this one has loaded. */
  show(loaded: Shown): void;
  /**
   * Erases what was written beside the tables: the marked run and the log. Returns false if a reader needs the log for
   * longer than some seconds. It is then erased as soon as no reader needs it.
   */
  wipe(): Promise<boolean>;
  /** Makes everything durable and releases the database. No commit may be under way. */
  close(): Promise<void>;
}
