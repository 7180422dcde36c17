import { formatDuration } from "../config/duration.ts";
import { formatSize } from "../config/size.ts";
import type { RetentionJson } from "../http/admin/shapes.ts";
import { counted } from "../logging/counted.ts";
import { ago } from "./moments.ts";

/** What is removed, and when. */
export function retentionLine({
  payloads_ms: ms,
  max_bytes: max,
  used_bytes: used,
}: Pick<RetentionJson, "payloads_ms" | "max_bytes" | "used_bytes">): string {
  const limit =
    max === null ? undefined : `if more than ${formatSize(max)} is in use (now ${roundSize(used)})`;
  if (ms !== null) {
    const oldest = limit === undefined ? "" : `, and the oldest ones ${limit}`;
    return `Retention: payloads are removed after ${formatDuration(ms)}${oldest}.`;
  }
  if (limit !== undefined) return `Retention: the oldest payloads are removed ${limit}.`;
  return "Retention: off. Payloads are kept for ever.";
}

/** How many unhandled events were given up. */
export function discardedLines(
  { discarded, last_discarded_at: last }: Pick<RetentionJson, "discarded" | "last_discarded_at">,
  now: number,
): string[] {
  if (discarded === 0) return [];
  const many = counted(discarded, "unhandled event");
  const when =
    last === null ? "" : discarded === 1 ? ` ${ago(last, now)}` : `, the last one ${ago(last, now)}`;
  return [`Retention discarded ${many}${when}. The payloads are gone; ids and types are left.`];
}

/** In the unit that keeps it short. */
export function roundSize(bytes: number): string {
  const unit = bytes >= 10 * 1024 ** 3 ? 1024 ** 3 : bytes >= 10 * 1024 ** 2 ? 1024 ** 2 : 1024;
  return formatSize(Math.round(bytes / unit) * unit);
}
