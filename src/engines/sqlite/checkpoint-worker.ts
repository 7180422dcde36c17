import { SQLiteError, type Database, type Statement } from "bun:sqlite";
import { fsyncSync, readlinkSync, realpathSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { messageOf } from "../../errors.ts";
import { descriptorsOf } from "./descriptors.ts";
import { openForCheckpoints } from "./open.ts";
import { troubleOf, type Trouble } from "./sqlite-error.ts";
import { createWriteOut, type WriteOut } from "./write-out.ts";

/**
 * The code of the checkpoint thread (checkpoint-thread.ts): a passive checkpoint per `pass`, on a separate
 * connection.
 */

declare const self: Worker;

/** The first order is `open`, the last is `close`. Each is answered with one report. */
export type Order = { readonly open: string } | "pass" | "close";

/** The result of an order: null if it succeeded. */
export type Report = { readonly trouble: Trouble; readonly message: string } | null;

let connection: Database | undefined;
let move: Statement | undefined;
let file: number | undefined;
let writeOut: WriteOut | undefined;

self.addEventListener("message", ({ data }: MessageEvent<Order>) => self.postMessage(carryOut(data)));

function carryOut(order: Order): Report {
  try {
    if (order === "pass") {
      move?.values();
      // SQLite syncs the database only when the whole log has been moved, for all passes at once. The writer
      // would wait 30 ms for that.
      writeOut?.();
      if (file !== undefined) fsyncSync(file);
    } else if (order === "close") {
      move?.finalize();
      connection?.close(true);
    } else {
      giveWay();
      connection = openForCheckpoints(order.open);
      [file] = descriptorsOf(realpathSync(order.open));
      writeOut = file === undefined ? undefined : createWriteOut(file);
      move = connection.query("pragma wal_checkpoint(passive)");
    }
    return null;
  } catch (error) {
    // Any other error is a failed sync. It must be fatal: SQLite's own sync could falsely succeed afterwards.
    const trouble = error instanceof SQLiteError ? troubleOf(error) : "fatal";
    return { trouble, message: messageOf(error) };
  }
}

/**
 * Lowers the thread's priority, so that on two cores the deliveries come first: 2 % more events per second.
 */
function giveWay(): void {
  try {
    // The link reads "1234/task/1240". Linux takes a thread id for a process id. Other systems have no such
    // file.
    const thread = readlinkSync("/proc/thread-self").split("/").at(-1);
    setPriority(Number(thread), constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // The priority is only an optimization.
  }
}
