import { readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";

export const OPEN_FILES = "/proc/self/fd";

/** The descriptors under which this process has a file open. Empty on systems without /proc. */
export function descriptorsOf(realPath: string): number[] {
  try {
    return readdirSync(OPEN_FILES)
      .filter((name) => targetOf(name) === realPath)
      .map(Number);
  } catch {
    return [];
  }
}

function targetOf(descriptor: string): string | undefined {
  try {
    return readlinkSync(join(OPEN_FILES, descriptor));
  } catch {
    return undefined; // the descriptor of /proc/self/fd itself, closed since readdir
  }
}
