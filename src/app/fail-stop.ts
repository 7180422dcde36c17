import { realpathSync } from "node:fs";
import { join } from "node:path";
import { messageOf, stackOf } from "../errors.ts";
import { isOfHandler } from "../handlers/late-error.ts";
import type { Log } from "../logging/log.ts";

/**
 * An error of hookonce's own that nobody caught ends the process: whatever it left behind, the next start recovers from the database.
 * What comes out of a user's handler after it has returned (a timer, a promise, a fetch that was not awaited) is survived: its writes
 * were refused at the gate.
 */
export function failStop(inboxFolder: string, log: Log, end: (code: number) => void): void {
  // src/, or what the compiled binary has in its place.
  const ownCode = join(import.meta.dir, "..");
  const handlers = namesOf(join(inboxFolder, "handlers"));
  const onError = (error: unknown): void => {
    const stack = stackOf(error) ?? "";
    if (isOfHandler(error) || !stack.includes(ownCode) || handlers.some((folder) => stack.includes(folder))) {
      log.logger.error(
        { cause: messageOf(error) },
        "a handler failed after it had returned; nothing of that was written",
      );
      return;
    }
    log.logger.fatal({ err: error }, "an error that nobody caught");
    end(1);
    exitNow(log);
  };
  process.on("uncaughtException", onError);
  process.on("unhandledRejection", onError);
}

export function exitNow(log: Log): never {
  log.flushBeforeExit();
  process.exit(1);
}

/** As it was given, and as a stack has it, where links are followed. */
function namesOf(folder: string): string[] {
  try {
    return [folder, realpathSync(folder)];
  } catch {
    return [folder];
  }
}
