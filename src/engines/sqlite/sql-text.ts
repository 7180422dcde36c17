/**
 * Implements just enough of SQLite's lexical rules to split a script into statements and to find the first
 * keyword and the parameters of each: https://sqlite.org/lang_expr.html,
 * https://sqlite.org/c3ref/complete.html. It never decides what a statement means. SQLite does that.
 */

export interface SqlStatement {
  /** The statement without its closing semicolon and without comments before its first word. */
  readonly text: string;
  /** The line of the first word, counted from 1. */
  readonly line: number;
  /** The first word in upper case. Empty if the statement does not start with a word. */
  readonly keyword: string;
  /** Each parameter once, as written (`:payload`), in the order SQLite numbers them. */
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
  // The last two tokens other than whitespace and comments, because a trigger ends with `; END ;`.
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
      // A statement that starts with a number or a bracket has no keyword, even if words follow.
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
