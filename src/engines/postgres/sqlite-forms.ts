import { isWord, meaningful, type SqlStatement, type Token } from "./sql-text.ts";

/** What a statement in SQLite's dialect means in PostgreSQL, for people who know SQLite and write for PostgreSQL. */

export interface Doubt {
  /** Its place in the statement's text. */
  readonly at: number;
  readonly message: string;
}

type Tokens = Pick<SqlStatement, "tokens">;

/** Forms that PostgreSQL accepts and that mean something else there. */
export function sqliteForms({ tokens }: Tokens): Doubt[] {
  const found = meaningful(tokens);
  return found.flatMap(({ kind, text, at }, index) => {
    const path = kind === "string" ? /^'(\$(?:[.[].*)?)'$/s.exec(text)?.[1] : undefined;
    const arrow = path === undefined ? undefined : arrowBefore(found, index);
    if (path === undefined || arrow === undefined) return [];
    const why = `${arrow} '${path}' is always NULL, because PostgreSQL looks for a key with this name.`;
    return [{ at, message: `${why} ${meantBy(arrow, stepsOf(path))}` }];
  });
}

/** The operator `->` or `->>` before a token. */
function arrowBefore(tokens: readonly Token[], index: number): "->" | "->>" | undefined {
  const signs = tokens.slice(Math.max(0, index - 3), index).map(({ text }) => text);
  const written = signs.join("");
  return written.endsWith("->>") ? "->>" : written.endsWith("->") ? "->" : undefined;
}

/** The keys and indexes of a path in SQLite's notation: https://sqlite.org/json1.html#path_arguments */
function stepsOf(path: string): string[] {
  const steps = path.matchAll(/\."(?<quoted>[^"]*)"|\.(?<key>[^".[]+)|\[#?(?<index>-?\d+)\]/g);
  return Array.from(steps, ({ groups = {} }) => groups["quoted"] ?? groups["key"] ?? groups["index"] ?? "");
}

function meantBy(arrow: "->" | "->>", [first, ...rest]: readonly string[]): string {
  if (first === undefined) return "Leave it out.";
  if (rest.length > 0) return `Write ${arrow === "->" ? "#>" : "#>>"} '{${[first, ...rest].join(",")}}'.`;
  return `Write ${arrow} ${/^-?\d+$/.test(first) ? first : `'${first}'`}.`;
}

/** What to write in place of functions that only SQLite has. */
const FUNCTIONS: Readonly<Record<string, string>> = {
  json: "x::jsonb",
  json_extract: "x #>> '{a,b}'",
  json_each: "jsonb_array_elements(x), or jsonb_each(x) for an object",
  json_group_array: "jsonb_agg(x)",
  iif: "case when condition then a else b end",
  ifnull: "coalesce(a, b)",
  group_concat: "string_agg(x, ',')",
  total: "coalesce(sum(x), 0)",
  instr: "strpos(text, part)",
  hex: "encode(x, 'hex')",
  unixepoch: "extract(epoch from now())",
  strftime: "to_char(time, 'YYYY-MM-DD')",
  datetime: "now(), or to_timestamp(seconds)",
  julianday: "extract(epoch from time)",
  date: "time::date",
};

/** What PostgreSQL's error tells, besides its message. */
export interface ServerError {
  /** The SQLSTATE. */
  readonly errno?: string | undefined;
  readonly message: string;
}

/**
 * What to write in place of a form of SQLite for which PostgreSQL refuses a statement.
 *
 * @returns undefined if the error has another cause
 */
export function explainSqliteForm({ errno, message }: ServerError, { tokens }: Tokens): string | undefined {
  const words = meaningful(tokens);
  const has = (...sequence: string[]): boolean =>
    words.some((_, at) => sequence.every((word, step) => isWord(words[at + step], word)));
  switch (errno ?? "") {
    case "42702": {
      const column = /"([^"]+)" is ambiguous/.exec(message)?.[1];
      if (column === undefined || !has("on", "conflict")) return undefined;
      const table = words[words.findIndex((token) => isWord(token, "into")) + 1]?.text ?? "the table";
      return `${column} may be the column of ${table} or of excluded. Write ${table}.${column}.`;
    }
    case "42601":
      if (has("insert", "or"))
        return "Write insert … on conflict (…) do nothing, or do update, in place of insert or ….";
      if (isWord(words[0], "replace")) return "Write insert … on conflict (…) do update in place of replace.";
      if (has("autoincrement"))
        return "Write bigint generated always as identity in place of integer … autoincrement.";
      if (isWord(words.at(-1), "strict"))
        return "Leave strict out: PostgreSQL always checks the types of columns.";
      if (has("without", "rowid")) return "Leave without rowid out.";
      if (tokens.some(({ text }) => text === "`")) return 'Write "name" in place of `name`.';
      if (isWord(words[0], "pragma")) return "PostgreSQL has no pragmas.";
      return undefined;
    case "42883": {
      const name = /^function (\w+)\(/.exec(message)?.[1] ?? "";
      const instead = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
      if (instead !== undefined) return `${name} is a function of SQLite. Write ${instead}.`;
      return /operator does not exist: text/.test(message) && hasArrow(words) ? CAST : undefined;
    }
    case "42804":
      return hasArrow(words) ? CAST : undefined;
    default:
      return undefined;
  }
}

const CAST = "In PostgreSQL, ->> returns text. Cast it, as in (:payload ->> 'cents')::bigint.";

const hasArrow = (tokens: readonly Token[]): boolean =>
  tokens.some((_, at) => arrowBefore(tokens, at) === "->>" || endsPath(tokens, at));

/** `#>>` */
const endsPath = (tokens: readonly Token[], at: number): boolean =>
  tokens
    .slice(Math.max(0, at - 3), at)
    .map(({ text }) => text)
    .join("") === "#>>";
