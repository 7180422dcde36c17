/** Commands stay whole, so that they can be copied. */
const COMMAND = /^\s+(?:hookonce|curl|stripe|gh|cloudflared|sqlite3)(?= |$)/;

/** The last sentence of a text, and what is before it. */
const LAST_SENTENCE = /^(.*[.!?]) ([^.!?]+: hookonce .*)$/;

/** A text that ends with the command to run. */
const ENDS_WITH_COMMAND = /^(.*:) (hookonce [a-z]+(?: (?!.*[.;,] )(?:.*[^.])?)?)$/;

/** A command, and what is said about it behind it. */
const COMMENT = /^(.*?\S) {3,}([(#].*)$/;

/** How far the lines after the first are indented further. */
const HANG = "  ";

/** A mark, the number of a step, or a label with the column of its text: later lines begin at the text. */
const BEFORE_TEXT = /^(?:! |\s*\d+\. +|\s+\S(?: ?\S)* {2,})(?=\S)/;

/** A wider label is not a column. */
const MAX_LABEL = 24;

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
  if (Bun.stringWidth(line) <= columns) return line;
  if (COMMAND.test(line)) return commandLines(line, columns);
  const [indent = ""] = /^\s*/.exec(line) ?? [];
  const [, said, command] = ENDS_WITH_COMMAND.exec(line) ?? [];
  if (said !== undefined && command !== undefined) {
    const [, before, sentence = ""] = LAST_SENTENCE.exec(line) ?? [];
    // A short command stays in its sentence.
    if (before !== undefined && indent.length + HANG.length + Bun.stringWidth(sentence) <= columns)
      return `${wrappedLine(before, columns)}\n${indent}${HANG}${sentence}`;
    return `${wrappedLine(said, columns)}\n${indent}${HANG}${command}`;
  }
  const [label = ""] = BEFORE_TEXT.exec(line) ?? [];
  const isLabelled = label !== "" && label.length <= Math.min(MAX_LABEL, columns / 2);
  const first = isLabelled ? label : indent;
  const further = indent.length + HANG.length > columns / 2 ? "" : indent + HANG;
  const hang = isLabelled ? " ".repeat(label.length) : further;
  // The first line is as narrow as the others, which costs a word and saves a second pass.
  const [begin = "", ...rest] = Bun.wrapAnsi(line.slice(first.length), columns - hang.length, {
    hard: false,
    wordWrap: true,
    trim: true,
  }).split("\n");
  return [first + begin, ...rest.map((one) => hang + one)].join("\n");
}

/** The comment goes to the next line. */
function commandLines(line: string, columns: number): string {
  const [, command = line, comment] = COMMENT.exec(line) ?? [];
  if (comment === undefined) return line;
  const [indent = ""] = /^\s*/.exec(line) ?? [];
  return `${command}\n${wrappedLine(indent + HANG + comment, columns)}`;
}
