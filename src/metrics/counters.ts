import { createHistogram, createHistograms, type Histogram, type Histograms } from "./histogram.ts";

/** Counts by two names, such as a source and an outcome. */
export interface Counter {
  readonly add: (first: string, second: string) => void;
  /** 0 if nothing was counted. */
  of(first: string, second: string): number;
  entries(): Iterable<readonly [first: string, second: string, count: number]>;
}

/**
 * What `serve` counts from its start on, as plain numbers: adding one takes some ns. Each is added once its
 * transaction is on the disk, so what is counted is stored.
 */
export interface Counters {
  /** By source and outcome. An event of a batch counts as a delivery. */
  readonly deliveries: Counter;
  /** By source and code. The source is empty if the path names none. */
  readonly refusals: Counter;
  /** By destination, and `delivered`, `failed` or `interrupted`. */
  readonly attempts: Counter;
  /** Runs of handlers that succeeded, by source, in microseconds. */
  readonly handlers: Histograms;
  /** Transactions with deliveries or with jobs, from BEGIN to COMMIT, in milliseconds. */
  readonly commits: Histograms;
  /** Syncs of the write-ahead log, in milliseconds. */
  readonly syncs: Histogram;
  /** How many deliveries were in a transaction. */
  readonly batches: Histogram;
}

/** From 0.2 ms, a sync of a fast disk, to 30 s. */
const WRITE_MS = [0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000];

/** A batch has at most 256 deliveries. */
const BATCH = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/** @param handlerTimesUs the upper bounds of the run times of handlers */
export function createCounters(handlerTimesUs: readonly number[]): Counters {
  return {
    deliveries: createCounter(),
    refusals: createCounter(),
    attempts: createCounter(),
    handlers: createHistograms(handlerTimesUs),
    commits: createHistograms(WRITE_MS),
    syncs: createHistogram(WRITE_MS),
    batches: createHistogram(BATCH),
  };
}

function createCounter(): Counter {
  const counts = new Map<string, Map<string, number>>();
  return {
    add(first, second) {
      let own = counts.get(first);
      if (own === undefined) counts.set(first, (own = new Map<string, number>()));
      own.set(second, (own.get(second) ?? 0) + 1);
    },
    of: (first, second) => counts.get(first)?.get(second) ?? 0,
    *entries() {
      for (const [first, own] of counts) for (const [second, count] of own) yield [first, second, count];
    },
  };
}
