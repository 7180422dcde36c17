/** How many values were up to each bound. */
export interface Histogram {
  readonly observe: (value: number) => void;
  /** The upper bounds, in ascending order. */
  readonly bounds: readonly number[];
  /** One for each bound, and one for what is above the last. Each value is counted once. */
  readonly counts: readonly number[];
  readonly sum: number;
}

/** Histograms with the same bounds, by a name such as a source's. */
export interface Histograms {
  readonly observe: (name: string, value: number) => void;
  readonly bounds: readonly number[];
  /** Empty if nothing was observed under this name. */
  of(name: string): Histogram;
}

export function createHistogram(bounds: readonly number[]): Histogram {
  const counts = [...bounds, Infinity].map(() => 0);
  let sum = 0;
  return {
    observe(value) {
      let index = 0;
      while (index < bounds.length && value > (bounds[index] as number)) index++;
      counts[index] = (counts[index] as number) + 1;
      sum += value;
    },
    bounds,
    counts,
    get sum() {
      return sum;
    },
  };
}

export function createHistograms(bounds: readonly number[]): Histograms {
  const all = new Map<string, Histogram>();
  return {
    observe(name, value) {
      let own = all.get(name);
      if (own === undefined) all.set(name, (own = createHistogram(bounds)));
      own.observe(value);
    },
    bounds,
    of: (name) => all.get(name) ?? createHistogram(bounds),
  };
}
