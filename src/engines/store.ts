import type { Problem } from "../errors.ts";
import type {
  Engine,
  EngineOptions,
  EventSource,
  HandlerCode,
  Handlers,
  Incoming,
  Job,
  LoadedHandler,
  Policy,
} from "./engine.ts";
import type { MaybePromise } from "./outbox.ts";
import type { Reader } from "./reader.ts";
import type { SourceRule } from "./source-rule.ts";
import type { ChangedTable, ObservedRun, RowQuery } from "./trial.ts";

export type { SourceRule } from "./source-rule.ts";

/**
 * How a command reaches an engine: the steps of a start, each usable alone. src/engines/<name>/store.ts
 * implements {@link Store}, and only app/store.ts picks one. A step may be asynchronous. SQLite's steps
 * return at once, except for `lock` and `openForReading`.
 */

/** In bytes. */
export interface DiskUse {
  readonly databaseBytes: number;
  /** The write-ahead log; null if it is the server's. */
  readonly logBytes: number | null;
  /** What its disk has left; null if the system does not say, or if it is the server's. */
  readonly freeBytes: number | null;
}

export interface Migration {
  /** The file's name. Migrations are applied in the order of their names. */
  readonly name: string;
  readonly sql: string;
  /** The path as the user knows it, for messages. */
  readonly file?: string;
}

export interface HandlerDuration {
  readonly source: string;
  readonly handler: string;
  /** The 99th percentile of its duration, in microseconds. */
  readonly slowestUs: number;
}

export interface StartPlan {
  readonly convertToWal: boolean;
  /** Null if some sources could not be created, because they would look as if they were gone. */
  readonly rules: readonly SourceRule[] | null;
  readonly acceptIdChange: boolean;
  /** Sources that may be gone although their events are stored. */
  readonly dropped?: readonly string[] | undefined;
  /** The user's, in order. */
  readonly migrations: readonly Migration[];
  /** Unix milliseconds. */
  readonly now: number;
}

/** A database in memory with the tables that the real one will have after the start. */
export interface Rehearsed extends Pick<Engine, "handlerModules"> {
  /** Whether the database does not exist yet, or is empty. */
  readonly isNew: boolean;
  /** What is worth knowing about the database: where it will be made, and what an answered 200 survives. */
  readonly notes: readonly string[];
  readonly warnings: readonly string[];
  /** The problems for which a start would be refused. */
  readonly problems: readonly Problem[];
  /** The same for sources whose event ids changed; `--accept-id-change` allows them. */
  readonly changedRules: readonly Problem[];
  /** The user's migrations that a start would apply. */
  readonly pending: readonly Migration[];
  readonly durations: readonly HandlerDuration[];
  /** Statements of a handler that can be loaded and are probably a mistake. */
  readonly doubtsOf: (code: HandlerCode) => readonly Problem[];
  readonly loadHandler: (code: HandlerCode) => Promise<LoadedHandler | readonly Problem[]>;
  /** What is wrong with the `where` of a destination; undefined if it can be evaluated. */
  readonly checkWhere: (expression: string) => MaybePromise<string | undefined>;
  close(): void;
}

/** A migrated database, open for this process alone. */
export interface OpenStore {
  /** Gives the database to the engine, which closes it. */
  engine(options: EngineOptions & { readonly onSyncInCommit: (reason: string) => void }): Engine;
  /** For a start that is refused before there is an engine. */
  close(): void;
}

/** The log of what a start does. */
export interface StartLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface ServeLock {
  readonly release: () => void;
  /** Whether another hookonce has begun to wait for this lock. */
  readonly isWanted: () => boolean;
}

/** How to wait for another process to release the database. */
export interface LockOptions {
  /**
   * How long to wait for the other process to end, in milliseconds: at a restart the two overlap for a
   * moment.
   */
  waitMs?: number;
  onWait?: (holder: string) => void;
  /** Ends the wait. */
  signal?: AbortSignal | undefined;
  /** The process is not a `serve`, so that no command looks for its socket. */
  forCommand?: boolean;
}

/** Opens the database only to read it. */
export type ClosableReader = Reader & { close(): void };

/**
 * Where handlers are tried: in the real database, which each run locks until it is rolled back; in a copy; or
 * in a new database in memory, because there is none yet.
 */
export type TrialPlace = "live" | "copy" | "new";

export interface TrialOptions {
  readonly place: TrialPlace;
  /** The file that a copy is written to; it does not exist yet. */
  readonly copy: string;
  /** The user's, in order. */
  readonly migrations: readonly Migration[];
  readonly policy: Policy;
  /** Unix milliseconds. */
  readonly now: number;
  /** What to read before a statement of a handler runs. */
  readonly rowQueries?: ((sql: string) => readonly RowQuery[]) | undefined;
  readonly enqueueProblem?: EngineOptions["enqueueProblem"];
}

export interface CopyOptions {
  /** Hears from time to time how much is copied, of how much, in bytes. */
  readonly onProgress?: ((done: number, bytes: number) => void) | undefined;
  /** The disk of the copy must have room for so many of it. 1 by default. */
  readonly room?: number;
  readonly signal?: AbortSignal;
}

/** What a whole database was found to hold. */
export interface Examined {
  /** Empty if it is intact. */
  readonly problems: readonly string[];
  readonly events: number;
  /** When the newest event was received, in Unix milliseconds; null if there is none. */
  readonly newestAt: number | null;
}

/** An event in the database. */
export interface StoredEvent {
  readonly source: EventSource;
  readonly eventId: string;
}

/** Runs handlers and undoes what they did. */
export interface Trial extends Pick<Engine, "handlerModules"> {
  readonly loadHandler: (code: HandlerCode) => Promise<LoadedHandler | readonly Problem[]>;
  /**
   * Does what a job does, and rolls back.
   *
   * @returns the rows that would change in the user's tables; undefined if another process holds the write lock
   * @throws what the handler throws
   */
  dryRun(
    job: Extract<Job, { kind: "apply" | "replay" }>,
    handlers: Handlers,
  ): MaybePromise<{ readonly tables?: readonly ChangedTable[] } | undefined>;
  /**
   * Runs a handler on an event, as its delivery would, or as an apply or a replay of a stored event would. Rolls
   * back, and says what the handler did.
   *
   * @returns undefined if another process holds the write lock
   */
  observe(event: Incoming | StoredEvent, handler: LoadedHandler): MaybePromise<ObservedRun | undefined>;
}

/** A database, which need not exist yet. */
export interface Store {
  /**
   * Does what a start would do, without changing the database.
   *
   * @param options.durations whether to read how long handlers took and which tables are large, which takes
   *   longer than everything else
   *   here
   * @throws HookonceError `database_unusable`, `database_missing`, `database_locked`, `disk_full`
   */
  rehearse(plan: StartPlan, options: { readonly durations: boolean }): Rehearsed | Promise<Rehearsed>;
  /**
   * Makes this process the only one that serves the database. If a database server allows several, it locks
   * nothing.
   *
   * @throws HookonceError `database_in_use`, `shutting_down`, `disk_full`, `database_unusable`,
   *   `database_missing`
   */
  lock(options: LockOptions): Promise<ServeLock>;
  /**
   * Names the `serve` that has the database.
   *
   * @returns undefined if there is none, or if this system does not tell
   */
  servedBy(): string | undefined;
  /**
   * Opens the database and migrates it. Everything that can be refused is refused before anything is changed.
   *
   * @param options only tests and measurements pass these
   * @throws HookonceError with the code and every problem that prevents a start
   */
  open(
    plan: StartPlan & { readonly rules: readonly SourceRule[] },
    log: StartLog,
    options?: { readonly synchronous?: "FULL" | "NORMAL" },
  ): OpenStore | Promise<OpenStore>;
  /**
   * Opens the database only to read it, while another process may be serving it.
   *
   * @returns undefined if it holds no event yet: it does not exist, or hookonce has never started on it
   * @throws HookonceError `database_older` if a start would change hookonce's own tables first
   */
  openForReading(): Promise<ClosableReader | undefined>;
  /** How much the database takes, and how much its disk has left. */
  diskUse(): DiskUse | Promise<DiskUse>;
  /** Whether a path is that of the database, or of a file that is made beside it. */
  belongsTo(path: string): boolean;
  /**
   * Opens the database to try handlers on. Nothing closes it: the process ends.
   *
   * @returns "copy" if handlers cannot be tried in the real database: a start would migrate it first, or it
   *   is not in WAL mode; or why it cannot be copied
   */
  openTrial(options: TrialOptions): Promise<Trial | "copy" | { readonly why: string }>;
}

/** A database that is a file, so that hookonce itself can back it up. */
export interface FileStore extends Store {
  /**
   * Copies the database with all its tables, while other processes use it.
   *
   * @param path the file of the copy, which does not exist yet
   * @throws HookonceError `disk_full`, `database_locked`, `backup_failed`
   */
  copy(path: string, options?: CopyOptions): Promise<void>;
  /** Reads the whole database, which nothing else uses, and checks that it is intact. */
  examine(): Examined | Promise<Examined>;
}
