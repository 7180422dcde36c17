import { HookonceError } from "../errors.ts";

/** Reads a file of events: one id a line, CSV with a header, or one JSON object a line. */

export interface ImportRow {
  readonly id: string | undefined;
  readonly type: string | undefined;
  /** As it is written. */
  readonly time: string | undefined;
}

export interface RowReader {
  /** Whether the first line has only the names of the columns. */
  readonly isHeader: boolean;
  /** @throws HookonceError `invalid_request` */
  readonly read: (line: string) => ImportRow;
}

/** Names of the same column, in the order of preference. */
const NAMES = {
  id: ["event_id", "id"],
  type: ["type", "event_type"],
  time: ["received_at", "time", "created_at", "created"],
} as const;

/** The lines of a file, or of standard input for `-`. */
export async function* linesOf(file: string): AsyncGenerator<string> {
  const stream = file === "-" ? Bun.stdin.stream() : Bun.file(file).stream();
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield line.endsWith("\r") ? line.slice(0, -1) : line;
  }
  if (rest !== "") yield rest;
}

/** Detects the format from the first line. */
export function rowReader(first: string): RowReader {
  if (first.trimStart().startsWith("{")) return { isHeader: false, read: readJson };
  const head = cellsOf(first.replace(/^\uFEFF/, "")).map((name) => name.trim().toLowerCase());
  const columnOf = (names: readonly string[]): number =>
    names.map((name) => head.indexOf(name)).find((at) => at !== -1) ?? -1;
  const id = columnOf(NAMES.id);
  if (id === -1)
    return { isHeader: false, read: (line) => ({ id: line.trim(), type: undefined, time: undefined }) };
  const type = columnOf(NAMES.type);
  const time = columnOf(NAMES.time);
  return {
    isHeader: true,
    read(line) {
      const cells = cellsOf(line);
      if (cells.length !== head.length)
        throw invalid(`The line has ${cells.length} columns, and the header has ${head.length}.`);
      return { id: cells[id], type: cells[type] || undefined, time: cells[time] || undefined };
    },
  };
}

/** RFC 4180, but a cell is on one line: an id has no line breaks. */
function cellsOf(line: string): string[] {
  if (!line.includes('"')) return line.split(",");
  const cells: string[] = [];
  const cell = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y;
  for (let end = false; !end;) {
    const found = cell.exec(line);
    if (found === null) throw invalid("The quotes of the line do not match.");
    const [, quoted, plain = "", comma] = found;
    cells.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    end = comma === "";
  }
  return cells;
}

function readJson(line: string): ImportRow {
  let row: Record<string, unknown>;
  try {
    row = JSON.parse(line, exactly) as Record<string, unknown>;
  } catch {
    throw invalid("The line is not a JSON object.");
  }
  if (typeof row !== "object" || row === null) throw invalid("The line is not a JSON object.");
  const valueOf = (names: readonly string[]): string | undefined => {
    const value = names.map((name) => row[name]).find((one) => one !== undefined && one !== null);
    return typeof value === "string" || value === undefined ? value : JSON.stringify(value);
  };
  return { id: valueOf(NAMES.id), type: valueOf(NAMES.type), time: valueOf(NAMES.time) };
}

/** Ids are compared digit for digit, and a JavaScript number may have lost some. */
function exactly(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  return typeof value === "number" ? (context?.source ?? String(value)) : value;
}

function invalid(message: string): HookonceError {
  return new HookonceError("invalid_request", message);
}
