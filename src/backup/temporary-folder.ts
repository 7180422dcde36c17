import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";

/** Begins the name of the folder in which a backup is made. */
export const BACKUP_FOLDER = ".hookonce-backup-";

/** No backup takes so long, in milliseconds: for folders of which nobody can say whether their process still runs. */
const LEFT_MS = 24 * 60 * 60 * 1000;

/**
 * Makes a temporary folder that only its owner can read, and removes those that killed processes left.
 *
 * @param prefix begins its name
 * @throws NodeJS.ErrnoException
 */
export function makeTemporaryFolder(place: string, prefix: string): string {
  // In a container, the number of a process says nothing outside of it.
  const here = hostname().replaceAll(/[^\w.]/g, "_");
  for (const name of readdirSync(place)) {
    if (!name.startsWith(prefix)) continue;
    const path = join(place, name);
    const [pid = "", host] = name.slice(prefix.length).split("-");
    try {
      const isLeft = host === here ? !isRunning(Number(pid)) : Date.now() - statSync(path).mtimeMs > LEFT_MS;
      if (isLeft) rmSync(path, { recursive: true, force: true });
    } catch {
      // It is another user's, or another process has removed it.
    }
  }
  return mkdtempSync(join(place, `${prefix}${process.pid}-${here}-`));
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}
