import type { Batch, EventSource, Handlers, Job, Result } from "../../src/engines/engine.ts";
import { HookonceError } from "../../src/errors.ts";
import type { LoadedSet } from "../../src/inbox/loaded-set.ts";
import { createQueue, type Queue, type QueueOptions } from "../../src/inbox/queue.ts";

export const source: EventSource = {
  name: "default",
  handlersOf: "default",
  unhandled: "record",
  requireChange: false,
  sameBody: false,
  retryForMs: 0,
  retryWindowMs: 0,
  payloadOf: () => undefined,
  typeOf: () => undefined,
};

const input = { type: "", source: "default", receivedAt: 1, payloadJson: null, headersJson: "{}" };

export function deliver(queue: Queue, id: string): Promise<Result> {
  return observed(
    queue.deliver({ source, batch: undefined, input: { ...input, id, body: new Uint8Array() } }),
  );
}

export function write(queue: Queue, id: string, signal?: AbortSignal): Promise<Result> {
  return observed(queue.write({ kind: "apply", source, eventId: id, at: 1 }, signal));
}

/** A test looks at a refusal when it is ready. */
export function observed(promise: Promise<Result>): Promise<Result> {
  promise.catch(() => {});
  return promise;
}

export function idOf(job: Job): string {
  if (job.kind === "delivery") return job.event.input.id;
  return "eventId" in job ? job.eventId : job.kind;
}

/** Another process holds the write lock. */
export const locked = new HookonceError("database_locked", "locked");

export const noHandlers: Handlers = { for: () => null, files: [] };

export const loaded: LoadedSet = { sources: new Map([["default", source]]), handlers: noHandlers };

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Lets the queue do all that it can do without a timer, however busy the machine is. */
export async function settle(): Promise<void> {
  for (let n = 0; n < 20; n++) await turn();
}

/** A commit that the queue has asked for. */
export interface Commit {
  readonly jobs: readonly Job[];
  /** The ids of the jobs that it was given, and of those that it has begun. */
  readonly asked: readonly string[];
  readonly ids: readonly string[];
  readonly workMs: number;
  readonly handlers: Handlers;
  /** The disk answers. */
  readonly synced: () => void;
  /** The disk fails. */
  readonly failed: (error: unknown) => void;
}

export interface FakeOptions {
  readonly overlaps?: boolean;
  /** How many jobs a commit begins at most. */
  readonly most?: number;
  /** Whether another process holds the write lock at this commit, counted from 0. */
  readonly isLocked?: (commit: number) => boolean;
  /** What commit() waits for, or fails with. */
  readonly during?: (commit: number) => Promise<void> | void;
  /** The outcome of a job, by its id. By default it is processed. */
  readonly outcomes?: Readonly<Record<string, HookonceError>>;
  readonly queue?: Partial<QueueOptions>;
}

/** A queue over a fake engine. Each commit is on the disk when the test says so. */
export interface FakeQueue {
  readonly queue: Queue;
  readonly commits: readonly Commit[];
  /** The errors for which the queue has ended the process. */
  readonly fatal: readonly unknown[];
  /** How many commits are under way. */
  readonly running: () => number;
}

export function fakeQueue(options: FakeOptions = {}): FakeQueue {
  const { overlaps = true, most = Number.POSITIVE_INFINITY, isLocked, during, outcomes = {} } = options;
  const commits: Commit[] = [];
  const fatal: unknown[] = [];
  let running = 0;
  const engine = {
    overlaps,
    async commit(
      jobs: readonly Job[],
      how: { readonly workMs: number; readonly handlers: Handlers },
    ): Promise<Batch> {
      const n = commits.length;
      const blocked = isLocked?.(n) === true ? locked : undefined;
      const asked = jobs.map(idOf);
      const ids = blocked === undefined ? asked.slice(0, most) : [];
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      commits.push({ ...how, jobs, asked, ids, synced: resolve, failed: reject });
      running++;
      try {
        await during?.(n);
      } finally {
        running--;
      }
      const results = ids.map(
        (eventId) => outcomes[eventId] ?? ({ eventId, outcome: "processed" } as Result),
      );
      return { begun: ids.length, blocked, results: promise.then(() => results) };
    },
  };
  const onFatal = (error: unknown): void => void fatal.push(error);
  return {
    queue: createQueue(engine, { loaded: () => loaded, onFatal, ...options.queue }),
    commits,
    fatal,
    running: () => running,
  };
}

/** The states of promises: the id of a result, the code or message of an error, or `waiting`. */
export async function stateOf(promises: readonly Promise<Result>[]): Promise<string[]> {
  await settle();
  return Promise.all(
    promises.map((promise) =>
      Promise.race([
        promise.then(
          ({ eventId }) => eventId,
          (error: unknown) => (error instanceof HookonceError ? error.code : String(error)),
        ),
        // After the microtasks of a promise that is settled already.
        turn().then(() => "waiting"),
      ]),
    ),
  );
}
