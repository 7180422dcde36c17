import { lstatSync, realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { HookonceError } from "../../errors.ts";

const WRITABLE_BY_OTHERS = 0o022;
/** In a folder with this bit, such as /tmp, a user can remove or rename only their own files. */
const STICKY = 0o1000;

/**
 * Refuses a shared folder, such as XDG_RUNTIME_DIR, in which another user could replace the socket. That user
 * could then read what commands send, and answer them. The folder of the database is not checked: anyone who
 * can replace files there can replace the database.
 *
 * @throws HookonceError `permission_denied`
 */
export function refuseForeignFolder(path: string, database: string): void {
  const folder = dirname(path);
  if (folder === dirname(realPathOf(database))) return;
  const { uid, mode } = statSync(folder);
  if (!isTrusted(uid, database)) throw refusal(path, `its folder belongs to another user (uid ${uid})`);
  if ((mode & WRITABLE_BY_OTHERS) !== 0 && (mode & STICKY) === 0)
    throw refusal(path, "other users can replace the files in its folder");
}

/**
 * Refuses a socket that another user has made.
 *
 * @throws HookonceError `permission_denied`
 */
export function refuseForeignSocket(path: string, database: string): void {
  // lstat, because the file may be a link to somebody else's socket.
  const owner = lstatSync(path, { throwIfNoEntry: false })?.uid;
  if (owner !== undefined && !isTrusted(owner, database))
    throw refusal(
      path,
      `it belongs to another user (uid ${owner})`,
      "Remove it, and restart hookonce serve.",
    );
}

/** Trusts users who can change the database anyway: this one, root, and the owner of the database. */
function isTrusted(uid: number, database: string): boolean {
  const owner = statSync(database, { throwIfNoEntry: false })?.uid;
  return uid === 0 || uid === process.getuid?.() || uid === owner;
}

function realPathOf(database: string): string {
  return statSync(database, { throwIfNoEntry: false }) === undefined ? database : realpathSync(database);
}

const ELSEWHERE =
  "Shorten the path of the database, so that the socket is beside it. Or set XDG_RUNTIME_DIR, for hookonce serve and for commands, to a folder that only the user of hookonce serve can write.";

function refusal(path: string, why: string, remedy = ELSEWHERE): HookonceError {
  return new HookonceError(
    "permission_denied",
    `hookonce does not use the socket ${path}, because ${why}. ${remedy}`,
  );
}
