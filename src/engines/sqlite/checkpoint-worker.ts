import { SQLiteError, type Database, type Statement } from "bun:sqlite";
import { fsyncSync, readlinkSync, realpathSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { messageOf } from "../../errors.ts";
import { descriptorsOf } from "./descriptors.ts";
import { openForCheckpoints } from "./open.ts";
import { troubleOf, type Trouble } from "./sqlite-error.ts";
import { createWriteOut, type WriteOut } from "./write-out.ts";

/** What runs in the thread of its own (checkpoint-thread.ts): one passive checkpoint for each `pass`, on a connection of its own. */

declare const self: Worker;

/** `open` comes first, `close` last; each is answered once. */
export type Order = { readonly open: string } | "pass" | "close";

/** What a pass came to; null when all went well, as of opening and closing. */
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
      // SQLite does so only when nothing of the log is left, and then for all passes together: 30 ms that the writer would wait for.
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
    // What is not SQLite's is the failed sync: it must not pass, or SQLite's own would then falsely succeed.
    const trouble = error instanceof SQLiteError ? troubleOf(error) : "fatal";
    return { trouble, message: messageOf(error) };
  }
}

/** Where there are no more than two cores, those who are waiting for an answer come first: 2 % more events a second. */
function giveWay(): void {
  try {
    // "1234/task/1240": to Linux a thread's number is as good as a process's. Elsewhere there is no such file.
    const thread = readlinkSync("/proc/thread-self").split("/").at(-1);
    setPriority(Number(thread), constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // It works all the same.
  }
}
