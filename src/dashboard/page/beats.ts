import type { RollupJson } from "../../http/admin/shapes.ts";
import { count } from "./words.ts";

/** One minute of a source. */
export interface Beat {
  readonly worst: "none" | "good" | "owed" | "bad";
  readonly title: string;
}

const MINUTE = 60_000;

/** The last 60 minutes, the oldest first. */
export function beatsOf(rollups: readonly RollupJson[], source: string, now: number): readonly Beat[] {
  const byMinute = new Map(rollups.filter((one) => one.source === source).map((one) => [one.at, one]));
  const last = Math.floor(now / MINUTE) * MINUTE;
  return Array.from({ length: 60 }, (_, index) => {
    const at = last - (59 - index) * MINUTE;
    const time = new Date(at).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
    const one = byMinute.get(at);
    return one === undefined ? { worst: "none", title: `${time}: nothing` } : beatOf(one, time);
  });
}

function beatOf(one: RollupJson, time: string): Beat {
  const parts = (
    ["processed", "duplicate", "ignored", "stale", "held", "unhandled", "failed", "refused"] as const
  )
    .filter((key) => one[key] > 0)
    .map((key) => `${count(one[key])} ${key}`);
  const worst =
    one.failed + one.refused > 0
      ? "bad"
      : one.unhandled + one.held > 0
        ? "owed"
        : parts.length > 0
          ? "good"
          : "none";
  return { worst, title: `${time}: ${parts.length === 0 ? "nothing" : parts.join(", ")}` };
}
