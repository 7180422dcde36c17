import { FFIType } from "bun:ffi";
import { exitProcess } from "../engines/handler-process.ts";
import { openLibc } from "../engines/libc.ts";

/**
 * Ends the process at once, without closing its databases. A usual exit closes them, and the last connection
 * moves the write-ahead log into the database and deletes the log. After a failed sync, that loses events:
 * the kernel has dropped the pages that it could not write, and the next sync succeeds without them. The
 * deleted log was the last copy.
 */
export function endProcess(code: number): never {
  openLibc({ _exit: { args: [FFIType.i32], returns: FFIType.void } })?.["_exit"](code);
  // Windows has no _exit.
  return exitProcess(code);
}
