import { accessSync, constants, mkdtempSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Linux's file system in memory. In containers, programs cannot be run from it. */
const MEMORY = "/dev/shm";

/**
 * Free space in MiB that a test needs by default. Tests take up to 15 MiB, and containers often have only 64
 * MiB.
 */
const ENOUGH = 48;

/**
 * Makes a new folder, in memory if there is room. An inbox that is started and stopped waits for the disk
 * eleven times, which was half the time of all tests. The full run stays on the disk, as the binary does.
 *
 * @param mebibytes the free space that the test needs
 */
export function temporaryFolder(name: string, mebibytes = ENOUGH): string {
  const onDisk = process.env["HOOKONCE_TEST_ALL"] === "1";
  return onDisk ? folderOnDisk(name) : folderInMemory(name, mebibytes);
}

export const folderOnDisk = (name: string): string => mkdtempSync(join(tmpdir(), `hookonce-${name}-`));

/** The same in the full run, too. */
export function folderInMemory(name: string, mebibytes: number): string {
  const parent = freeInMemory() >= mebibytes ? MEMORY : tmpdir();
  return mkdtempSync(join(parent, `hookonce-${name}-`));
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
