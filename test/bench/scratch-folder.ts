import { mkdirSync, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface ScratchFolder {
  /** Makes a new folder in it and returns its path. */
  make(name: string): string;
  remove(folder: string): void;
  /** Free space in bytes. */
  free(): number;
  readonly inMemory: boolean;
}

const TMPFS = 0x01021994;

/** Creates a folder for all files of a run. It is always removed, because it grows to some gigabytes. */
export function createScratchFolder(): ScratchFolder {
  const root = mkdtempSync(join(tmpdir(), "hookonce-bench-"));
  process.on("exit", () => rmSync(root, { recursive: true, force: true }));
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
  let made = 0;
  return {
    make(name) {
      const folder = join(root, `${++made}-${name}`);
      mkdirSync(folder);
      return folder;
    },
    remove: (folder) => rmSync(folder, { recursive: true, force: true }),
    free() {
      const { bavail, bsize } = statfsSync(root);
      return bavail * bsize;
    },
    inMemory: statfsSync(root).type === TMPFS,
  };
}
