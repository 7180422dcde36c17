import { mkdtempSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A file system in memory, where Linux has one. */
const MEMORY = "/dev/shm";

/** In bytes. Containers often have 64 MiB there; a test that is not `large` takes at most 15. */
const ENOUGH = 48 * 1024 * 1024;

/**
 * A new folder, in memory where there is room: an inbox that is started and stopped waits for the disk eleven times, which was half the
 * time of all tests together. The full run stays on the disk, as the binary does.
 *
 * @param options.large it grows to many megabytes, or programs in it are run: it stays on the disk
 */
export function temporaryFolder(name: string, options: { large?: boolean } = {}): string {
  const inMemory = options.large !== true && process.env["HOOKONCE_TEST_ALL"] !== "1" && hasRoom();
  return mkdtempSync(join(inMemory ? MEMORY : tmpdir(), `hookonce-${name}-`));
}

function hasRoom(): boolean {
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    return bavail * bsize >= ENOUGH;
  } catch {
    return false;
  }
}
