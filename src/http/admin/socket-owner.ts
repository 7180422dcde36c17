import { lstatSync, statSync } from "node:fs";
import { HookonceError } from "../../errors.ts";

/**
 * Refuses a socket that another user has made. Its folder is that of the database, and anyone who can replace files
 * there can replace the database.
 *
 * @throws HookonceError `permission_denied`
 */
export function refuseForeignSocket(path: string, database: string): void {
  // lstat, because the file may be a link to somebody else's socket.
  const owner = lstatSync(path, { throwIfNoEntry: false })?.uid;
  if (owner === undefined || isTrusted(owner, database)) return;
  throw new HookonceError(
    "permission_denied",
    `hookonce does not use the socket ${path}, because it belongs to another user (uid ${owner}). Remove it, and restart hookonce serve.`,
  );
}

/** Trusts users who can change the database anyway: this one, root, and the owner of the database. */
function isTrusted(uid: number, database: string): boolean {
  const owner = statSync(database, { throwIfNoEntry: false })?.uid;
  return uid === 0 || uid === process.getuid?.() || uid === owner;
}
