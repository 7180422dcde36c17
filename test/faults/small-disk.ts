import { spawnSync } from "node:child_process";
import { mkdirSync, rmdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { needsCommand, needsLinux, needsRoot, type Reason } from "../crash/requirements.ts";

/** Tries a mount, because root in a container may lack the permission. */
export function needsMount(): Reason {
  const reason = needsLinux() ?? needsRoot() ?? needsCommand("mount");
  if (reason !== undefined) return reason;
  const directory = join(tmpdir(), `hookonce-mount-${process.pid}`);
  mkdirSync(directory);
  const mounted = mount(directory, 1);
  if (mounted === 0) spawnSync("umount", [directory]);
  rmdirSync(directory);
  return mounted === 0 ? undefined : "needs the right to mount a tmpfs";
}

function mount(directory: string, mebibytes: number): number | null {
  return spawnSync("mount", ["-t", "tmpfs", "-o", `size=${mebibytes}m`, "hookonce-test", directory]).status;
}

/** Mounts a disk of this many MiB on an empty directory. */
export function mountSmallDisk(directory: string, mebibytes: number): AsyncDisposable & SmallDisk {
  if (mount(directory, mebibytes) !== 0) throw new Error(`cannot mount a tmpfs on ${directory}`);
  const filler = join(directory, "filler");
  return {
    fill(bytes) {
      const size = bytes === undefined ? [] : [`count=${Math.ceil(bytes / 4096)}`];
      spawnSync("dd", ["if=/dev/zero", `of=${filler}`, "bs=4096", ...size]);
    },
    free: () => rm(filler, { force: true }),
    async [Symbol.asyncDispose]() {
      // Lazy, because a failed test may leave its server running for a moment.
      spawnSync("umount", ["--lazy", directory]);
    },
  };
}

export interface SmallDisk {
  /** Writes a file of this size, or one that fills the disk. */
  fill(bytes?: number): void;
  free(): Promise<void>;
}
