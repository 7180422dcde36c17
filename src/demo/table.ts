import { styleText } from "node:util";

export interface Row {
  readonly label: string;
  readonly cells: readonly string[];
  /** The colour of each cell, if the terminal has colours. */
  readonly colors?: readonly ("red" | "green" | undefined)[];
}

/** Labels are left-aligned and cells right-aligned, with three spaces between; the head is underlined. */
export function formatTable(head: readonly string[], rows: readonly Row[]): string[] {
  const all = [{ label: "", cells: head }, ...rows];
  const labelWidth = Math.max(...all.map(({ label }) => label.length));
  const widths = head.map((_, column) => Math.max(...all.map(({ cells }) => cells[column]?.length ?? 0)));

  const lines = all.map(({ label, cells, colors }: Row) => {
    const padded = cells.map((cell, column) => {
      const text = cell.padStart(widths[column] ?? 0);
      const color = colors?.[column];
      return color === undefined ? text : styled(color, text);
    });
    return [label.padEnd(labelWidth), ...padded].join("   ");
  });
  const rule = "─".repeat(labelWidth + widths.reduce((sum, width) => sum + 3 + width, 0));
  lines.splice(1, 0, rule);
  return lines;
}

/** Styles a text, but only on a terminal with colours and without NO_COLOR. */
export function styled(style: "bold" | "red" | "green", text: string): string {
  return styleText(style, text, { stream: process.stdout });
}
