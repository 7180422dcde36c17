import * as drizzleOrm from "drizzle-orm";
import { HookonceError } from "../errors.ts";
import { leavingGate } from "./late-error.ts";

/**
 * The drizzle that handlers import. hookonce itself uses the same instance, so that a handler's `db` accepts
 * the tables that the handler declares.
 *
 * Its `sql` refuses undefined. drizzle writes nothing for undefined. The database then reports a syntax error in
 * another place, or none: `cents + ${undefined} - ${fee}` would subtract.
 */
export const drizzleModule = { ...drizzleOrm, sql: refusingUndefined(drizzleOrm.sql) };

type Sql = typeof drizzleOrm.sql;

function refusingUndefined(sql: Sql): Sql {
  const tag = (strings: TemplateStringsArray, ...values: unknown[]): drizzleOrm.SQL => {
    const index = values.findIndex(hasUndefined);
    if (index !== -1) throw undefinedIn(`Value ${index + 1} of ${textOf(strings)}`);
    return sql(strings, ...values);
  };
  const join: Sql["join"] = (chunks, separator) => {
    const index = chunks.findIndex(hasUndefined);
    if (index !== -1) throw undefinedIn(`Element ${index + 1} of the list given to sql.join`);
    return sql.join(chunks, separator);
  };
  return Object.assign(tag, sql, { join }) as Sql;
}

/** drizzle writes an array as a list in brackets. */
function hasUndefined(value: unknown): boolean {
  return value === undefined || (Array.isArray(value) && value.some(hasUndefined));
}

/** How much of a template a message shows, in characters. */
const MAX_SHOWN = 120;

function textOf(strings: TemplateStringsArray): string {
  const text = strings.join("${…}").replaceAll(/\s+/g, " ").trim();
  return `sql\`${text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN)}…`}\``;
}

function undefinedIn(what: string): unknown {
  return leavingGate(
    new HookonceError(
      "value_refused",
      `${what} is undefined. Pass null to store NULL, or sql.empty() to add nothing.`,
    ),
  );
}
