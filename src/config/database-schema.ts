import * as z from "zod/mini";
import { literal } from "./literal.ts";
import { isPostgres } from "./location.ts";
import { listOf, oneOrMore } from "./schema-parts.ts";

/**
 * The schema of `database`: the path of a file, or the URLs of PostgreSQL. A single one becomes a list of one.
 * database-problems.ts checks the URLs.
 */
export function databasePlaces() {
  return z.pipe(
    z.transform((value: unknown): unknown => (Array.isArray(value) ? value : [value])),
    listOf(
      z.string().check(
        z.minLength(1),
        z.refine(isWhole, { error: beginsWithHome }),
        z.refine((text) => isPostgres(text) || !/^[a-z][a-z0-9+.-]+:\/\//i.test(text), OTHER_URL),
      ),
      oneOrMore(NO_DATABASE),
    ).check(
      z.refine(
        (all) => all.length === 1 || all.some(isPostgres),
        "a list may only contain URLs of PostgreSQL, which name the servers of one database",
      ),
    ),
  );
}

const NO_DATABASE = 'write the path of a file, as in database = "data/hookonce.db"';

/** The value is not repeated, because a URL may contain a password. */
const OTHER_URL = `is the URL of something else: write the path of a SQLite database, as in database = "data/hookonce.db"`;

/** Only a shell replaces `~`, `$NAME` and `%NAME%`. */
function isWhole(path: string): boolean {
  return !/^(?:~|\$|%\w+%)/.test(path);
}

function beginsWithHome({ input }: { readonly input?: unknown }): string {
  return `${literal(input)} begins with something that only a shell replaces: write the whole path, starting with /`;
}
