import type { Design, DesignName } from "./design.ts";
import type { Measurement } from "./measure.ts";

/** Medians of several rounds, because the machines are noisy. */
export interface Summary {
  readonly design: DesignName;
  readonly eventsPerSecond: number;
  /** Events per second of each round. */
  readonly rates: readonly number[];
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuUsPerEvent: number;
  readonly peakBytes: number;
  readonly othersShare: number;
}

export type Summaries = ReadonlyMap<DesignName, Summary>;

export function summarize(measurements: readonly Measurement[]): Summaries {
  const byDesign = Map.groupBy(measurements, ({ design }) => design);
  return new Map(
    [...byDesign].map(([design, rounds]) => {
      const all = (read: (measurement: Measurement) => number): number[] => rounds.map(read);
      const rates = all((round) => round.eventsPerSecond);
      return [
        design,
        {
          design,
          eventsPerSecond: median(rates),
          rates,
          p50Ms: median(all((round) => round.p50Ms)),
          p99Ms: median(all((round) => round.p99Ms)),
          cpuUsPerEvent: median(all((round) => round.cpuUsPerEvent)),
          peakBytes: Math.max(...all((round) => round.peakBytes)),
          othersShare: median(all((round) => round.othersShare)),
        },
      ];
    }),
  );
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/**
 * How many times as fast one design is as another. It is the median of the ratios of each round, because
 * these machines change their speed by up to a half between rounds.
 *
 * @returns undefined if one of them was not measured
 */
export function ratio(summaries: Summaries, of: DesignName, to: DesignName): number | undefined {
  const [a, b] = [summaries.get(of), summaries.get(to)];
  return a && b && median(a.rates.map((rate, round) => rate / (b.rates[round] as number)));
}

export function resultTable(designs: readonly Design[], summaries: Summaries): string {
  const rows = designs.flatMap(({ name, title }) => {
    const summary = summaries.get(name);
    if (summary === undefined) return [];
    return [
      [
        title,
        rounded(summary.eventsPerSecond),
        `${rounded(Math.min(...summary.rates))}–${rounded(Math.max(...summary.rates))}`,
        ratio(summaries, name, "ceiling")?.toFixed(3) ?? "",
        ratio(summaries, name, "no-commit")?.toFixed(3) ?? "",
        summary.p50Ms.toFixed(1),
        summary.p99Ms.toFixed(1),
        summary.cpuUsPerEvent.toFixed(1),
        (summary.peakBytes / 1024 / 1024).toFixed(0),
        (summary.othersShare * 100).toFixed(0),
      ],
    ];
  });
  const head = [
    "",
    "events/s",
    "(range)",
    "of ceiling",
    "of no-commit",
    "p50 ms",
    "p99 ms",
    "CPU µs/event",
    "peak MiB",
    "others %",
  ];
  return table([head, ...rows]);
}

/** The share of the machine's time above which other work affects the numbers. */
const MUCH = 0.1;

/** Lists the reasons not to trust the numbers. */
export function trouble(measurements: readonly Measurement[]): string[] {
  const shares = measurements.map(({ othersShare }) => othersShare);
  const busy = median(shares);
  return [
    ...measurements.flatMap(({ design, problems }) => problems.map((problem) => `! ${design}: ${problem}`)),
    ...(busy > MUCH ? [`! other work took ${(busy * 100).toFixed(0)} % of the machine's time`] : []),
  ];
}

/** Formats a table with the first column aligned left and the others right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? "").length)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => {
          const width = widths[column] as number;
          return column === 0 ? cell.padEnd(width) : cell.padStart(width);
        })
        .join("  "),
    )
    .join("\n");
}

function rounded(value: number): string {
  return Math.round(value).toLocaleString("en");
}
