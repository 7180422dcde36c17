import type { ChangedRow, ChangedRows, ObservedMessage, RunStatement, ShownValue } from "../engines/trial.ts";
import type { NullPath } from "../handlers/null-paths.ts";
import type { TriedJson } from "../http/admin/try-shapes.ts";
import { counted } from "../logging/counted.ts";
import { visible } from "../logging/visible.ts";
import { wrapped } from "../logging/wrap.ts";
import { columns, oneLine } from "./columns.ts";
import { tookText } from "./moments.ts";

/** What a handler did when it was tried, in lines of at most this width. */
export function tryReport(tried: TriedJson, width: number): string {
  const {
    handler,
    failure,
    why,
    tables,
    messages,
    statements,
    null_paths: paths,
    output,
    rows_changed: rows,
  } = tried;
  const text = (...lines: string[]): string => lines.map((line) => wrapped(visible(line), width)).join("\n");
  const parts = [text(`${handler} on ${eventIn(tried)}`)];
  if (why !== null) return [...parts, text(`Not run: ${why}.`)].join("\n");
  if (failure !== null) {
    const { at, error, code, line } = failure;
    const where = at === null ? "" : `${at}: `;
    parts.push(text(`error: ${where}${error} [${code}]`, ...(line === null ? [] : [`  ${line}`])));
  }
  for (const table of tables) parts.push([text(countsOf(table)), ...rowLines(table, width)].join("\n"));
  // An update to the same values writes a row and changes nothing.
  const unchanged = rows > 0 ? "The rows that it wrote have the values that they had." : "It wrote no row.";
  if (tables.length === 0 && failure === null) parts.push(unchanged);
  if (messages.length > 0) parts.push(messageLines(messages, width).join("\n"));
  if (paths.length > 0) {
    const title = `warning: ${counted(paths.length, "JSON path")} without a value`;
    parts.push(text(title, ...paths.flatMap((path) => pathLines(path))));
  }
  if (statements.length > 0) parts.push(statementLines(statements, width).join("\n"));
  if (output.length > 0)
    parts.push(text("Output", ...output.map(({ level, text: said }) => `  ${level}  ${oneLine(said)}`)));
  parts.push(text(endOf(tried)));
  return parts.join("\n\n");
}

function eventIn({
  from,
  source,
  event_id: id,
  type,
  failure,
  why,
  events_in_body: events,
}: TriedJson): string {
  // If the handler did not begin, the event need not have been read.
  const isRead = type !== "" || (why === null && failure?.code !== "handlers_invalid");
  const named = [
    ...(source === "" ? [] : [`source ${source}`]),
    ...(isRead ? [`type ${type || "(none)"}`] : []),
  ];
  const what = from === "sample" ? "a sample event" : from === "data" ? givenBody(events) : id;
  return named.length === 0 ? what : `${what} (${named.join(", ")})`;
}

const givenBody = (events: number): string =>
  events > 1 ? `the first of ${events} events in the given body` : "the given body";

function endOf({ failure, reply, rows_changed: rows, duration_us: us }: TriedJson): string {
  if (failure !== null) return "It would answer 500. Rolled back.";
  const answer =
    reply === null ? "200, the usual answer" : `${reply.status} ${oneLine(reply.body)}`.trimEnd();
  return `Changed ${counted(rows, "row")} in ${tookText(us)}, and rolled back. It would answer ${answer}.`;
}

function countsOf({ table, inserted, updated, deleted }: ChangedRows): string {
  const counts = [
    ...(inserted > 0 ? [`${inserted} inserted`] : []),
    ...(updated > 0 ? [`${updated} updated`] : []),
    ...(deleted > 0 ? [`${deleted} deleted`] : []),
  ];
  return `${table}: ${counts.join(", ")}`;
}

const MARK = { inserted: "+", updated: "~", deleted: "-" } as const;

/** Narrower columns would show too little of their values. */
const MIN_COLUMN = 10;

function rowLines({ rows, inserted, updated, deleted }: ChangedRows, width: number): string[] {
  const [first] = rows;
  if (first === undefined) return [];
  const names = Object.keys(first.after ?? first.before ?? {});
  const left = inserted + updated + deleted - rows.length;
  const more = left > 0 ? [`  and ${left} more`] : [];
  if (names.length * MIN_COLUMN > width) return [...rows.flatMap((row) => longLines(row, width)), ...more];
  const cells = rows.map((row) => [MARK[row.change], ...names.map((name) => cellOf(row, name))]);
  const flexible = names.map((_, at) => at + 1);
  const table = columns(["", ...names.map(oneLine)], cells, { width: width - 2, flexible });
  return [...table.map((line) => `  ${line}`.trimEnd()), ...more];
}

/** A row of a wide table: one line for each column that matters. */
function longLines(row: ChangedRow, width: number): string[] {
  const all = Object.keys(row.after ?? row.before ?? {});
  const shown =
    row.change === "updated"
      ? all.filter((name, at) => at === 0 || row.changed.includes(name))
      : all.filter((name) => (row.after ?? row.before)?.[name] !== null);
  const cells = shown.map((name) => [oneLine(name), cellOf(row, name)]);
  const lines = columns(["", ""], cells, { width: width - 4, flexible: [1] }).slice(1);
  return lines.map((line, at) => `  ${at === 0 ? MARK[row.change] : " "} ${line}`);
}

function cellOf({ before, after, changed, change }: ChangedRow, name: string): string {
  const was = textOf(before?.[name]);
  const is = textOf(after?.[name]);
  if (change === "updated" && changed.includes(name)) return `${was} → ${is}`;
  return change === "deleted" ? was : is;
}

function textOf(value: ShownValue | undefined): string {
  return value === null || value === undefined ? "NULL" : oneLine(String(value));
}

function messageLines(messages: readonly ObservedMessage[], width: number): string[] {
  const rows = messages.map(({ destination, id, body }) => [
    destination,
    body === null ? "the event itself" : oneLine(body),
    id,
  ]);
  const table = columns(["to", "body", "message id"], rows, { width: width - 2, flexible: [1, 2] });
  return ["It would send", ...table.map((line) => `  ${line}`.trimEnd())];
}

function statementLines(statements: readonly RunStatement[], width: number): string[] {
  const rows = statements.map(({ line, runs, rows: count, us, sql, error }) => [
    line === null ? "" : String(line),
    error === null ? String(count) : "failed",
    us < 1000 ? `${us} µs` : tookText(us),
    `${runs === 1 ? "" : `×${runs} `}${sql.replaceAll(/\s+/g, " ")}`,
  ]);
  return columns(["line", "rows", "time", "statement"], rows, { width, flexible: [3] });
}

function pathLines({ line, read, found, path, meant, elements, rows }: NullPath): string[] {
  const where = line === null ? "" : `line ${line}: `;
  const what = {
    missing: `${path} is not in the JSON`,
    null: `${path} is null in the JSON`,
    not_json: "the payload is not JSON, so each path is NULL",
  }[found];
  const inList = elements === null ? "" : ` of ${elements.null} of ${counted(elements.of, "element")}`;
  const inRows = rows === null ? "" : ` of ${rows.null} of ${counted(rows.of, "row")}`;
  return [
    `  ${where}${oneLine(read)}`,
    `    ${what}${inList}${inRows}${meant === null ? "" : `; did you mean ${meant}?`}`,
  ];
}
