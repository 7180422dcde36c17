import { counted } from "../logging/counted.ts";
import type { TriedAll } from "./try-handlers.ts";
import type { Tried } from "./try-child.ts";

export interface TrialReport {
  /** What probably is a mistake. It is no problem, because a made-up event may lack what a real one has. */
  readonly warnings: readonly string[];
  /** Paths that found nothing. */
  readonly notes: readonly string[];
  /** What each handler did. */
  readonly lines: readonly string[];
}

/** Says what handlers did with made-up events. */
export function reportTrial({ tried, why }: TriedAll): TrialReport {
  const ran = tried.filter(({ why: notTried }) => notTried === undefined);
  const warnings = ran.flatMap(({ file, type, failure }) =>
    failure === undefined ? [] : [`${failure.at ?? file}: failed on ${madeUp(type)}: ${failure.message}`],
  );
  const notes = ran.flatMap(({ file, type, nullPaths = [] }) =>
    nullPaths.map(({ read, meant }) => {
      const remedy = meant === undefined ? "" : `; did you mean ${meant}?`;
      return `${file}: ${read} finds nothing in ${madeUp(type)}${remedy}`;
    }),
  );
  const lines = ran.flatMap(({ file, type, rows }) =>
    rows === undefined ? [] : [`${file} on ${madeUp(type)}: ${changed(rows)}`],
  );
  const notTried = Map.groupBy(
    tried.filter((one): one is Tried & { why: string } => one.why !== undefined),
    (one) => one.why,
  );
  for (const [reason, ofReason] of notTried)
    lines.push(`not tried: ${ofReason.map(({ file }) => file).join(", ")} (${reason})`);
  if (why !== undefined) lines.push(`other handlers were not tried: ${why}`);
  return { warnings, notes, lines };
}

function madeUp(type: string): string {
  return type === "" ? "a made-up event" : `a made-up ${type}`;
}

function changed(rows: number): string {
  return rows === 0 ? "changed no rows" : `changed ${counted(rows, "row")}`;
}
