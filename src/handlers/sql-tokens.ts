import type { Step } from "./payload-paths.ts";

/** The tokens of SQLite and of PostgreSQL, as far as paths and clauses must be told apart. */
const TOKEN =
  /(?<blank>\s+|--[^\n]*|\/\*[^]*?(?:\*\/|$))|(?<text>'(?:[^']|'')*')|(?<quoted>"(?:[^"]|"")*"?|`(?:[^`]|``)*`?|\[[^\]]*\]?)|(?<cast>::)|(?<parameter>\?\d*|[:@$][\w$\u0080-\uffff]+)|(?<arrow>->>?|#>>?)|(?<number>-?\d+(?![\w.]))|(?<word>[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)|[^]/gy;

export interface Token {
  readonly text: string;
  readonly at: number;
  readonly groups: Readonly<Record<string, string | undefined>>;
}

/** The statements of a text, without blanks and comments. */
export function statementsIn(sql: string): Token[][] {
  const all = Array.from(sql.matchAll(TOKEN), ({ 0: text, index: at, groups = {} }) => ({
    text,
    at,
    groups,
  }));
  const tokens = all.filter(({ groups }) => groups["blank"] === undefined);
  const statements: Token[][] = [[]];
  for (const token of tokens) {
    if (token.text === ";") statements.push([]);
    else statements.at(-1)?.push(token);
  }
  return statements;
}

export const isWord = (token: Token | undefined, word: string): boolean => token?.text.toLowerCase() === word;

/** A name, without its quotation marks. */
export function nameOf(token: Token | undefined): string | undefined {
  if (token?.groups["word"] !== undefined) return token.text;
  return token?.groups["quoted"] === undefined ? undefined : token.text.slice(1, -1);
}

/** The index of each parameter, by its place among the tokens. SQLite counts a name once. */
export function indexesIn(tokens: readonly Token[]): ReadonlyMap<number, number> {
  const names: string[] = [];
  const indexes = new Map<number, number>();
  for (const [at, { text, groups }] of tokens.entries()) {
    if (groups["parameter"] === undefined) continue;
    const number = /^\?(\d+)$/.exec(text)?.[1];
    if (text === "?" || !names.includes(text)) names.push(text);
    const index = text === "?" ? names.length - 1 : names.indexOf(text);
    indexes.set(at, number === undefined ? index : Number(number) - 1);
  }
  return indexes;
}

/** What is in a string literal. `"$.a"` is one, too, since no column has this name. */
function literalOf(token: Token | undefined): string | undefined {
  if (token?.groups["text"] !== undefined) return token.text.slice(1, -1).replaceAll("''", "'");
  return token?.text.startsWith('"$') === true ? token.text.slice(1, -1) : undefined;
}

/** What follows an arrow: an index, a path, or a key. */
export function stepsOfOperand(arrow: string, token: Token | undefined): Step[] | undefined {
  if (arrow.startsWith("#")) return stepsOfArray(literalOf(token) ?? "");
  if (token?.groups["number"] !== undefined) return [Number(token.text)];
  const label = literalOf(token);
  if (label === undefined || label === "") return undefined;
  if (label.startsWith("$")) return stepsOfText(label);
  if (/^\[.+\]$/s.test(label)) return stepsOfText(`$${label}`);
  return label.includes('"') ? undefined : [label];
}

/** `{lines,0,"name"}`: https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO */
function stepsOfArray(text: string): Step[] | undefined {
  if (!/^\{.+\}$/s.test(text)) return undefined;
  const elements = text
    .slice(1, -1)
    .matchAll(/\s*(?:"(?<quoted>(?:[^"\\]|\\.)*)"|(?<bare>[^",{}\\]+?))\s*(?:,|$)/gsy);
  const found = [...elements];
  if (found.reduce((length, [whole]) => length + whole.length, 2) !== text.length) return undefined;
  return found.map(({ groups = {} }) => {
    const { quoted, bare = "" } = groups as Token["groups"];
    if (quoted !== undefined) return quoted.replaceAll(/\\(.)/gs, "$1");
    return /^-?\d+$/.test(bare) ? Number(bare) : bare;
  });
}

export function stepsOfPath(token: Token | undefined): Step[] | undefined {
  const path = literalOf(token);
  return path === undefined ? undefined : stepsOfText(path);
}

/** https://sqlite.org/json1.html#path_arguments */
const STEP = /\.(?:"(?<quoted>(?:[^"\\]|\\.)*)"|(?<key>[^".[][^.[]*))|\[(?:(?<index>\d+)|#-(?<back>\d+))\]/sy;

/** @returns undefined if SQLite refuses the path */
function stepsOfText(path: string): Step[] | undefined {
  if (!path.startsWith("$")) return undefined;
  const steps: Step[] = [];
  STEP.lastIndex = 1;
  while (STEP.lastIndex < path.length) {
    const { quoted, key, index, back } = STEP.exec(path)?.groups ?? {};
    if (quoted !== undefined) steps.push(unescaped(quoted));
    else if (key !== undefined) steps.push(key);
    else if (index !== undefined) steps.push(Number(index));
    else if (back !== undefined && Number(back) > 0) steps.push(-Number(back));
    else return undefined;
  }
  return steps;
}

function unescaped(key: string): string {
  try {
    return JSON.parse(`"${key}"`) as string;
  } catch {
    return key;
  }
}
