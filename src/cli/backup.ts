import { backUp } from "../app/backup.ts";
import { counted } from "../logging/counted.ts";
import { visible } from "../logging/visible.ts";
import { EXIT } from "./exit.ts";
import { shellWord } from "./init.ts";
import { roundSize } from "./retention-lines.ts";
import { complain, progress, say } from "./terminal.ts";
import { UsageError } from "./usage-error.ts";

export interface BackupFlags {
  secrets?: boolean;
  overwrite?: boolean;
  database?: string;
}

/** `hookonce backup`: exits with 1 if there is no whole backup. */
export async function runBackup(file: string, folder: string, flags: BackupFlags): Promise<number> {
  const toOutput = file === "-";
  if (toOutput && process.stdout.isTTY)
    throw new UsageError("standard output is a terminal. Name a file, or pipe the backup to a command");
  const { signal, end } = stopOnSignal();
  try {
    const made = await backUp({
      folder,
      file: toOutput ? null : file,
      database: flags.database,
      secrets: flags.secrets === true,
      overwrite: flags.overwrite === true,
      signal,
      onProgress: (step, done, bytes) => progress(`${step}: ${roundSize(done)} of ${roundSize(bytes)}`),
    });
    progress("");
    for (const warning of made.warnings) complain(`warning: ${visible(warning)}`);
    // Standard output is the backup itself.
    const tell = toOutput ? complain : say;
    const { leftOut, databaseBytes, elsewhere } = made;
    const whole = databaseBytes === null ? "" : `the database (${roundSize(databaseBytes)}) and `;
    tell(
      `Backed up${toOutput ? "" : ` to ${file}`}: ${roundSize(made.bytes)}, with ${whole}${counted(made.files, "file")}.`,
    );
    if (elsewhere !== null)
      tell(
        visible(
          `The database is not in it, because it is on PostgreSQL: ${elsewhere}. Back it up with pg_dump, with all of its schemas: hookonce's tables and yours belong together.`,
        ),
      );
    if (leftOut.length > 0)
      tell(
        `Left out, because they hold secrets: ${visible(leftOut.join(", "))}. Keep a copy elsewhere, or add --secrets.`,
      );
    if (flags.secrets === true) tell("It holds the secrets. Keep it where nobody else can read it.");
    if (!toOutput)
      tell(
        `To prove that it ${elsewhere === null ? "starts" : "is whole"}: hookonce check --backup ${shellWord(file)}`,
      );
    return EXIT.done;
  } catch (error) {
    progress("");
    if (!signal.aborted) throw error;
    complain("hookonce: the backup was stopped. Nothing was left.");
    return EXIT.failed;
  } finally {
    end();
  }
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** The first signal ends the work in order, so that nothing is left behind. */
export function stopOnSignal(): { readonly signal: AbortSignal; readonly end: () => void } {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  for (const name of SIGNALS) process.once(name, abort);
  return {
    signal: controller.signal,
    end() {
      for (const name of SIGNALS) process.off(name, abort);
    },
  };
}
