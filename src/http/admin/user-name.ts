import { CString, FFIType, read, type Pointer } from "bun:ffi";
import { userInfo } from "node:os";
import { openLibc } from "../../engines/libc.ts";

/**
 * The name of this process's user, for the audit list. It is the name of the user id, because Bun's `userInfo()`
 * takes the name from $USER, which anyone can set.
 */
export function userName(): string {
  const uid = process.getuid?.();
  // Windows has no user ids.
  if (uid === undefined) return asHeader(userInfo().username);
  const libc = openLibc({ getpwuid: { args: [FFIType.u32], returns: FFIType.ptr } });
  const entry = (libc?.getpwuid(uid) ?? null) as Pointer | null;
  // A container may run as a user without a name.
  return entry === null ? `uid ${uid}` : asHeader(nameIn(entry));
}

/** The name is the first field: https://man7.org/linux/man-pages/man3/getpwnam.3.html */
function nameIn(entry: Pointer): string {
  return new CString(read.ptr(entry, 0));
}

function asHeader(name: string): string {
  return name.replaceAll(/[^\x21-\x7e]/g, "?");
}
