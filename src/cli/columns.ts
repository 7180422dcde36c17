import { visible } from "../logging/visible.ts";

/** A column cannot be cut to less than this. */
const MIN_WIDTH = 8;

/** Optional columns are left out before the columns that can be cut become narrower than this. */
const USUAL_WIDTH = 12;

const GAP = "  ";

/** The terminal's width, or undefined, and the current time in Unix milliseconds. */
export interface Display {
  readonly width: number | undefined;
  readonly now: number;
}

interface Layout {
  /** Of the terminal. Undefined if the output goes elsewhere: then nothing is cut or left out. */
  readonly width: number | undefined;
  /** The columns whose cells may be cut. */
  readonly flexible: readonly number[];
  /** The columns that may be left out, the least important first: to make room for ids, or to fit at all. */
  readonly optional?: readonly number[];
  /**
   * The last column has ids. They stay whole, so that they can be copied: an id that has no room is in the
   * next line.
   */
  readonly endsWithId?: boolean;
}

/**
 * Lays out rows in columns. Cells come from outside, so each is one line without control characters.
 *
 * @returns a text for each row. If its id has no room, it has two lines
 */
export function columns(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  layout: Layout,
): string[] {
  const all = [head, ...rows.map((row) => row.map(oneLine))];
  const widths = head.map((_, column) => Math.max(...all.map((row) => Bun.stringWidth(row[column] ?? ""))));
  const idRoom = layout.width === undefined ? Infinity : fit(widths, layout, layout.width, all);
  const id = layout.endsWithId === true ? head.length - 1 : -1;
  const shown = widths.map((width, column) => ({ width, column })).filter(({ width }) => width > 0);
  return all.map((row) => {
    const isBelow = id !== -1 && Bun.stringWidth(row[id] ?? "") > idRoom;
    const line = shown
      .filter(({ column }) => !(isBelow && column === id))
      .map(({ width, column }) => fitted(row[column] ?? "", width))
      .join(GAP)
      .trimEnd();
    return isBelow ? `${line}\n    ${row[id]}` : line;
  });
}

/**
 * Changes the widths so that the columns fit the terminal.
 *
 * @returns the widest id that has room
 */
function fit(
  widths: number[],
  { flexible, optional = [], endsWithId = false }: Layout,
  width: number,
  rows: readonly (readonly string[])[],
): number {
  const id = endsWithId ? widths.length - 1 : -1;
  const usual = widths.map((one, column) =>
    column === id ? 0 : flexible.includes(column) ? Math.min(one, USUAL_WIDTH) : one,
  );
  const roomWithout = (left: readonly number[]): number =>
    width -
    totalOf(usual.map((one, column) => (left.includes(column) ? 0 : one))) -
    (endsWithId ? GAP.length : 0);
  let room = Infinity;
  if (endsWithId) {
    const widest = widths[id] ?? 0;
    const leftOut = optional.map((_, at) => optional.slice(0, at + 1));
    const left = [[], ...leftOut].find((some) => roomWithout(some) >= widest) ?? [];
    for (const column of left) widths[column] = 0;
    room = roomWithout(left);
    const ids = rows.map((row) => Bun.stringWidth(row[id] ?? "")).filter((one) => one <= room);
    widths[id] = Math.max(...ids);
  } else for (const column of optional) if (totalOf(widths) > width) widths[column] = 0;
  // Takes what is too much from the widest columns, so that they end up equally wide.
  for (let excess = totalOf(widths) - width; excess > 0; excess--) {
    const widest = flexible.reduce((a, b) => ((widths[b] ?? 0) > (widths[a] ?? 0) ? b : a), flexible[0] ?? 0);
    if ((widths[widest] ?? 0) <= MIN_WIDTH) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return room;
}

/** With the gaps between the columns that are shown. */
function totalOf(widths: readonly number[]): number {
  const shown = widths.filter((width) => width > 0);
  return shown.reduce((sum, one) => sum + one, 0) + GAP.length * Math.max(0, shown.length - 1);
}

/** Pads a cell, or cuts it. */
function fitted(cell: string, width: number): string {
  const cut = cutMiddle(cell, width);
  return cut + " ".repeat(Math.max(0, width - Bun.stringWidth(cut)));
}

/**
 * Cuts a name in the middle, because names that begin alike often differ at their ends.
 *
 * @param width undefined for no limit
 */
export function cutMiddle(text: string, width: number | undefined): string {
  if (width === undefined || Bun.stringWidth(text) <= width) return text;
  const characters = Array.from(new Intl.Segmenter().segment(text), ({ segment }) => segment);
  const end = taken(characters.toReversed(), Math.floor((width - 1) / 2)).toReversed();
  const begin = taken(characters, width - 1 - Bun.stringWidth(end.join("")));
  return `${begin.join("")}…${end.join("")}`;
}

/** Cuts a text at its end. */
export function cutEnd(text: string, width: number): string {
  if (Bun.stringWidth(text) <= width) return text;
  const characters = Array.from(new Intl.Segmenter().segment(text), ({ segment }) => segment);
  return `${taken(characters, width - 1).join("")}…`;
}

/** The first characters that fit. */
function taken(characters: readonly string[], width: number): string[] {
  let left = width;
  const end = characters.findIndex((one) => (left -= Bun.stringWidth(one)) < 0);
  return characters.slice(0, end === -1 ? characters.length : end);
}

/** Longer cells are cut before they are measured. */
const MAX_CELL = 2000;

/** Text from outside in one line. */
export function oneLine(text: string): string {
  return visible(text.slice(0, MAX_CELL)).replaceAll(/\s*\n\s*/g, " ");
}

/** On a terminal, a longer name in a sentence is cut. */
const MAX_NAME = 40;

/**
 * Shows the name of a source or a type in a sentence.
 *
 * @param width of the terminal; undefined if the output goes elsewhere
 */
export function nameFor(name: string, width: number | undefined): string {
  return cutMiddle(oneLine(name), width === undefined ? undefined : MAX_NAME);
}

/** The width of the terminal; undefined if standard output is something else. */
export function terminalWidth(): number | undefined {
  const { isTTY, columns } = process.stdout;
  return isTTY && columns >= 40 ? columns : undefined;
}
