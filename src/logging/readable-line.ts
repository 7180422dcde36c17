import { counted } from "./counted.ts";
import { visible } from "./visible.ts";
import { whatRuns } from "./what-runs.ts";

/** Formats a log line for a terminal, with the same facts as the JSON line. */
export function readableLine(line: Readonly<Record<string, unknown>>): string {
  const { msg, time: _time, level: _level, ...fields } = line;
  if (msg === "delivery") return delivery(fields);
  if (msg === "source")
    return `${text(fields["url"])}  ${text(fields["provider"])}, ${runs(fields["handlers"], fields["sends_to"])}`;
  // A sentence in a list has no full stop.
  const rest = Object.entries(fields).map(([name, value]) => `${name}: ${text(value).replace(/\.$/, "")}`);
  return rest.length === 0 ? text(msg) : `${text(msg)} (${rest.join(", ")})`;
}

function delivery(fields: Readonly<Record<string, unknown>>): string {
  const {
    outcome,
    source,
    event,
    type,
    handler,
    rows,
    ms,
    code,
    cause,
    detail,
    at,
    next,
    changed_body: changedBody,
  } = fields;
  // The place of an error names the handler's file, and so does the text of some errors.
  const isNamed = at !== undefined || (typeof handler === "string" && text(cause).includes(handler));
  const file = handler === undefined || isNamed ? undefined : handlerOf(text(handler), text(source));
  // A file that is named by the type says it, too.
  const isOfType = file?.replace(/\.(?:sql|ts)$/, "") === type;
  const parts = [
    text(outcome).padEnd(9),
    text(source),
    ...[event, isOfType ? "" : type].filter((part) => part !== undefined && part !== "").map(text),
    ...(file === undefined ? [] : [`→ ${file}`]),
    ...(rows === undefined ? [] : [counted(Number(rows), "row")]),
    ...(changedBody === true ? ["with another body"] : []),
    `${text(ms)} ms`,
    ...(code === undefined ? [] : [`${text(code)}: ${text(cause)}`]),
    ...(detail === undefined ? [] : [text(detail)]),
    ...(at === undefined ? [] : [`at ${text(at)}`]),
    ...(next === undefined ? [] : [text(next)]),
  ];
  return parts.join("  ");
}

/** Without the folders in which the handlers of the source are. */
function handlerOf(file: string, source: string): string {
  const path = file.replace(/^handlers\//, "");
  return path.startsWith(`${source}/`) ? path.slice(source.length + 1) : path;
}

function runs(files: unknown, destinations: unknown): string {
  const handlers = namesIn(files).map((file) => file.replace(/^handlers\//, ""));
  return whatRuns(handlers, namesIn(destinations));
}

const namesIn = (list: unknown): string[] => (Array.isArray(list) ? list.map(text) : []);

function text(value: unknown): string {
  if (typeof value === "string") return visible(value);
  return isList(value) ? value.map(words).join("; ") : visible(JSON.stringify(value) ?? "");
}

/** For example the owed events by source, type and outcome. */
function isList(value: unknown): value is object[] {
  return Array.isArray(value) && value.every((item) => typeof item === "object" && item !== null);
}

function words(fields: object): string {
  return Object.values(fields)
    .map((value) => text(value) || "(none)")
    .join(" ");
}
