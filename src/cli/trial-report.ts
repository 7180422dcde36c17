import type { TriedAll } from "../app/tries.ts";
import type { Problem } from "../errors.ts";
import { counted } from "../logging/counted.ts";
import type { NullPath } from "../handlers/null-paths.ts";
import type { TriedJson } from "../http/admin/try-shapes.ts";

export interface TrialReport {
  /** Failures on stored events, which other real events may have as well. */
  readonly problems: readonly Problem[];
  /** What probably is a mistake. It is no problem, because a made-up event may lack what a real one has. */
  readonly warnings: readonly string[];
  /** Paths that an event does not have, or that are null in it. */
  readonly notes: readonly string[];
  /** What each handler did. */
  readonly lines: readonly string[];
}

/**
 * Says what handlers did with made-up and with stored events.
 *
 * @param compared the handlers of which check says which paths no stored event has
 */
export function reportTrial(
  { tried, why }: TriedAll,
  compared: ReadonlySet<string> = new Set(),
): TrialReport {
  const ran = tried.filter((one) => one.why === null);
  const stored = ran.filter(({ from }) => from === "stored");
  const samples = ran.filter(({ from }) => from === "sample");
  const warnings = samples.flatMap((one) =>
    one.failure === null
      ? []
      : [`${one.failure.at ?? one.handler}: failed on ${eventIn(one)}: ${one.failure.error}`],
  );
  const lines = samples.flatMap((one) =>
    one.failure === null ? [`${one.handler} on ${eventIn(one)}: ${changed(one.rows_changed)}`] : [],
  );
  for (const [handler, all] of Map.groupBy(stored, (one) => one.handler))
    lines.push(`${handler} on its last ${counted(all.length, "stored event")}: ${sumOf(all)}`);
  const notTried = Map.groupBy(
    tried.filter((one) => one.why !== null),
    (one) => one.why ?? "",
  );
  for (const [reason, ofReason] of notTried)
    lines.push(`not tried: ${ofReason.map(({ handler }) => handler).join(", ")} (${reason})`);
  if (why !== undefined) lines.push(`other handlers were not tried: ${why}`);
  const paths = [...pathsOf(samples, compared), ...pathsOf(stored, compared)];
  warnings.push(...paths.filter(({ isMistake }) => isMistake).map(({ text }) => text));
  const notes = paths.filter(({ isMistake }) => !isMistake).map(({ text }) => text);
  return { problems: problemsOf(stored), warnings, notes, lines };
}

/** An event that was applied has left rows, and an insert of the same ones fails, as it should. */
const isThereAlready = ({ applied, failure }: TriedJson): boolean =>
  applied && failure !== null && failure.error.startsWith("UNIQUE constraint failed");

function sumOf(all: readonly TriedJson[]): string {
  const failed = all.filter((one) => one.failure !== null && !isThereAlready(one)).length;
  const there = all.filter(isThereAlready).length;
  return [
    changed(all.reduce((sum, one) => sum + one.rows_changed, 0)),
    ...(there > 0 ? [`${there} had inserted the same rows before`] : []),
    ...(failed > 0 ? [`${failed} failed`] : []),
  ].join(", ");
}

/** A problem for each handler and error, however many events have it. */
function problemsOf(stored: readonly TriedJson[]): Problem[] {
  const failed = stored.filter((one) => one.failure !== null && !isThereAlready(one));
  const groups = Map.groupBy(
    failed,
    ({ handler, failure }) => `${failure?.at ?? handler}: ${failure?.error}`,
  );
  return [...groups.values()].map((all): Problem => {
    const { handler, failure } = all[0] as TriedJson;
    const [, file = handler, line] = /^(.*?):(\d+)/.exec(failure?.at ?? "") ?? [];
    return {
      file,
      line: line === undefined ? undefined : Number(line),
      message: `failed on ${eventsIn(all)}: ${failure?.error}`,
    };
  });
}

interface SaidPath {
  readonly text: string;
  readonly isMistake: boolean;
}

/** Says something of each handler and path. */
function pathsOf(tried: readonly TriedJson[], compared: ReadonlySet<string>): SaidPath[] {
  const runs = Map.groupBy(tried, ({ handler }) => handler);
  const reads = tried.flatMap((one) => one.null_paths.map((path) => ({ handler: one.handler, one, path })));
  const groups = Map.groupBy(reads, ({ handler, path }) => `${handler}: ${path.read} ${path.found}`);
  return [...groups.values()].flatMap((all) => {
    const [first] = all;
    if (first === undefined) return [];
    const { handler, path } = first;
    const events = [...new Set(all.map(({ one }) => one))];
    const line = path.line === null ? "" : `:${path.line}`;
    return {
      text: `${handler}${line}: ${path.read} ${foundIn(path, eventsIn(events))}`,
      // No event has it, and each has a path that is near.
      isMistake:
        path.found === "missing" &&
        path.meant !== null &&
        events.length === runs.get(handler)?.length &&
        !compared.has(handler),
    };
  });
}

function eventsIn([first, ...more]: readonly TriedJson[]): string {
  const one = first === undefined ? "" : eventIn(first);
  return more.length === 0 ? one : `${one} and ${counted(more.length, "more event")}`;
}

/** What a read of JSON found, with the path that was probably meant. */
function foundIn(
  { found, meant, elements, rows }: Omit<NullPath, "read" | "line" | "path">,
  where: string,
): string {
  const what = { missing: "is not", null: "is null", not_json: "is not JSON" }[found];
  const inList = elements === null ? "" : ` in ${elements.null} of ${counted(elements.of, "element")}`;
  const inRows = rows === null ? "" : ` in ${rows.null} of ${counted(rows.of, "row")}`;
  return `${what}${inList}${inRows} ${rows === null ? "in" : "with"} ${where}${meant === null ? "" : `; did you mean ${meant}?`}`;
}

function eventIn({ from, event_id: id, type }: TriedJson): string {
  if (from === "stored") return `${id}${type === "" ? "" : ` (${type})`}`;
  return type === "" ? "a made-up event" : `a made-up ${type}`;
}

function changed(rows: number): string {
  return rows === 0 ? "changed no rows" : `changed ${counted(rows, "row")}`;
}
