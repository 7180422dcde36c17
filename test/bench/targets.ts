import type { IdKind } from "./event-ids.ts";
import { ratio, table, type Summaries } from "./report.ts";
import type { StartTimes } from "./start-time.ts";

interface Target {
  readonly title: string;
  /** The bound for each kind of ids. Ids of the kind `seconds` use the bound of `time`. */
  readonly bound: { readonly time: number; readonly random: number };
  readonly reached: (value: number, bound: number) => boolean;
  readonly value: (summaries: Summaries, starts: StartTimes | undefined) => number | undefined;
  readonly show: (value: number) => string;
}

const atLeast = (value: number, bound: number): boolean => value >= bound;
const below = (value: number, bound: number): boolean => value < bound;
const both = (bound: number): Target["bound"] => ({ time: bound, random: bound });
const share = (value: number): string => value.toFixed(2);

const targets: readonly Target[] = [
  {
    title: "of the server without its commit",
    bound: { time: 0.5, random: 0.4 },
    reached: atLeast,
    value: (summaries) => ratio(summaries, "hookonce", "no-commit"),
    show: share,
  },
  {
    title: "of the raw ceiling",
    bound: { time: 0.28, random: 0.2 },
    reached: atLeast,
    value: (summaries) => ratio(summaries, "hookonce", "ceiling"),
    show: share,
  },
  {
    title: "times one transaction per event",
    bound: { time: 6, random: 5 },
    reached: atLeast,
    value: (summaries) => ratio(summaries, "hookonce", "one-per-event"),
    show: (value) => value.toFixed(1),
  },
  {
    title: "with many events stored, of empty",
    bound: { time: 0.85, random: 0.6 },
    reached: atLeast,
    value: (summaries) => ratio(summaries, "stored", "hookonce"),
    show: share,
  },
  {
    title: "p99, ms",
    bound: both(30),
    reached: below,
    value: (summaries) => summaries.get("hookonce")?.p99Ms,
    show: (value) => value.toFixed(1),
  },
  {
    title: "peak memory, MiB",
    bound: both(120),
    reached: below,
    value: (summaries) => {
      const bytes = summaries.get("hookonce")?.peakBytes;
      return bytes && bytes / 1024 / 1024;
    },
    show: (value) => value.toFixed(0),
  },
  {
    title: "ready to serve, ms",
    bound: both(100),
    reached: below,
    value: (_, starts) => starts && Math.max(starts.firstMs, starts.againMs),
    show: (value) => value.toFixed(0),
  },
];

/** Compares the measurements with their targets. */
export function targetTable(results: ReadonlyMap<IdKind, Summaries>, starts: StartTimes | undefined): string {
  const rows = [...results].flatMap(([kind, summaries]) =>
    targets.flatMap(({ title, bound, reached, value, show }) => {
      const got = value(summaries, starts);
      if (got === undefined) return [];
      const wanted = bound[kind === "random" ? "random" : "time"];
      const sign = reached === atLeast ? "≥" : "<";
      return [
        [title, kind, `${sign} ${wanted}`, show(got), reached(got, wanted) ? "reached" : "NOT REACHED"],
      ];
    }),
  );
  return table([["hookonce", "ids", "target", "measured", ""], ...rows]);
}
