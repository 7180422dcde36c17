import type { TriedAll } from "../app/tries.ts";
import { counted } from "../logging/counted.ts";
import type { NullPath } from "../handlers/null-paths.ts";
import type { TriedJson } from "../http/admin/try-shapes.ts";

export interface TrialReport {
  /** Failures on stored events, which a real event could have as well. */
  readonly problems: readonly string[];
  /** What probably is a mistake. It is no problem, because a made-up event may lack what a real one has. */
  readonly warnings: readonly string[];
  /** Paths that found nothing. */
  readonly notes: readonly string[];
  /** What each handler did. */
  readonly lines: readonly string[];
}

/** Says what handlers did with made-up and with stored events. */
export function reportTrial({ tried, why }: TriedAll): TrialReport {
  const ran = tried.filter((one) => one.why === null);
  const failed = ran.flatMap((one) => {
    const { handler, failure } = one;
    if (failure === null) return [];
    return [{ one, text: `${failure.at ?? handler}: failed on ${eventIn(one)}: ${failure.error}` }];
  });
  const textsOf = (from: "sample" | "stored"): string[] =>
    failed.filter(({ one }) => one.from === from).map(({ text }) => text);
  const notes = ran.flatMap((one) =>
    one.null_paths.map((path) => `${one.handler}: ${path.read} ${foundIn(path, eventIn(one))}`),
  );
  const lines = ran.flatMap((one) =>
    one.failure === null ? [`${one.handler} on ${eventIn(one)}: ${changed(one.rows_changed)}`] : [],
  );
  const notTried = Map.groupBy(
    tried.filter((one) => one.why !== null),
    (one) => one.why ?? "",
  );
  for (const [reason, ofReason] of notTried)
    lines.push(`not tried: ${ofReason.map(({ handler }) => handler).join(", ")} (${reason})`);
  if (why !== undefined) lines.push(`other handlers were not tried: ${why}`);
  return { problems: textsOf("stored"), warnings: textsOf("sample"), notes, lines };
}

/** What a read of JSON found, with the path that was probably meant. */
export function foundIn(
  { found, meant, elements }: Omit<NullPath, "read" | "line" | "path">,
  where: string,
): string {
  const what = found === "missing" ? "finds nothing" : "finds null";
  const inList = elements === null ? "" : ` in ${elements.null} of ${counted(elements.of, "element")}`;
  return `${what}${inList} in ${where}${meant === null ? "" : `; did you mean ${meant}?`}`;
}

function eventIn({ from, event_id: id, type }: TriedJson): string {
  if (from === "stored") return `${id}${type === "" ? "" : ` (${type})`}`;
  return type === "" ? "a made-up event" : `a made-up ${type}`;
}

function changed(rows: number): string {
  return rows === 0 ? "changed no rows" : `changed ${counted(rows, "row")}`;
}
