/** Commands stay whole, so that they can be copied. */
const COMMAND = /^\s+(?:hookonce|curl|stripe|gh|cloudflared|sqlite3)\b/;

/** How far the lines after the first are indented further. */
const HANG = "  ";

/** Below this, lines are not wrapped: the terminal does not tell its width, or nothing fits. */
const MIN_COLUMNS = 30;

/**
 * Breaks long lines between words.
 *
 * @param columns of the terminal
 * @param taken how many columns of the first line are taken by what precedes the text
 */
export function wrapped(text: string, columns: number, taken = 0): string {
  if (!(columns - taken >= MIN_COLUMNS)) return text;
  const before = "x".repeat(taken);
  return (before + text)
    .split("\n")
    .map((line) => wrappedLine(line, columns))
    .join("\n")
    .slice(taken);
}

function wrappedLine(line: string, columns: number): string {
  if (Bun.stringWidth(line) <= columns || COMMAND.test(line)) return line;
  const [indent = ""] = /^\s*/.exec(line) ?? [];
  const hang = indent.length + HANG.length > columns / 2 ? "" : indent + HANG;
  // The first line is as narrow as the others, which costs a word and saves a second pass.
  const [first = "", ...rest] = Bun.wrapAnsi(line.slice(indent.length), columns - hang.length, {
    hard: false,
    wordWrap: true,
    trim: true,
  }).split("\n");
  return [indent + first, ...rest.map((one) => hang + one)].join("\n");
}
