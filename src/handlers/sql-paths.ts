import { EACH, type Step } from "./payload-paths.ts";
import {
  indexesIn,
  isWord,
  nameOf,
  statementsIn,
  stepsOfOperand,
  stepsOfPath,
  type Token,
} from "./sql-tokens.ts";

/** A literal JSON path in a SQL handler. */
export interface PathRead extends Omit<JsonRead, "of" | "index" | "keepsNull"> {
  readonly of: "payload" | "headers";
}

/** A literal JSON path that a statement reads from one of its parameters. */
export interface JsonRead {
  /** The parameter without its first character: `payload`. Empty for `?`. */
  readonly of: string;
  /** Of the parameter, as SQLite numbers them, from 0. */
  readonly index: number;
  /** `->` and json_type() return the text `null` for null. What else reads JSON returns NULL. */
  readonly keepsNull: boolean;
  /** As the handler has it: `:payload -> '$.data' ->> 'id'`. */
  readonly read: string;
  /** The line of its first character, counted from 1. */
  readonly line: number;
  readonly steps: readonly Step[];
}

/** A literal JSON path that a statement reads from a column of a table. */
export interface ColumnRead extends Omit<JsonRead, "of" | "index"> {
  /** As the statement has it: `orders.data`. */
  readonly column: string;
  /** Its first token, counted in its statement. */
  readonly first: number;
}

/** Functions of SQLite with paths as their other arguments. Those that end in `each` read every element. */
const WITH_PATHS = /^jsonb?_(?:extract|each|tree)$|^json_(?:type|array_length)$/i;

/** What an expression reads. */
interface Value extends Pick<JsonRead, "of" | "index" | "keepsNull"> {
  /** Undefined if it reads a parameter. */
  readonly column?: string | undefined;
  /** Null if it is put together from several values. */
  readonly steps: readonly Step[] | null;
  /** The token after it. */
  readonly next: number;
}

/**
 * Finds the literal paths that a SQL handler reads from `:payload` and `:headers`, with `->`, `->>`, PostgreSQL's `#>`
 * and `#>>`, or a function: https://sqlite.org/json1.html. `value` of a json_each() is followed, and so are the
 * columns of subqueries and of common table expressions that are named with `as`. A path that is put together at run
 * time is left out.
 */
export function pathsRead(sql: string): PathRead[] {
  return jsonReads(sql).flatMap(({ of, read, line, steps }) =>
    of === "payload" || of === "headers" ? [{ of, read, line, steps }] : [],
  );
}

/** The same for every parameter, such as those of the statements that drizzle makes. */
export function jsonReads(sql: string): JsonRead[] {
  return statementsIn(sql).flatMap((tokens) =>
    readsIn(sql, tokens).filter(({ column }) => column === undefined),
  );
}

/** The same for what else a statement reads: columns that are not followed to a parameter. */
export function columnReads(sql: string, tokens: readonly Token[]): ColumnRead[] {
  return readsIn(sql, tokens).flatMap(({ column, ...read }) =>
    column === undefined ? [] : [{ ...read, column }],
  );
}

interface Read extends JsonRead, Pick<Value, "column">, Pick<ColumnRead, "first"> {}

interface Located extends Value {
  readonly steps: readonly Step[];
}

/** The reads of a statement, in order. */
function readsIn(sql: string, tokens: readonly Token[]): Read[] {
  const found: Read[] = [];
  // A select list comes before the json_each() that it reads, so everything is read twice.
  const indexes = indexesIn(tokens);
  const queries = queriesIn(tokens);
  const elements = new Map<string, Located>();
  const ambiguous = new Set<string>();
  for (const isLast of [false, true]) {
    for (let at = 0; at < tokens.length;) {
      const reads: Read[] = [];
      const value = readValue(at, reads);
      if (value !== undefined) nameColumn(at, value);
      if (isLast) found.push(...reads);
      at = value?.next ?? at + 1;
    }
  }
  return found;

  /** An expression, and the arrows after it. */
  function readValue(first: number, reads: Read[]): Value | undefined {
    const operand = readOperand(first, reads);
    if (operand === undefined || operand.steps === null) return operand;
    const steps = [...operand.steps];
    let { next, keepsNull } = operand;
    for (;;) {
      const arrow = tokens[next]?.groups["arrow"];
      const more = arrow === undefined ? undefined : stepsOfOperand(arrow, tokens[next + 1]);
      if (more === undefined) break;
      steps.push(...more);
      keepsNull = arrow === "->" || arrow === "#>";
      next += 2;
    }
    const value = { ...operand, keepsNull, steps, next };
    // The longer path says more than the one that it begins with.
    if (next > operand.next) reads.splice(0, reads.length, readOf(value, first, textOf(first, next)));
    return value;
  }

  function readOperand(first: number, reads: Read[]): Value | undefined {
    const token = tokens[first];
    if (token === undefined) return undefined;
    const index = indexes.get(first);
    if (index !== undefined)
      return { of: token.text.slice(1), index, keepsNull: true, steps: [], next: first + 1 };
    const { word } = token.groups;
    const isCall = word !== undefined && tokens[first + 1]?.text === "(";
    if ((token.text === "(" && !isArguments(first)) || (isCall && /^jsonb?$/i.test(word))) {
      const inner = readValue(first + (isCall ? 2 : 1), reads);
      if (inner !== undefined && tokens[inner.next]?.text === ")") return { ...inner, next: inner.next + 1 };
      reads.length = 0;
      return undefined;
    }
    if (isCall && WITH_PATHS.test(word)) return readCall(first, word, reads);
    return isCall ? undefined : (readElement(first) ?? readColumn(first));
  }

  /** A function: the value, then any number of paths. */
  function readCall(first: number, name: string, reads: Read[]): Value | undefined {
    const readsOfValue: Read[] = [];
    const from = readValue(first + 2, readsOfValue);
    if (from === undefined || from.steps === null) return undefined;
    const keepsNull = !/extract$/i.test(name);
    const paths: Located[] = [];
    let { next } = from;
    while (tokens[next]?.text === ",") {
      const steps = stepsOfPath(tokens[next + 1]);
      if (steps === undefined) return undefined;
      next += 2;
      paths.push({ ...from, keepsNull, steps: [...from.steps, ...steps], next });
    }
    if (tokens[next]?.text !== ")") return undefined;
    const value = textOf(first + 2, from.next);
    if (paths.length === 0) reads.push(...readsOfValue);
    for (const path of paths)
      reads.push(readOf(path, first, `${name}(${value}, ${tokens[path.next - 1]?.text})`));
    const steps = paths.length > 1 ? null : (paths[0]?.steps ?? from.steps);
    if (/each$/i.test(name) && steps !== null) nameElements(name, { ...from, steps, next: next + 1 });
    return { ...from, keepsNull, steps, next: next + 1 };
  }

  /** `json_each(…) item`, `json_each(…) as item`, or `json_each(…)` alone. */
  function nameElements(name: string, { steps, next, ...from }: Located): void {
    const { word } = tokens[isWord(tokens[next], "as") ? next + 1 : next]?.groups ?? {};
    const alias = word === undefined || AFTER_TABLE.test(word) ? name : word;
    const element: Located = { ...from, keepsNull: true, steps: [...steps, EACH], next: 0 };
    nameValue([`${alias}.value`, "value"], element);
  }

  /** `… as name` in a subquery or a common table expression, which is `name` or `query.name` outside. */
  function nameColumn(first: number, { steps, ...from }: Value): void {
    const query = queries.find(({ begin, end }) => begin < first && first < end);
    if (steps === null || query === undefined || !isWord(tokens[from.next], "as")) return;
    const name = nameOf(tokens[from.next + 1]);
    if (name === undefined) return;
    const qualified = query.name === undefined ? [] : [`${query.name}.${name}`];
    nameValue([name, ...qualified], { ...from, steps, next: 0 });
  }

  function nameValue(columns: readonly string[], value: Located): void {
    for (const column of columns.map((one) => one.toLowerCase())) {
      const known = elements.get(column);
      if (known === undefined) elements.set(column, value);
      else if (known.of !== value.of || known.column !== value.column || !isSame(known.steps, value.steps))
        ambiguous.add(column);
    }
  }

  /** The `value` of a json_each(), or a column that was named. */
  function readElement(first: number): Value | undefined {
    if (tokens[first - 1]?.text === ".") return undefined;
    const length = tokens[first + 1]?.text === "." ? 3 : 1;
    const words = tokens.slice(first, first + length).map(({ text }) => text.toLowerCase());
    const column = words.join("");
    const element = ambiguous.has(column) ? undefined : elements.get(column);
    return element === undefined || element.column !== undefined
      ? undefined
      : { ...element, next: first + length };
  }

  /** `column`, `table.column` or `schema.table.column`. */
  function readColumn(first: number): Value | undefined {
    if (tokens[first - 1]?.text === "." || !isName(tokens[first])) return undefined;
    let next = first + 1;
    while (tokens[next]?.text === "." && isName(tokens[next + 1])) next += 2;
    return { of: "", index: -1, column: textOf(first, next), keepsNull: true, steps: [], next };
  }

  /** Whether a parenthesis begins the arguments of a function. */
  function isArguments(at: number): boolean {
    const word = tokens[at - 1]?.groups["word"];
    return word !== undefined && !BEFORE_EXPRESSION.test(word);
  }

  function readOf({ of, index, column, keepsNull, steps }: Located, first: number, read: string): Read {
    const line = sql.slice(0, tokens[first]?.at).split("\n").length;
    return { of, index, column, keepsNull, read, line, steps, first };
  }

  function textOf(first: number, next: number): string {
    const last = tokens[next - 1];
    return sql.slice(tokens[first]?.at, (last?.at ?? 0) + (last?.text.length ?? 0));
  }
}

interface Query {
  /** The tokens of its parentheses. */
  readonly begin: number;
  readonly end: number;
  /** Of a common table expression, or of a subquery that has one. */
  readonly name: string | undefined;
}

/** The queries in parentheses, the innermost first. */
function queriesIn(tokens: readonly Token[]): Query[] {
  const queries: Query[] = [];
  const open: number[] = [];
  for (const [at, { text }] of tokens.entries()) {
    if (text === "(") open.push(at);
    if (text !== ")") continue;
    const begin = open.pop();
    if (begin === undefined || !isWord(tokens[begin + 1], "select")) continue;
    let before = begin - 1;
    while (isWord(tokens[before], "materialized") || isWord(tokens[before], "not")) before--;
    const after = tokens[isWord(tokens[at + 1], "as") ? at + 2 : at + 1];
    const alias = AFTER_TABLE.test(after?.text ?? "") ? undefined : nameOf(after);
    queries.push({ begin, end: at, name: isWord(tokens[before], "as") ? nameOf(tokens[before - 1]) : alias });
  }
  return queries;
}

/** Words that may follow a table, so that they are not its name. */
const AFTER_TABLE =
  /^(?:where|join|left|right|full|inner|cross|natural|on|using|order|group|limit|having|union|intersect|except|window|returning|set|do)$/i;

/** Keywords that may come before an expression in parentheses. Other words there are functions. */
const BEFORE_EXPRESSION =
  /^(?:select|distinct|all|and|or|not|in|values|when|then|else|case|where|on|having|by|set|as|between|is|from|like|glob|match|regexp|escape|returning|limit|offset)$/i;

/** `"$.a"` is text. */
const isName = (token: Token | undefined): boolean =>
  nameOf(token) !== undefined && !/^["'`]\$/.test(token?.text ?? "");

function isSame(a: readonly Step[], b: readonly Step[]): boolean {
  return a.length === b.length && a.every((step, index) => step === b[index]);
}
