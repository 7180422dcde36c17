import { HookonceError } from "../errors.ts";
import { NumberLiteral, parseWithExactNumbers } from "../providers/body/exact-numbers.ts";
import { columnsOf, quoted, type Columns } from "./import-columns.ts";

/** Reads the lines of a file of events: one id a line, CSV with a header, or one JSON object a line. */

export interface ImportRow {
  /** Where it begins, counted from 1. */
  readonly line: number;
  /** Text, if it is an id. */
  readonly id: unknown;
  readonly type: unknown;
  /** As it is written. */
  readonly time: string | undefined;
}

export interface RowReader {
  /**
   * @returns undefined if the line is empty, the header, or part of a row that is not complete
   * @throws HookonceError `invalid_request` for a line that is refused, `file_unreadable` if the rest cannot be
   *   read either
   */
  push(line: string): ImportRow | undefined;
  /** The number of the line that was read last. */
  readonly line: number;
  /** @throws HookonceError `file_unreadable` if a row is not complete, or if nothing was read */
  end(): void;
}

/**
 * The first line decides how the others are read. A header may always be there. It must be there if there are
 * several columns, or if the first line has no digit: almost every id has one, and almost no name of a column.
 */
export function createRowReader(): RowReader {
  let number = 0;
  let delimiter: string | undefined;
  let format: Format | undefined;
  /** The lines of a row with a line break in a quoted cell. */
  let open: { readonly line: number; text: string } | undefined;

  function begin(line: string): ImportRow | undefined {
    // Excel writes it for itself.
    const separator = /^"?sep=(.)"?$/i.exec(line)?.[1];
    if (separator !== undefined && delimiter === undefined) {
      delimiter = separator;
      return undefined;
    }
    const { read, row } = formatOf(line, delimiter, number);
    format = read;
    return row;
  }

  return {
    get line() {
      return number;
    },
    push(line) {
      number++;
      if (open === undefined && line.trim() === "") return undefined;
      if (format === undefined) return begin(line);
      const { row } = format;
      if (row === undefined) return format.read(line, number);
      // Many exports do not quote: a cell that begins with a quotation mark would swallow the rows below it.
      if (open !== undefined && row.isWhole(line))
        throw unreadable(
          `Line ${open.line} opens a quotation mark, but line ${number} is a new row and the mark is not closed. Export only event_id, type and received_at, or quote each cell.`,
        );
      const { line: from, text } = open === undefined ? { line: number, text: line } : open;
      const whole = open === undefined ? text : `${text}\n${line}`;
      if ((open === undefined || line.includes('"')) && !row.isOpen(whole)) {
        open = undefined;
        return format.read(whole, from);
      }
      if (whole.length > MAX_ROW) throw unreadable(`The quotation mark in line ${from} is not closed.`);
      open = { line: from, text: whole };
      return undefined;
    },
    end() {
      if (open !== undefined) throw unreadable(`The quotation mark in line ${open.line} is not closed.`);
      if (number === 0) throw unreadable("The file is empty. Check whether the export failed.");
      if (format === undefined) throw unreadable("The file has only empty lines.");
    },
  };
}

/** The longest row of CSV, in characters. */
const MAX_ROW = 16 * 1024 * 1024;

interface Format {
  /** Of CSV: whether a line looks like a row by itself, and whether a text ends within a quoted cell. */
  readonly row?: { isWhole(line: string): boolean; isOpen(text: string): boolean };
  readonly read: (text: string, line: number) => ImportRow;
}

const HEADER = "Begin the file with a header such as event_id,type,received_at";

function formatOf(
  first: string,
  delimiter: string | undefined,
  line: number,
): { read: Format; row: ImportRow | undefined } {
  const text = first.trim();
  if (text.startsWith("{")) {
    const read = json();
    return { read, row: onlyIf(line, () => read.read(text, line)) };
  }
  if (text.startsWith("["))
    throw unreadable(
      `Line ${line} begins a JSON array. Write one object per line, as jq -c '.[]' FILE does.`,
    );
  const header = headerOf(first, delimiter, line);
  if (header !== undefined) return { read: csv(header), row: undefined };

  const id = onlyIf(line, () => cellsOf(text, "\t")).join("\t");
  if (isSeveral(text))
    throw unreadable(
      `Line ${line} has several columns, and none of them is called event_id: "${shortened(text)}". ${HEADER}.`,
    );
  if (!/\d/.test(id))
    throw unreadable(
      `Line ${line} is "${shortened(id)}". If that is the name of a column, call it event_id. If it is an id, write event_id in a line before it.`,
    );
  return { read: { read: readId }, row: onlyIf(line, () => readId(text, line)) };
}

/** An error in the first line refuses the whole file. */
function onlyIf<T>(line: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof HookonceError ? unreadable(`Line ${line}: ${error.message}`) : error;
  }
}

interface Header {
  readonly names: readonly string[];
  readonly delimiter: string;
  readonly columns: Columns;
  readonly line: number;
}

const DELIMITERS = [",", ";", "\t", "|"];

/** Picks the delimiter that gives the header the most columns. */
function headerOf(first: string, delimiter: string | undefined, line: number): Header | undefined {
  let found: Header | undefined;
  for (const one of delimiter === undefined ? DELIMITERS : [delimiter]) {
    let names: string[];
    try {
      names = cellsOf(first, one);
    } catch {
      continue;
    }
    if (names.length <= (found?.names.length ?? 0)) continue;
    const columns = columnsOf(names);
    if (columns !== undefined) found = { names, delimiter: one, columns, line };
  }
  return found;
}

function csv({ names, delimiter, columns, line: headerLine }: Header): Format {
  const { id, type, time } = columns;
  return {
    row: {
      isWhole(line) {
        if (isOpen(line, delimiter)) return false;
        const cells = cellsIfAny(line, delimiter);
        return cells.length === names.length && /^[\w.:/@+=-]*\d[\w.:/@+=-]*$/.test(cells[id] ?? "");
      },
      isOpen: (text) => isOpen(text, delimiter),
    },
    read(text, line) {
      // Below the header, psql and other clients draw a line.
      if (line === headerLine + 1 && /^[-+=|:\s]+$/.test(text))
        throw unreadable(
          `Line ${line} is part of a formatted table. Export CSV: psql --csv, sqlite3 -csv -header or mysql --batch.`,
        );
      const cells = cellsOf(text, delimiter);
      if (cells.length !== names.length)
        throw invalid(`The line has ${cells.length} columns, but the header has ${names.length}.`);
      return {
        line,
        id: plausible(cells[id] as string),
        type: type === undefined ? undefined : cells[type] || undefined,
        time: time === undefined ? undefined : cells[time] || undefined,
      };
    },
  };
}

function readId(given: string, line: number): ImportRow {
  const text = given.trim();
  if (isSeveral(text))
    throw invalid(
      "The line has several columns, but the first line has one. If the line is an id, use CSV: write event_id in the first line, and put the id in quotation marks.",
    );
  return { line, id: plausible(cellsOf(text, "\t").join("\t")), type: undefined, time: undefined };
}

/** An id in quotation marks is one column whatever it contains. */
const isSeveral = (text: string): boolean => /^(?!"(?:[^"]|"")*"$).*[\s,;|]/.test(text);

/** RFC 4180, without the spaces around cells that are not quoted. */
function cellsOf(text: string, delimiter: string): string[] {
  if (!text.includes('"')) return text.split(delimiter).map((cell) => cell.trim());
  const cells: string[] = [];
  const cell = cellPattern(delimiter);
  for (let end = false; !end;) {
    const found = cell.exec(text);
    if (found === null) throw invalid("The quotation marks of the line do not match.");
    const [, quotedText, plain = "", next] = found;
    cells.push(quotedText === undefined ? plain.trim() : quotedText.replaceAll('""', '"'));
    end = next === "";
  }
  return cells;
}

/** A quotation mark within a cell that does not begin with one is text. */
function cellPattern(delimiter: string): RegExp {
  const end = delimiter === "|" ? "\\|" : delimiter;
  return new RegExp(` *(?:"((?:[^"]|"")*)" *|((?! *")[^${end}]*))(${end}|$)`, "y");
}

/** Whether a cell begins with a quotation mark and is not closed. */
function isOpen(text: string, delimiter: string): boolean {
  if (!text.includes('"')) return false;
  const cell = cellPattern(delimiter);
  for (let at = 0; ; at = cell.lastIndex) {
    const found = cell.exec(text);
    if (found === null) return /^ *"(?:[^"]|"")*$/.test(text.slice(at));
    if (found[3] === "") return false;
  }
}

/** None if its quotation marks do not match. */
function cellsIfAny(text: string, delimiter: string): string[] {
  try {
    return cellsOf(text, delimiter);
  } catch {
    return [];
  }
}

/** What exports and spreadsheets write in place of an id. */
const NO_ID: readonly (readonly [RegExp, string])[] = [
  [/^\(\d+ rows?(?: affected)?\)$/, "is the count that a database client adds. Export CSV without it."],
  [/^\d(?:[.,]\d+)?E[+-]?\d+$/i, "is a number that a spreadsheet has rounded. Export the ids without it."],
  [/^'.*'$/, "is in single quotes. Write the id without them."],
  [/^(?:null|\\N|undefined|none)$/i, "is not an id. Export only rows that have one."],
];

function plausible(id: string): string {
  const found = /^[\d'(\\nu]/i.test(id) ? NO_ID.find(([pattern]) => pattern.test(id)) : undefined;
  if (found !== undefined) throw invalid(`"${shortened(id)}" ${found[1]}`);
  return id;
}

function json(): Format {
  // Most objects have the same keys as the one before.
  let last: { readonly keys: string; readonly columns: Columns } | undefined;

  function columnsIn(keys: readonly string[], row: Record<string, unknown>): Columns {
    const all = keys.join("\n");
    if (last?.keys === all) return last.columns;
    const columns = columnsOf(keys);
    if (columns === undefined)
      throw invalid(
        `The object has no event_id. ${keys.length === 0 ? "It is empty." : `Its keys are ${quoted(keys)}.`}${
          Array.isArray(row["data"]) ? " Write one event per line, as jq -c '.data[]' FILE does." : ""
        }`,
      );
    last = { keys: all, columns };
    return columns;
  }

  return {
    read(text, line) {
      const row = objectOf(text);
      const keys = Object.keys(row).filter((key) => row[key] !== null);
      const columns = columnsIn(keys, row);
      const valueOf = (at: number | undefined): unknown =>
        at === undefined ? undefined : row[keys[at] ?? ""];
      const time = valueOf(columns.time);
      const id = valueOf(columns.id);
      return {
        line,
        id: typeof id === "number" ? digitsOf(text, keys[columns.id] ?? "") : id,
        type: valueOf(columns.type),
        time: typeof time === "string" || time === undefined ? time : JSON.stringify(time),
      };
    },
  };
}

function objectOf(text: string): Record<string, unknown> {
  let row: unknown;
  try {
    row = JSON.parse(text);
  } catch {
    throw invalid("The line is not a complete JSON object. Write one object per line, as jq -c . FILE does.");
  }
  if (typeof row !== "object" || row === null || Array.isArray(row))
    throw invalid("The line is not a JSON object.");
  return row as Record<string, unknown>;
}

/** Ids are compared digit for digit, and a JavaScript number may have lost some. */
function digitsOf(text: string, key: string): unknown {
  const id = (parseWithExactNumbers(text) as Record<string, unknown>)[key];
  return typeof id === "number" ? new NumberLiteral(String(id)) : id;
}

const shortened = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}…` : text);

function invalid(message: string): HookonceError {
  return new HookonceError("invalid_request", message);
}

function unreadable(message: string): HookonceError {
  return new HookonceError("file_unreadable", message);
}
