import { visible } from "../logging/visible.ts";

/** A column cannot be cut to less than this. */
const MIN_WIDTH = 8;

const GAP = "  ";

/**
 * Lays out rows in columns. Cells come from outside, so each is one line without control characters.
 *
 * @param width of the terminal. Undefined if the output goes elsewhere: then nothing is cut
 * @param flexible the columns that may be cut if there is too little room
 */
export function columns(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  { width, flexible }: { readonly width: number | undefined; readonly flexible: readonly number[] },
): string[] {
  const all = [head, ...rows.map((row) => row.map(oneLine))];
  const widths = head.map((_, column) => Math.max(...all.map((row) => Bun.stringWidth(row[column] ?? ""))));
  if (width !== undefined) shrink(widths, flexible, width);
  return all.map((row) =>
    row
      .map((cell, column) => fitted(cell, widths[column] ?? 0))
      .join(GAP)
      .trimEnd(),
  );
}

/** Takes what is too much from the widest columns, so that they end up equally wide. */
function shrink(widths: number[], flexible: readonly number[], width: number): void {
  let excess = widths.reduce((sum, one) => sum + one, 0) + GAP.length * (widths.length - 1) - width;
  while (excess > 0) {
    const widest = flexible.reduce((a, b) => ((widths[b] ?? 0) > (widths[a] ?? 0) ? b : a), flexible[0] ?? 0);
    if ((widths[widest] ?? 0) <= MIN_WIDTH) return;
    widths[widest] = (widths[widest] ?? 0) - 1;
    excess--;
  }
}

/** Pads a cell, or cuts it. */
function fitted(cell: string, width: number): string {
  const missing = width - Bun.stringWidth(cell);
  if (missing >= 0) return cell + " ".repeat(missing);
  let cut = "";
  let taken = 1;
  for (const { segment } of new Intl.Segmenter().segment(cell)) {
    taken += Bun.stringWidth(segment);
    if (taken > width) break;
    cut += segment;
  }
  return `${cut}…${" ".repeat(Math.max(0, width - Bun.stringWidth(cut) - 1))}`;
}

/** Longer cells are cut before they are measured. */
const MAX_CELL = 2000;

/** Text from outside in one line. */
export function oneLine(text: string): string {
  return visible(text.slice(0, MAX_CELL)).replaceAll(/\s*\n\s*/g, " ");
}

/** The width of the terminal; undefined if standard output is something else. */
export function terminalWidth(): number | undefined {
  const { isTTY, columns } = process.stdout;
  return isTTY && columns >= 40 ? columns : undefined;
}
