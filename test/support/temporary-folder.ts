import { accessSync, constants, mkdtempSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A file system in memory, where Linux has one. In containers no program may be run from it. */
const MEMORY = "/dev/shm";

/** What a test takes of it at most, unless it says otherwise: 15, and containers often have no more than 64. */
const ENOUGH = 48;

/**
 * A new folder, in memory where there is room: an inbox that is started and stopped waits for the disk eleven times, which was half the
 * time of all tests together. The full run stays on the disk, as the binary does.
 *
 * @param mebibytes that must be free
 */
export function temporaryFolder(name: string, mebibytes = ENOUGH): string {
  const inMemory = process.env["HOOKONCE_TEST_ALL"] !== "1" && freeInMemory() >= mebibytes;
  return mkdtempSync(join(inMemory ? MEMORY : tmpdir(), `hookonce-${name}-`));
}

function freeInMemory(): number {
  try {
    accessSync(MEMORY, constants.W_OK);
    const { bavail, bsize } = statfsSync(MEMORY);
    return (bavail * bsize) / 1024 ** 2;
  } catch {
    return 0;
  }
}
