import { closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";

/** How a file gets its name only when it is complete and on the disk. */

/** The errors of a file system without hard links, for example exFAT. */
const NO_LINKS = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"]);

/**
 * Syncs a finished file and gives it its name. A link never replaces a file, unlike a rename.
 *
 * @param unfinished on the same file system
 * @param options.replace replaces the file that has the name
 * @returns whether it has the name now; false if another file has it
 * @throws NodeJS.ErrnoException
 */
export function nameFile(unfinished: string, name: string, options: { replace?: boolean } = {}): boolean {
  sync(unfinished, "r+");
  if (options.replace === true) renameSync(unfinished, name);
  else if (!link(unfinished, name)) return false;
  // Windows cannot open a folder.
  if (process.platform !== "win32") sync(dirname(name), "r");
  return true;
}

function link(unfinished: string, name: string): boolean {
  try {
    linkSync(unfinished, name);
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" || (NO_LINKS.has(code) && existsSync(name))) return false;
    if (!NO_LINKS.has(code)) throw error;
    renameSync(unfinished, name);
    return true;
  }
  rmSync(unfinished);
  return true;
}

function sync(path: string, flags: "r" | "r+"): void {
  const descriptor = openSync(path, flags);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
