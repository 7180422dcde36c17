import { FFIType } from "bun:ffi";
import { closeSync, constants, fstatSync, openSync, readFileSync, rmSync, statSync } from "node:fs";
import { openLibc } from "../libc.ts";
import { makePrivateFile } from "./private-file.ts";

/** A lock on a database file itself, whatever its names and paths are. */
export interface FileLock {
  release(): void;
}

// https://man7.org/linux/man-pages/man2/flock.2.html
const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;

/**
 * Locks a file with flock, and makes it if it does not exist. The lock belongs to the file and not to its
 * path: it is found through a hard link, a bind mount of the file, and after the file was moved. The kernel
 * releases it however the process ends. It is separate from SQLite's locks, and the application whose
 * database it may be does not notice it.
 *
 * Only Linux has such a lock: on macOS, flock excludes SQLite's own locks, and Windows has none. There, a
 * file with a second name is refused.
 *
 * Call it before SQLite opens the file, and release it after SQLite has closed the file, because closing the
 * descriptor drops SQLite's own locks.
 *
 * @param path without symbolic links
 * @returns undefined if another process has the lock
 * @throws NodeJS.ErrnoException if the file cannot be opened for writing
 * @throws Error if it has a second name and cannot be locked
 */
export function lockFile(path: string, platform = process.platform): FileLock | undefined {
  if (platform !== "linux") return refuseSecondName(path);
  for (;;) {
    const made = makePrivateFile(path);
    const descriptor = openSync(path, constants.O_RDWR);
    if (!tryFlock(descriptor)) {
      closeSync(descriptor);
      return undefined;
    }
    if (isAt(path, descriptor)) return { release: () => release(path, descriptor, made) };
    // The file was replaced between the open and the lock.
    closeSync(descriptor);
  }
}

function refuseSecondName(path: string): FileLock {
  const made = makePrivateFile(path);
  if (statSync(path).nlink > 1)
    throw new Error("the file has a second name (a hard link), under which another process could use it");
  return {
    release() {
      if (made && statSync(path, { throwIfNoEntry: false })?.size === 0) rmSync(path);
    },
  };
}

function tryFlock(descriptor: number): boolean {
  const libc = openLibc({ flock: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 } });
  if (libc === undefined || libc.flock(descriptor, LOCK_EX | LOCK_NB) === 0) return true;
  // Either another process holds the lock, or this file system does not support flock. Then unlocking fails
  // as well.
  return libc.flock(descriptor, LOCK_UN) !== 0;
}

function isAt(path: string, descriptor: number): boolean {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  const { dev, ino } = fstatSync(descriptor, { bigint: true });
  return found?.ino === ino && found.dev === dev;
}

function release(path: string, descriptor: number, made: boolean): void {
  // A refused start leaves no empty file behind.
  if (made && fstatSync(descriptor).size === 0 && isAt(path, descriptor)) rmSync(path);
  closeSync(descriptor);
}

/**
 * Returns the process that has locked a file, for messages. Undefined without /proc, or if the process is in
 * another container.
 */
export function holderOfFile(path: string): string | undefined {
  try {
    const { ino } = statSync(path, { bigint: true });
    // For example: 3: FLOCK  ADVISORY  WRITE 1234 fe:00:2261669 0 EOF
    const locks = readFileSync("/proc/locks", "utf8");
    const pid = new RegExp(String.raw`FLOCK +ADVISORY +WRITE (\d+) \S+:${ino} `).exec(locks)?.[1];
    return pid === undefined || pid === "0" ? undefined : `process ${pid}`;
  } catch {
    return undefined;
  }
}
