import * as z from "zod/mini";
import { literal } from "./literal.ts";
import { isPostgresUrl, POSTGRES_NOT_YET } from "./location.ts";

/** The schema of `database`. */
export function databaseFile() {
  return z.string().check(
    z.minLength(1),
    z.refine(isWhole, { error: beginsWithHome }),
    z.refine((text) => !isPostgresUrl(text), POSTGRES_NOT_YET),
    z.refine((text) => isPostgresUrl(text) || !/^[a-z][a-z0-9+.-]+:\/\//i.test(text), OTHER_URL),
  );
}

/** The value is not repeated, because a URL may contain a password. */
const OTHER_URL = `is a URL: write the path of a SQLite database, as in database = "data/hookonce.db"`;

/** Only a shell replaces `~`, `$NAME` and `%NAME%`. */
function isWhole(path: string): boolean {
  return !/^(?:~|\$|%\w+%)/.test(path);
}

function beginsWithHome({ input }: { readonly input?: unknown }): string {
  return `${literal(input)} begins with something that only a shell replaces: write the whole path, starting with /`;
}
