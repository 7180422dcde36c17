/**
 * Implements PostgreSQL's lexical rules, as far as they are needed to split a script into statements and to find the
 * parameters of each: https://www.postgresql.org/docs/current/sql-syntax-lexical.html. A test compares it with
 * PostgreSQL's own scanner. It never decides what a statement means. The server does that.
 */

export type TokenKind = "blank" | "string" | "word" | "quoted" | "parameter" | "number" | "other";

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  /** Where it begins in the script. */
  readonly at: number;
}

export interface SqlStatement {
  /** The statement without its closing semicolon and without comments before its first token. */
  readonly text: string;
  /** The line of the first token, counted from 1. */
  readonly line: number;
  /** From the first token on. Their `at` is their place in `text`. */
  readonly tokens: readonly Token[];
}

const LETTER = String.raw`[A-Za-z_\u0080-\uffff]`;
const NAME = String.raw`${LETTER}[\w$\u0080-\uffff]*`;
const DIGITS = String.raw`\d(?:_?\d)*`;
const SPACE = String.raw`[ \t\n\r\f\v]`;
const COMMENT = String.raw`--[^\n\r]*`;

/** A literal goes on behind a line break, as in `'a'⏎'b'`, with the same rules for its escapes. */
const CONTINUED = String.raw`(?:[ \t\f\v]|${COMMENT})*[\n\r](?:${SPACE}+|${COMMENT}[\n\r])*`;
const literal = (prefix: string, text: string): string => `${prefix}${text}(?:${CONTINUED}${text})*`;

/** The first rule that matches is taken, so a prefix such as `E` belongs to the literal behind it. */
const RULES = (
  [
    ["blank", `${SPACE}+|${COMMENT}`],
    ["string", literal("[eE]", String.raw`'(?:[^'\\]|\\[^]|'')*'`)],
    ["string", literal("[bBxX]", "'[^']*'")],
    ["string", literal("(?:[uU]&)?", "'(?:[^']|'')*'")],
    ["string", String.raw`(?<tag>\$(?:${LETTER}[\w\u0080-\uffff]*)?\$)[^]*?\k<tag>`],
    ["quoted", String.raw`(?:[uU]&)?"(?:[^"]|"")*"`],
    ["word", NAME],
    ["other", String.raw`::|:=|\.\.`],
    ["parameter", String.raw`:(?![bBeExX]'|[uU]&['"])${NAME}|\$\d+`],
    ["number", String.raw`0[xX](?:_?[\dA-Fa-f])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+`],
    ["number", String.raw`(?:${DIGITS}(?:\.(?!\.)(?:${DIGITS})?)?|\.${DIGITS})(?:[eE][-+]?${DIGITS})?`],
    // A literal without an end takes the rest, and the server refuses it.
    ["other", `['"][^]*|[^]`],
  ] as const
).map(([kind, rule]) => ({ kind, rule: new RegExp(rule, "y") }));

export function* tokensOf(script: string): Generator<Token> {
  for (let at = 0; at < script.length;) {
    const token = script.startsWith("/*", at) ? commentAt(script, at) : tokenAt(script, at);
    yield token;
    at += token.text.length;
  }
}

function tokenAt(script: string, at: number): Token {
  for (const { kind, rule } of RULES) {
    rule.lastIndex = at;
    const text = rule.exec(script)?.[0];
    if (text !== undefined) return { kind, text, at };
  }
  throw new Error("The last rule matches every character.");
}

/** Comments may contain comments. */
function commentAt(script: string, at: number): Token {
  const edge = /\/\*|\*\//g;
  edge.lastIndex = at;
  let depth = 0;
  for (let found = edge.exec(script); found !== null; found = edge.exec(script)) {
    depth += found[0] === "/*" ? 1 : -1;
    if (depth === 0) return { kind: "blank", text: script.slice(at, edge.lastIndex), at };
  }
  return { kind: "other", text: script.slice(at), at };
}

/** Splits a script into statements. A semicolon in parentheses or in the body of a function does not end one. */
export function splitStatements(script: string): SqlStatement[] {
  const statements: SqlStatement[] = [];
  let tokens: Token[] = [];
  let parentheses = 0;
  let blocks = 0;
  let line = 1;
  let startLine = 1;

  const finish = (): void => {
    const first = tokens[0];
    if (first === undefined) return;
    const last = tokens.findLast(({ kind }) => kind !== "blank") as Token;
    const own = tokens.slice(0, tokens.indexOf(last) + 1);
    statements.push({
      text: script.slice(first.at, last.at + last.text.length),
      line: startLine,
      tokens: own.map(({ kind, text, at }) => ({ kind, text, at: at - first.at })),
    });
    tokens = [];
  };

  for (const token of tokensOf(script)) {
    const { kind, text } = token;
    if (tokens.length === 0) startLine = line;
    line += text.split("\n").length - 1;
    if (text === ";" && parentheses === 0 && blocks === 0) finish();
    else if (kind !== "blank" || tokens.length > 0) tokens.push(token);
    if (text === "(") parentheses++;
    else if (text === ")") parentheses = Math.max(0, parentheses - 1);
    else if (kind === "word" && isRoutine(tokens)) blocks = Math.max(0, blocks + blockOf(text, blocks));
  }
  finish();
  return statements;
}

/** `begin atomic … end` is the body of a function or a procedure, with semicolons in it. */
function isRoutine(tokens: readonly Token[]): boolean {
  const first: Token[] = [];
  for (const token of tokens) {
    if (token.kind !== "blank") first.push(token);
    if (first.length === 4) break;
  }
  const [create, ...rest] = first;
  if (!isWord(create, "create")) return false;
  const what = isWord(rest[0], "or") ? rest[2] : rest[0];
  return isWord(what, "function") || isWord(what, "procedure");
}

function blockOf(word: string, open: number): number {
  if (/^begin$/i.test(word) || (open > 0 && /^case$/i.test(word))) return 1;
  return open > 0 && /^end$/i.test(word) ? -1 : 0;
}

/** @param word in lower case */
export function isWord(token: Token | undefined, word: string): boolean {
  return token?.kind === "word" && token.text.toLowerCase() === word;
}

/** The tokens that mean something. */
export function meaningful(tokens: readonly Token[]): Token[] {
  return tokens.filter(({ kind }) => kind !== "blank");
}

/** The line of a place in a statement, in the file. */
export function lineAt({ line, text }: Pick<SqlStatement, "line" | "text">, at: number): number {
  return line + text.slice(0, at).split("\n").length - 1;
}
