import type { MaybePromise } from "./outbox.ts";

/** A process that uses the same database. */
export interface ServingNode {
  /** The host and the inbox folder. */
  readonly name: string;
  /** Null until it has loaded its folder. */
  readonly version: string | null;
  /** Hashes of the config and of the handlers that it has loaded. */
  readonly config: string | null;
  readonly handlers: string | null;
  /** Unix milliseconds, by the clock of the database server. */
  readonly startedAt: number;
  readonly seenAt: number;
  /** What it was asked last, and what it has answered (entry `ask nodes`). */
  readonly asked: string | null;
  readonly answered: string | null;
  /** How long nothing was heard of it, in milliseconds. */
  readonly silentMs: number;
}

export interface NodeReader {
  /** None for a database that only one process can use. */
  nodes(): MaybePromise<readonly ServingNode[]>;
}
