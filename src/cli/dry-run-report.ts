import type { JobView } from "../inbox/background-jobs.ts";
import { counted } from "../logging/counted.ts";
import { visible } from "../logging/visible.ts";

/** What a dry run tried, in lines. */
export function triedLines({ tried }: Pick<JobView, "tried">): string[] {
  if (tried === null) return [];
  const { events, failed, tables, why } = tried;
  const lines = tables.map(({ table, inserted, updated, deleted }) => {
    const parts = [
      ...(inserted > 0 ? [`${inserted} inserted`] : []),
      ...(updated > 0 ? [`${updated} updated`] : []),
      ...(deleted > 0 ? [`${deleted} deleted`] : []),
    ];
    return `  ${visible(table)}: ${parts.join(", ")}`;
  });
  if (tables.length === 0 && events > failed) lines.push("  no row of your tables changed");
  if (failed > 0) lines.push(`  ${failed} failed`);
  const begin = events === 0 ? [] : [`Tried ${counted(events, "event")} and rolled back:`, ...lines];
  return [...begin, ...(why === null ? [] : [`Not tried: ${visible(why)}.`])];
}

/** The same as one line of JSON. */
export function triedJson({ tried }: Pick<JobView, "tried">): string[] {
  return tried === null ? [] : [JSON.stringify({ tried })];
}
