import { cp, mkdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { needsCommand, needsLinux, type Reason } from "./requirements.ts";

const source = join(import.meta.dir, "fsync-shim.c");

export function needsShim(): Reason {
  return needsLinux() ?? needsCommand("cc");
}

/** Compiles the shim once per version of its source. Test files that run in parallel share it. */
export async function buildShim(): Promise<string> {
  const hash = Bun.hash(await Bun.file(source).bytes()).toString(16);
  const library = join(tmpdir(), `hookonce-fsync-shim-${hash}.so`);
  if (await Bun.file(library).exists()) return library;
  const partial = `${library}.${process.pid}`;
  await Bun.$`cc -shared -fPIC -O2 -o ${partial} ${source} && mv ${partial} ${library}`.quiet();
  return library;
}

export interface Disk {
  /**
   * The environment of the process that uses this disk. `writeback` is the percentage of its writes that
   * reach the disk without a sync, in random order. The default is 0. `fail` is `NAME:N`: the Nth sync of the
   * file whose path ends with NAME fails, and what it should have synced is lost unless it is written again.
   */
  environment(options?: { writeback?: number; fail?: string }): Record<string, string>;
  /** Drops everything that was not synced. Call it after the process has ended. */
  losePower(): Promise<void>;
}

export interface DiskOptions {
  /** The directory on this disk. It may exist already. Its files then count as durable. */
  directory: string;
  /** The folder for the durable copy. It must not exist. */
  shadow: string;
  /**
   * How long a sync takes, in µs. 300 is an ordinary SSD, and enough to catch an answer given before the
   * sync.
   */
  syncDelayUs?: number;
}

/** Simulates a disk that keeps only synced data. fsync-shim.c describes the model. */
export async function simulateDisk(options: DiskOptions): Promise<Disk> {
  const { directory, shadow, syncDelayUs = 300 } = options;
  const library = await buildShim();
  await mkdir(directory, { recursive: true });
  await cp(directory, shadow, { recursive: true, filter: isNotSharedMemory });
  return {
    environment: ({ writeback = 0, fail } = {}) => ({
      LD_PRELOAD: library,
      FSYNC_SHIM_WATCH: directory,
      FSYNC_SHIM_SHADOW: shadow,
      FSYNC_SHIM_DELAY_US: String(syncDelayUs),
      FSYNC_SHIM_WRITEBACK: String(writeback),
      ...(fail === undefined ? {} : { FSYNC_SHIM_FAIL: fail }),
      FSYNC_SHIM_SEED: String(Math.floor(Math.random() * 2 ** 31)),
    }),
    async losePower() {
      await rm(directory, { recursive: true, force: true });
      await cp(shadow, directory, { recursive: true });
    },
  };
}

function isNotSharedMemory(path: string): boolean {
  return !path.endsWith("-shm");
}
