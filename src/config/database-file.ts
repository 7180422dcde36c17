import * as z from "zod/mini";
import { literal } from "./literal.ts";

/** The schema of `database`. */
export function databaseFile() {
  return z.string().check(z.minLength(1), z.refine(isWhole, { error: beginsWithHome }));
}

/** Only a shell replaces `~`, `$NAME` and `%NAME%`. */
function isWhole(path: string): boolean {
  return !/^(?:~|\$|%\w+%)/.test(path);
}

function beginsWithHome({ input }: { readonly input?: unknown }): string {
  return `${literal(input)} begins with something that only a shell replaces: write the whole path, starting with /`;
}
