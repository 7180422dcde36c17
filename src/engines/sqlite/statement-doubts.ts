import type { Database } from "bun:sqlite";
import type { Problem } from "../../errors.ts";
import type { HandlerCode } from "../engine.ts";
import { counted } from "./large-tables.ts";
import { splitStatements } from "./sql-text.ts";

/**
 * Statements of a SQL handler that can be prepared and are probably a mistake: an insert that never finds a
 * conflict, and a scan of a large table.
 *
 * @param db the tables that the handler will find, without their rows
 * @param large the tables that have many rows
 */
export function doubtsOf(
  db: Database,
  { file, text }: Extract<HandlerCode, { language: "sql" }>,
  large: ReadonlySet<string>,
): Problem[] {
  return splitStatements(text).flatMap((statement) => {
    const sql = withoutText(statement.text);
    const messages = [withoutConflict(db, sql), ...scans(db, statement.text, sql, large)];
    return messages
      .filter((message) => message !== undefined)
      .map((message) => ({ file, line: statement.line, message }));
  });
}

/** Comments and what is in string literals could look like SQL. */
function withoutText(sql: string): string {
  return sql.replaceAll(/--[^\n]*|\/\*[^]*?(?:\*\/|$)|'(?:[^']|'')*'/g, (found) =>
    found.startsWith("'") ? "''" : " ",
  );
}

const NAME = String.raw`(?:[\w$\u0080-\uffff]+|"(?:[^"]|"")+"|${"`"}[^${"`"}]+${"`"}|\[[^\]]+\])`;

const INSERT = new RegExp(
  String.raw`^(?:[^]*?\s)??(?<verb>insert(?:\s+or\s+(?<or>\w+))?|replace)\s+into\s+(?:${NAME}\s*\.\s*)?(?<table>${NAME})\s*(?:as\s+${NAME}\s*)?(?:\((?<columns>[^()]*)\))?`,
  "i",
);

/** Why `or ignore`, `or replace` or `on conflict do nothing` has no effect. */
function withoutConflict(db: Database, sql: string): string | undefined {
  const { verb = "", or = "", table: written = "", columns } = INSERT.exec(sql)?.groups ?? {};
  const clause = /^(?:ignore|replace)$/i.test(or)
    ? `insert or ${or.toLowerCase()}`
    : /^replace$/i.test(verb)
      ? "replace"
      : /\bon\s+conflict\s+do\b/i.test(sql)
        ? "on conflict do"
        : undefined;
  if (clause === undefined) return undefined;
  const table = unquoted(written);
  if (!isTable(db, table)) return undefined;
  const given = columns?.split(",").map((column) => unquoted(column.trim()).toLowerCase());
  if (canConflict(db, table, given)) return undefined;
  const column = given?.find((one) => one === "event_id") ?? given?.[0] ?? columnsOf(db, table)[0]?.name;
  const index = `create unique index ${table}_${column} on ${table} (${column});`;
  return `"${clause}" never finds a conflict, because no unique index of ${table} covers what is inserted: each run adds a row. Add one in migrations/, such as: ${index}`;
}

interface Column {
  readonly name: string;
  readonly pk: number;
}

function columnsOf(db: Database, table: string): Column[] {
  return db.query("select name, pk from pragma_table_info(?)").all(table) as Column[];
}

function isTable(db: Database, name: string): boolean {
  const found = db.query("select 1 from pragma_table_list where name = ? collate nocase and type = 'table'");
  return found.get(name) !== null;
}

/** @param given the columns that are inserted; undefined: all of them */
function canConflict(db: Database, table: string, given: readonly string[] | undefined): boolean {
  const indexes = db.query('select 1 from pragma_index_list(?) where "unique" = 1').all(table);
  if (indexes.length > 0) return true;
  // An INTEGER PRIMARY KEY that is not given gets a new number.
  const key = columnsOf(db, table).filter(({ pk }) => pk > 0);
  return key.some(({ name }) => given === undefined || given.includes(name.toLowerCase()));
}

/** The tables that a statement reads from the first row to the last. */
function scans(db: Database, text: string, sql: string, large: ReadonlySet<string>): string[] {
  // Without a condition, LIMIT ends it early.
  if (large.size === 0 || (/\blimit\b/i.test(sql) && !/\bwhere\b/i.test(sql))) return [];
  const plan = planOf(db, text);
  // An automatic index is made of all rows, for this run alone.
  const scanned = plan.map((detail) => /^(?:SCAN (\S+)|SEARCH (\S+) USING AUTOMATIC)/.exec(detail));
  const found = new Set<string>();
  for (const match of scanned) {
    const name = match?.[1] ?? match?.[2];
    const table = name === undefined ? undefined : tableNamed(name, sql, large);
    if (table !== undefined) found.add(table);
  }
  return [...found].map((table) => {
    const columns = conditionsOn(table, db, sql);
    const remedy =
      columns.length > 0
        ? `Add an index in migrations/, such as: create index ${[table, ...columns].join("_")} on ${table} (${columns.join(", ")});`
        : "Add a condition on a column with an index.";
    return `each run reads all rows of ${table}, which has more than ${counted}, and other deliveries wait. ${remedy}`;
  });
}

function planOf(db: Database, text: string): string[] {
  try {
    const explain = db.query(`explain query plan ${text}`);
    const rows = explain.all() as { detail: string }[];
    explain.finalize();
    return rows.map(({ detail }) => detail);
  } catch {
    return []; // loading the handler reports it
  }
}

/** The plan names a table by its alias. */
function tableNamed(name: string, sql: string, large: ReadonlySet<string>): string | undefined {
  const alias = new RegExp(String.raw`(${NAME})\s+(?:as\s+)?${RegExp.escape(name)}(?![\w$])`, "gi");
  const names = [name, ...Array.from(sql.matchAll(alias), ([, table = ""]) => unquoted(table))];
  const lower = new Set(names.map((one) => one.toLowerCase()));
  return [...large].find((table) => lower.has(table.toLowerCase()));
}

/** The columns that are compared after WHERE or ON: those with `=` first, and at most one other. */
function conditionsOn(table: string, db: Database, sql: string): string[] {
  const conditions = /\b(?:where|on|using)\b(?<after>[^]*)$/i.exec(sql)?.groups?.["after"] ?? "";
  const names = columnsOf(db, table).map(({ name }) => name);
  const compared = (name: string, by: string): boolean => {
    const column = String.raw`(?<![\w$.])(?:${NAME}\s*\.\s*)?["\`[]?${RegExp.escape(name)}["\`\]]?(?![\w$(])`;
    return new RegExp(`${column}\\s*(?:${by})|(?:${by})\\s*${column}`, "i").test(conditions);
  };
  const equal = names.filter((name) => compared(name, String.raw`==?|in\b|is\b`));
  const other = names.filter((name) => !equal.includes(name) && compared(name, String.raw`[<>]|between\b`));
  return [...equal.slice(0, 3), ...other.slice(0, 1)];
}

function unquoted(name: string): string {
  return /^["`[]/.test(name) ? name.slice(1, -1).replaceAll('""', '"') : name;
}

/** @returns why SQLite refuses an upsert, in place of its own message; undefined for another error */
export function explainConflict(message: string, sql: string): string | undefined {
  if (!message.includes("ON CONFLICT clause does not match")) return undefined;
  const text = withoutText(sql);
  const table = unquoted(INSERT.exec(text)?.groups?.["table"] ?? "the table");
  const target = /\bon\s+conflict\s*\(([^()]*)\)/i.exec(text)?.[1]?.trim() ?? "";
  const columns = target.split(",").map((column) => unquoted(column.trim()));
  const index = `create unique index ${[table, ...columns].join("_")} on ${table} (${columns.join(", ")});`;
  return `on conflict (${columns.join(", ")}): ${table} has no unique index on exactly these columns, so SQLite cannot find a conflict. Add one in migrations/, such as: ${index}`;
}
