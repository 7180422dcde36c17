/**
 * Just enough of SQLite's lexical rules (https://sqlite.org/lang_expr.html, https://sqlite.org/c3ref/complete.html) to tell
 * statements apart, see their first keyword and list their parameters. It never decides what a statement means: SQLite does.
 */

export interface SqlStatement {
  /** Without the closing semicolon and without comments before the first word. */
  readonly text: string;
  /** Of the first word, counted from 1. */
  readonly line: number;
  /** The first word, in upper case; empty when the statement starts with something else. */
  readonly keyword: string;
  /** Each parameter once, as written (`:payload`), in the order in which SQLite numbers them. */
  readonly parameters: readonly string[];
}

const TOKEN =
  /(?<blank>\s+|--[^\n]*|\/\*[^]*?(?:\*\/|$))|(?<quoted>'(?:[^']|'')*'?|"(?:[^"]|"")*"?|`(?:[^`]|``)*`?|\[[^\]]*\]?)|(?<parameter>\?\d*|[:@$][\w$\u0080-\uffff]+)|(?<word>[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)|(?<end>;)|(?<other>[^])/gy;

/** Splits a script into statements. Semicolons inside strings, comments and trigger bodies do not end one. */
export function splitStatements(script: string): SqlStatement[] {
  const statements: SqlStatement[] = [];
  let start = -1;
  let line = 1;
  let startLine = 1;
  let words: string[] = [];
  let parameters: string[] = [];
  // The last two tokens that are neither blank nor comment: a trigger ends with `; END ;`.
  let previous = "";
  let beforePrevious = "";

  const finish = (end: number): void => {
    if (start === -1) return;
    statements.push({
      text: script.slice(start, end).trimEnd(),
      line: startLine,
      keyword: words[0] ?? "",
      parameters,
    });
    start = -1;
    words = [];
    parameters = [];
  };

  for (const match of script.matchAll(TOKEN)) {
    const token = match[0];
    const { blank, parameter, word, end } = match.groups ?? {};
    if (blank === undefined) {
      if (end !== undefined && (!isTrigger(words) || (previous === "END" && beforePrevious === ";"))) {
        finish(match.index);
      } else if (start === -1) {
        start = match.index;
        startLine = line;
      }
      if (word !== undefined && start !== -1 && words.length < 3) words.push(word.toUpperCase());
      if (parameter !== undefined && !(parameters.includes(parameter) && parameter !== "?"))
        parameters.push(parameter);
      beforePrevious = previous;
      previous = token.toUpperCase();
      // A statement that starts with no word (a number, a bracket) has no keyword, whatever comes later.
      if (word === undefined && words.length === 0 && start !== -1) words.push("");
    }
    line += token.split("\n").length - 1;
  }
  finish(script.length);
  return statements;
}

function isTrigger(words: readonly string[]): boolean {
  return (
    words[0] === "CREATE" &&
    (words[1] === "TRIGGER" || ((words[1] === "TEMP" || words[1] === "TEMPORARY") && words[2] === "TRIGGER"))
  );
}
