import { Database } from "bun:sqlite";
import type { Examined } from "../store.ts";
import { messageOf } from "../../errors.ts";
import { tableExists } from "./open.ts";

/** So many are looked for, and so many are shown. */
const MAX_FOUND = 100;
const MAX_PROBLEMS = 5;

/** Rows that an application has written in spite of its own constraints. The file is intact. */
const IN_ROWS = /^(?:CHECK constraint failed in|NULL value in) /;

/**
 * Reads a whole database and checks that it is intact. https://sqlite.org/pragma.html#pragma_integrity_check
 *
 * @param database nothing else uses it
 */
export function examineDatabase(database: string): Examined {
  let connection: Database | undefined;
  try {
    connection = new Database(database, { readonly: true, strict: true });
    const found = connection.query(`pragma integrity_check(${MAX_FOUND})`).values().flat().map(String);
    const problems = found.filter((text) => text !== "ok" && !IN_ROWS.test(text)).slice(0, MAX_PROBLEMS);
    if (problems.length > 0 || !tableExists(connection, "hookonce_events"))
      return { problems, events: 0, newestAt: null };
    const [events, newestAt] = connection
      .query(
        "select count(*), (select received_at from hookonce_events order by id desc limit 1) from hookonce_events",
      )
      .values()[0] as [number, number | null];
    return { problems, events, newestAt };
  } catch (error) {
    return { problems: [messageOf(error)], events: 0, newestAt: null };
  } finally {
    connection?.close(true);
  }
}
