import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Histogram as Counted } from "../../metrics/histogram.ts";

/** Writes metrics as text for Prometheus. Loaded at the first scrape. */

type Labels = Readonly<Record<string, string>>;

export interface Sample<Value> {
  readonly labels: Labels;
  readonly value: Value;
}

/** All samples of one name. Each has the same labels. */
export type Family =
  | {
      readonly type: "counter" | "gauge";
      readonly name: string;
      readonly help: string;
      readonly samples: readonly Sample<number>[];
    }
  | {
      readonly type: "histogram";
      readonly name: string;
      readonly help: string;
      readonly samples: readonly Sample<Counted>[];
      /** How many of what was observed are one of the metric's unit: 1000 for milliseconds. */
      readonly perUnit: number;
    };

export const CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

/** Makes a new registry for each scrape, so a source that is gone leaves no series. */
export function expose(families: readonly Family[]): Promise<string> {
  const registry = new Registry();
  // prom-client would write 0 for one that has no sample and no labels.
  for (const family of families) if (family.samples.length > 0) register(registry, family);
  return registry.metrics();
}

function register(registry: Registry, family: Family): void {
  const { name, help, samples } = family;
  const labelNames = Object.keys(samples[0]?.labels ?? {});
  const config = { name, help, labelNames, registers: [registry] };
  if (family.type === "histogram") {
    void new CountedHistogram(config, family);
  } else if (family.type === "counter") {
    const counter = new Counter(config);
    for (const { labels, value } of family.samples) counter.inc({ ...labels }, value);
  } else {
    const gauge = new Gauge(config);
    for (const { labels, value } of family.samples) gauge.set({ ...labels }, value);
  }
}

/** prom-client's histogram takes only single values, and these are counted already. */
class CountedHistogram extends Histogram {
  readonly #family: Extract<Family, { type: "histogram" }>;

  constructor(
    config: ConstructorParameters<typeof Histogram>[0],
    family: Extract<Family, { type: "histogram" }>,
  ) {
    super(config);
    this.#family = family;
  }

  override get(): ReturnType<Histogram["get"]> {
    const { name, help, samples, perUnit } = this.#family;
    const lineOf = (what: string, labels: Labels, value: number) => ({
      metricName: `${name}_${what}`,
      labels,
      value,
    });
    const values = samples.flatMap(({ labels, value: { bounds, counts, sum } }) => {
      let total = 0;
      const lines = counts.map((count, index) => {
        const bound = bounds[index];
        const le = bound === undefined ? "+Inf" : String(bound / perUnit);
        return lineOf("bucket", { ...labels, le }, (total += count));
      });
      return lines.concat(lineOf("sum", labels, sum / perUnit), lineOf("count", labels, total));
    });
    return Promise.resolve({ name, help, type: "histogram", aggregator: "sum", values }) as never;
  }

  /** The registry asks for this one, which the types do not have. */
  getForPromString(): ReturnType<Histogram["get"]> {
    return this.get();
  }
}
