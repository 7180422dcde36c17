import { HookonceError } from "../../errors.ts";
import { stateOf } from "./trouble.ts";
import { explainSqliteForm, type Doubt } from "./sqlite-forms.ts";
import { isWord, meaningful, splitStatements, type SqlStatement, type Token } from "./sql-text.ts";
import type { Wire } from "./wire.ts";

/**
 * Which statements a handler may run. The server's own parser decides: what `PREPARE … AS` accepts reads or writes
 * rows (SELECT, VALUES, TABLE, WITH, INSERT, UPDATE, DELETE, MERGE), and never ends a transaction.
 */

const PREPARE = "prepare hookonce_check as ";

/** A statement that the server accepts. */
export interface CheckedStatement {
  /** The names of the types of its parameters, in order. */
  readonly types: readonly string[];
}

/**
 * Forms that the server accepts as statements and that a handler may not use: `select … into` makes a table, and what
 * `set_config` sets stays for the next event.
 */
export function refusedByName({ tokens }: Pick<SqlStatement, "tokens">): Doubt[] {
  const found = meaningful(tokens);
  return found.flatMap((token, index) => {
    if (isWord(token, "into") && !isOtherInto(found, index))
      return [
        {
          at: token.at,
          message:
            "select … into makes a table. Create tables in migrations/, and write insert into … select.",
        },
      ];
    if (/^"?set_config"?$/i.test(token.text) && found[index + 1]?.text === "(")
      return [
        {
          at: token.at,
          message: "set_config() changes the connection also for the next event. Leave it out.",
        },
      ];
    return [];
  });
}

/**
 * `insert into`, `merge into`, a column with this name, and SQLite's `insert or ignore into`, which the server
 * refuses.
 */
function isOtherInto(tokens: readonly Token[], index: number): boolean {
  const [or, before] = [tokens[index - 2], tokens[index - 1]];
  const words = ["insert", "replace", "merge", "as"];
  return before?.text === "." || isWord(or, "or") || words.some((word) => isWord(before, word));
}

/**
 * Lets the server check a statement, in an open transaction, which goes on unchanged.
 *
 * @param text with parameters as the server knows them: `$1`
 * @throws PostgresError why the server refuses it; its place is {@link placeIn}
 */
export async function checkOnServer(wire: Wire, text: string): Promise<CheckedStatement> {
  const sent = [
    wire.send("savepoint hookonce_check"),
    wire.send(`${PREPARE}${text}`),
    wire.send(
      "select parameter_types::text[]::text from pg_prepared_statements where name = 'hookonce_check'",
    ),
    // PREPARE outlives a rollback.
    wire.send("deallocate hookonce_check"),
    wire.send("release hookonce_check"),
  ];
  const [, prepared, types] = await Promise.allSettled(sent);
  if (prepared?.status === "rejected") {
    await wire.send("rollback to hookonce_check");
    await wire.send("release hookonce_check");
    throw prepared.reason;
  }
  if (types?.status !== "fulfilled") throw types?.reason;
  // Only names, without a comma in one.
  const [[list = "{}"] = []] = types.value.rows as readonly (readonly string[])[];
  const names = list.slice(1, -1);
  return { types: names === "" ? [] : names.split(",").map((name) => name.replaceAll('"', "")) };
}

/** Where in a statement the server has found an error: an index of its text. */
export function placeIn(text: string, error: unknown): number {
  const position = Number(error instanceof Error && "position" in error ? error.position : undefined);
  const at = position - 1 - PREPARE.length;
  // The server counts characters, and JavaScript the halves of surrogate pairs.
  return Number.isInteger(at) && at > 0 ? Array.from(text).slice(0, at).join("").length : 0;
}

/** The server's message, with what to write in place of a form of SQLite. */
export function explained(error: unknown, statement: Pick<SqlStatement, "tokens">): string {
  const message = error instanceof Error ? error.message : String(error);
  const instead = explainSqliteForm({ errno: stateOf(error), message }, statement);
  const hint =
    error instanceof Error && "hint" in error && typeof error.hint === "string" ? error.hint : undefined;
  const remedy = instead ?? hint;
  return remedy === undefined ? message : `${message}. ${remedy}`;
}

/**
 * The only statement of a text that code has made.
 *
 * @throws HookonceError `statement_refused`
 */
export function onlyStatement(sql: string): SqlStatement {
  if (sql.includes("\0") || !sql.isWellFormed())
    throw refused(
      "The statement's text contains a NUL or half of a surrogate pair, which PostgreSQL cannot read. Bind values as parameters.",
    );
  const [first, second] = splitStatements(sql);
  if (first === undefined) throw refused("The statement is empty.");
  if (second !== undefined)
    throw refused(`Run one statement per call. The second one is "${second.text.slice(0, 40)}".`);
  const [named] = refusedByName(first);
  if (named !== undefined) throw refused(named.message);
  return first;
}

export const refused = (message: string): HookonceError => new HookonceError("statement_refused", message);
