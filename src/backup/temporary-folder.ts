import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";

/** No backup takes so long: a folder that is older was left by a process that was killed. In milliseconds. */
const LEFT_MS = 24 * 60 * 60 * 1000;

/**
 * Makes a temporary folder that only its owner can read, and removes those that killed processes left.
 *
 * @param prefix begins its name
 * @throws NodeJS.ErrnoException
 */
export function makeTemporaryFolder(place: string, prefix: string): string {
  for (const name of readdirSync(place)) {
    if (!name.startsWith(prefix)) continue;
    const path = join(place, name);
    try {
      if (Date.now() - statSync(path).mtimeMs > LEFT_MS) rmSync(path, { recursive: true, force: true });
    } catch {
      // It is another user's, or another process has removed it.
    }
  }
  return mkdtempSync(join(place, prefix));
}
