import { writeSync } from "node:fs";
import type { BackupOrder, BackupStarted } from "../app/backup-process.ts";
import { startBackup } from "../app/backup-start.ts";
import { check } from "../app/check.ts";
import { NOTHING_FOUND, type CheckFound, type CheckOrder } from "../app/check-process.ts";
import { limitChild } from "../app/child-limits.ts";
import type { ChildOrder } from "../app/child-process.ts";
import { refuseUnsigned, warnOfUnsigned } from "../app/unsigned-sources.ts";
import { onStrayOutput } from "../engines/handler-output.ts";
import { exitProcess } from "../engines/handler-process.ts";
import { HookonceError, messageOf } from "../errors.ts";

/** Checks a folder before a running `serve` reloads it, in a separate process. */
export async function runCheckChild(): Promise<never> {
  const order = (await readOrder()) as CheckOrder;
  return answer(order, await findIn(order));
}

/** Opens an unpacked backup, in a separate process. */
export async function runBackupChild(): Promise<never> {
  const order = (await readOrder()) as BackupOrder;
  return answer(order, await startBackup(order));
}

async function readOrder(): Promise<ChildOrder> {
  const order = JSON.parse(await Bun.stdin.text()) as ChildOrder;
  limitChild(order.parent, order.leftMs);
  // The top level of a handler may write.
  onStrayOutput(() => {});
  return order;
}

function answer({ token }: ChildOrder, found: CheckFound | BackupStarted): never {
  writeSync(1, `\n${token}${JSON.stringify(found)}\n`);
  return exitProcess(0);
}

async function findIn({ folder, database, dev, dropped }: CheckOrder): Promise<CheckFound> {
  try {
    const { problems, failing, warnings, sources, pending } = await check(folder, {
      environment: process.env,
      clock: Date.now,
      database,
      dropped,
    });
    // Here it is known whether they are served.
    const ofUnsigned = new Set(warnOfUnsigned(sources).map(({ message }) => message));
    return {
      problems: [...problems, ...(dev ? [] : refuseUnsigned(sources))],
      failing,
      warnings: warnings.filter(({ message }) => !ofUnsigned.has(message)),
      pending,
    };
  } catch (error) {
    if (!(error instanceof HookonceError)) throw error;
    const problems = error.problems.length > 0 ? error.problems : [{ message: messageOf(error) }];
    return { ...NOTHING_FOUND, problems };
  }
}
