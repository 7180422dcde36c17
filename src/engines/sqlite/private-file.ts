import { closeSync, fchmodSync, openSync, writeFileSync } from "node:fs";

/** Only the owner may read or write. */
const PRIVATE = 0o600;

/**
 * Makes an empty file that only its owner can use, whatever the umask and the folder's mode. SQLite gives the
 * log and its index the mode of the database. Leaves a file that exists as it is.
 *
 * @returns whether the file was made
 */
export function makePrivateFile(path: string): boolean {
  let descriptor: number;
  try {
    descriptor = openSync(path, "wx", PRIVATE);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
  try {
    fchmodSync(descriptor, PRIVATE);
  } finally {
    closeSync(descriptor);
  }
  return true;
}

/** Writes a file that only its owner can read. */
export function writePrivateFile(path: string, text: string): void {
  makePrivateFile(path);
  writeFileSync(path, text);
}
