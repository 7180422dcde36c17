import type { Engine, EngineOptions } from "../../src/engines/engine.ts";
import type { Event, Outcome, Reply } from "../../src/event.ts";

/**
 * What the suite needs from an engine. A second engine writes one file like sqlite.ts and reuses everything
 * else in this folder.
 */
export interface EngineHarness {
  /** The file that exports this object as `harness`, for a child process to import. */
  readonly module: string;
  readonly dialect: Dialect;
  /**
   * Makes a store on real files or a real server, with hookonce's tables and those that the dialect needs.
   */
  create(): Promise<Store>;
  /** The store that another process has made. */
  at(location: string): Store;
}

/** One database. Disposing of it removes it. The suite closes the engines that it opens. */
export interface Store extends AsyncDisposable {
  readonly location: string;
  /**
   * Opens an engine with the policy of src/inbox/decide.ts and the redaction of redacted-sources.ts. The suite never
   * has two of them open on one store.
   */
  open(told?: Pick<EngineOptions, "onRun" | "onPause">): Promise<Engine>;
  /** Reads all tables, on a separate connection. */
  contents(): Promise<Contents>;
  /** Does the work while another connection holds the write lock, as another process would. */
  whileLocked(work: () => Promise<void>): Promise<void>;
}

/**
 * Handlers in the engine's SQL. A handler that writes an effect inserts the event's id, type, source and time
 * of receipt, `$.cents` of the payload (0 if there is none) and the header `x-note` into a table without
 * unique constraints, so that an effect that happens twice is seen.
 */
export interface Dialect {
  readonly sql: {
    /** Writes an effect. */
    readonly writeEffect: string;
    /** Writes an effect. Then a second statement violates a constraint if `$.fail` of the payload is true. */
    readonly credit: string;
    /** Writes an effect. If `$.fail` is true, it also violates a constraint that is checked by COMMIT. */
    readonly failAtCommit: string;
    /**
     * Writes an effect. If `$.fail` is true, it rolls the whole transaction back. Null if no statement can.
     */
    readonly endTransaction: string | null;
    /** Changes no row. */
    readonly changeNothing: string;
    /**
     * Writes an effect and enqueues two messages for "mail", the payload and "second". Then it violates a constraint if
     * `$.fail` is true.
     */
    readonly enqueue: string;
    /** Conditions of a destination: whether `$.cents` is more than 10, and one that fails when it is evaluated. */
    readonly isLarge: string;
    readonly failingCondition: string;
    /** Has a problem on line 1 and another one on line 3. */
    readonly unusable: string;
  };
  /**
   * Writes an effect from a TypeScript handler. Its promise, if it returns one, is awaited by the handler.
   */
  readonly writeEffect: (db: unknown, event: Event) => unknown;
  /** Whether a TypeScript handler may return a promise. */
  readonly asyncHandlers: boolean;
}

/** Everything in a store, in the words of SEMANTICS.md, "Tables". */
export interface Contents {
  /** In the order in which they were written. */
  readonly effects: readonly Effect[];
  /** In the order received. */
  readonly events: readonly RecordedEvent[];
  /** In the order of their first attempt. Settled ones are included. */
  readonly failures: readonly Failure[];
  /** Ordered by event and number. */
  readonly deliveries: readonly KeptDelivery[];
  readonly changedBodies: readonly { readonly eventId: string; readonly body: string }[];
  /** How many bodies are stored. */
  readonly bodies: number;
}

export interface Effect {
  readonly eventId: string;
  readonly type: string;
  readonly source: string;
  readonly receivedAt: number;
  readonly cents: number;
  readonly note: string | null;
}

export interface RecordedEvent {
  readonly source: string;
  readonly eventId: string;
  readonly type: string;
  readonly outcome: Outcome;
  readonly handler: string | null;
  readonly receivedAt: number;
  readonly deliveries: number;
  readonly lastDeliveryAt: number;
  readonly changedBodies: number;
  /** Null for an event without a body. */
  readonly result: StoredResult | null;
}

export interface StoredResult {
  readonly body: Uint8Array;
  readonly headers: unknown;
  readonly rowsChanged: number;
  readonly handlerHash: string | null;
  readonly reply: Reply | null;
}

export interface Failure {
  readonly source: string;
  readonly eventId: string;
  readonly type: string;
  readonly handler: string | null;
  readonly code: string;
  readonly error: string;
  readonly attempts: number;
  readonly deliveries: number;
  readonly firstAt: number;
  readonly lastAt: number;
  /** The latest one, as text. */
  readonly body: string;
  readonly settled: boolean;
  /** Whether hookonce itself runs it again. */
  readonly retried: boolean;
}

export interface KeptDelivery {
  readonly eventId: string;
  readonly number: number;
  readonly at: number;
  readonly outcome: Outcome;
  readonly changedBody: boolean;
}
