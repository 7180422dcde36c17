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
  // It also ignores rows that another constraint forbids.
  if (/^ignore$/i.test(or) && hasOtherConstraints(db, table)) return undefined;
  const given = columns?.split(",").map((column) => unquoted(column.trim()).toLowerCase());
  if (canConflict(db, table, given)) return undefined;
  const column = given?.find((one) => one === "event_id") ?? given?.[0] ?? columnsOf(db, table)[0]?.name;
  const index = `create unique index ${table}_${column} on ${table} (${column});`;
  return `"${clause}" never finds a conflict, because no unique index of ${table} covers the inserted columns, so each run adds a row. Add one in migrations/, such as: ${index}`;
}

interface Column {
  readonly name: string;
  readonly pk: number;
  readonly notnull: 0 | 1;
  readonly dflt_value: string | null;
  /** 2 or 3 if it is generated. */
  readonly hidden: number;
}

function columnsOf(db: Database, table: string): Column[] {
  const sql = 'select name, pk, "notnull", dflt_value, hidden from pragma_table_xinfo(?)';
  return db.query(sql).all(table) as Column[];
}

/** The event id is never NULL. */
function hasOtherConstraints(db: Database, table: string): boolean {
  const columns = columnsOf(db, table);
  if (columns.some(({ name, notnull, pk }) => notnull === 1 && pk === 0 && !/^event_id$/i.test(name)))
    return true;
  const schema = db.query("select sql from sqlite_schema where name = ? collate nocase and type = 'table'");
  const [sql] = schema.values(table)[0] as [string];
  return /\bcheck\s*\(/i.test(withoutText(sql));
}

function isTable(db: Database, name: string): boolean {
  const found = db.query("select 1 from pragma_table_list where name = ? collate nocase and type = 'table'");
  return found.get(name) !== null;
}

/** @param given the columns that are inserted; undefined: all of them */
function canConflict(db: Database, table: string, given: readonly string[] | undefined): boolean {
  const columns = columnsOf(db, table);
  const isGiven = ({ name }: Column): boolean => given === undefined || given.includes(name.toLowerCase());
  // An INTEGER PRIMARY KEY that is not given gets a new number.
  if (columns.some((column) => column.pk > 0 && isGiven(column))) return true;
  if (given?.some((name) => /^(?:rowid|_rowid_|oid)$/.test(name)) === true) return true;
  // A column that is not given is NULL, and NULL is never equal to NULL. An expression has no name.
  const missing = columns.filter(
    (column) => !isGiven(column) && column.dflt_value === null && column.hidden === 0,
  );
  const without = new Set<string | null>(missing.map(({ name }) => name));
  return uniqueIndexes(db, table).some((names) => names.every((name) => !without.has(name)));
}

/** The columns of each unique index. */
function uniqueIndexes(db: Database, table: string): (string | null)[][] {
  const indexes = db.query('select name from pragma_index_list(?) where "unique" = 1').values(table);
  const columns = db.query("select name from pragma_index_info(?)");
  return indexes.map(([index]) => columns.values(index as string).map(([name]) => name as string | null));
}

/** The tables that a statement reads from the first row to the last. */
function scans(db: Database, text: string, sql: string, large: ReadonlySet<string>): string[] {
  // Without a condition, LIMIT ends it early.
  if (large.size === 0 || (/\blimit\b/i.test(sql) && !/\bwhere\b/i.test(sql))) return [];
  const plan = planOf(db, text);
  const found = new Set<string>();
  for (const { detail, parent } of plan) {
    // An automatic index is made of all rows, for this run alone.
    const [, name, automatic] = /^(?:SCAN (\S+)|SEARCH (\S+) USING AUTOMATIC)/.exec(detail) ?? [];
    const table = name ?? automatic;
    const known = table === undefined ? undefined : tableNamed(table, sql, large);
    if (known === undefined || isOfPartialIndex(db, detail)) continue;
    const isSorted = plan.some((step) => step.parent === parent && step.detail.startsWith("USE TEMP B-TREE"));
    if (automatic !== undefined || isSorted || !endsEarly(known, sql)) found.add(known);
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

/** An index with WHERE has only the rows that are asked for, such as those of a queue. */
function isOfPartialIndex(db: Database, detail: string): boolean {
  const [, index] = /^SCAN \S+ USING (?:COVERING )?INDEX (\S+)/.exec(detail) ?? [];
  if (index === undefined) return false;
  const partial = db.query(
    "select 1 from sqlite_schema join pragma_index_list(tbl_name) as i on i.name = sqlite_schema.name where i.name = ? and partial = 1",
  );
  return partial.get(index) !== null;
}

interface PlanStep {
  readonly parent: number;
  readonly detail: string;
}

function planOf(db: Database, text: string): PlanStep[] {
  try {
    const explain = db.query(`explain query plan ${text}`);
    const steps = explain.all() as PlanStep[];
    explain.finalize();
    return steps;
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

/** Whether a table is read only in subqueries that need a few of its rows, whichever they are. */
function endsEarly(table: string, sql: string): boolean {
  const name = String.raw`["\`[]?${RegExp.escape(table)}["\`\]]?(?![\w$]|\s*\.)`;
  const reads = new RegExp(String.raw`(?:\b(?:from|join|update)\b|,)\s*(?:${NAME}\s*\.\s*)?${name}`, "i");
  const queries = queriesIn(sql).filter(({ text }) => reads.test(text));
  return queries.length > 0 && queries.every(({ text, after }) => needsFew(text, after));
}

const READS_ALL =
  /\b(?:where|group\s+by|having|distinct|over|(?:count|sum|total|avg|group_concat|string_agg|jsonb?_group_\w+)\s*\[\])/i;

function needsFew(query: string, after: string): boolean {
  return (/\blimit\b/i.test(query) || /\bexists\s*$/i.test(after)) && !READS_ALL.test(query);
}

/** What is between each pair of parentheses, and the whole, without what is between those inside it. */
function queriesIn(sql: string): { readonly text: string; readonly after: string }[] {
  const found: { text: string; after: string }[] = [];
  let rest = sql;
  for (;;) {
    const inner = /\(([^()]*)\)/.exec(rest);
    if (inner === null) return [...found, { text: rest, after: "" }];
    found.push({ text: inner[1] ?? "", after: rest.slice(0, inner.index) });
    rest = `${rest.slice(0, inner.index)}[]${rest.slice(inner.index + inner[0].length)}`;
  }
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
