import { realpathSync } from "node:fs";
import { join } from "node:path";
import { stackOf } from "../errors.ts";
import { isOfHandler, reportOf } from "../engines/late-error.ts";
import type { Log } from "../logging/log.ts";
import { endProcess } from "./end-process.ts";

/**
 * Ends the process after an uncaught error in hookonce's own code. The next start recovers from the database.
 * An error from a user's handler after it has returned (a timer, a promise, a fetch that was not awaited) is
 * only logged, because the gate has refused its writes.
 */
export function failStop(inboxFolder: string, log: Log, end: (code: number) => void): void {
  // src/, or its equivalent in the compiled binary.
  const ownCode = join(import.meta.dir, "..");
  const handlers = namesOf(join(inboxFolder, "handlers"));
  const onError = (error: unknown): void => {
    const stack = stackOf(error) ?? "";
    if (isOfHandler(error) || !stack.includes(ownCode) || handlers.some((folder) => stack.includes(folder))) {
      log.logger.error(
        reportOf(error),
        "a handler failed after it had returned; none of its late writes were stored",
      );
      return;
    }
    log.logger.fatal({ err: error }, "uncaught error");
    end(1);
    exitNow(log);
  };
  process.on("uncaughtException", onError);
  process.on("unhandledRejection", onError);
}

/** Ends the process without another write to its database, which can no longer be trusted. */
export function exitNow(log: Log): never {
  log.flushBeforeExit();
  return endProcess(1);
}

/** The folder as given, and with symbolic links resolved, as stacks show it. */
function namesOf(folder: string): string[] {
  try {
    return [folder, realpathSync(folder)];
  } catch {
    return [folder];
  }
}
