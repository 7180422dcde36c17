import type { Database } from "bun:sqlite";
import { existsSync, rmSync } from "node:fs";
import { HookonceError, withCode } from "../../errors.ts";
import { nameFile } from "../new-file.ts";
import { makePrivateFile } from "./private-file.ts";
import { refusalOf } from "./sqlite-error.ts";

export interface Copy {
  readonly path: string;
  /**
   * Deletes the copy. Called when no migration was applied: otherwise every failing start would leave a copy.
   */
  discard(): void;
}

/**
 * Copies the whole database to a file beside it, before an existing database is migrated. The copy gets its
 * name only when it is complete and on the disk, so an interrupted copy is never taken for a backup. Blocks
 * for about 2 ms per MB, and for the sync. Call it only while holding the lock of the database.
 *
 * @throws HookonceError `migration_failed` if the copy exists already or cannot be made. Nothing has been
 * migrated then.
 */
export function copyBeforeMigration(db: Database, path: string, migration: string, now: number): Copy {
  const stamp = new Date(now).toISOString().replaceAll(/[:.]/g, "-");
  const copy = `${path}.before-${migration.replace(/\.sql$/, "").replaceAll(/[^\w-]/g, "_")}-${stamp}`;
  const unfinished = `${path}.copying`;
  try {
    if (existsSync(copy)) throw existsAlready(copy);
    removeUnfinished(unfinished);
    // It holds payloads, so only the owner may read it. VACUUM INTO accepts an empty file.
    makePrivateFile(unfinished);
    db.query("vacuum into ?").run(unfinished);
    if (!nameFile(unfinished, copy)) throw existsAlready(copy);
  } catch (error) {
    removeUnfinished(unfinished);
    if (error instanceof HookonceError) throw error;
    const full = refusalOf(error, path, "");
    if (full.code === "disk_full") throw full;
    throw new HookonceError(
      "migration_failed",
      `Cannot copy the database to ${copy}: ${withCode(error)}. Nothing was migrated: make room for the copy, then start again.`,
      { cause: error },
    );
  }
  return { path: copy, discard: () => rmSync(copy, { force: true }) };
}

/** A journal that an interrupted copy left would be rolled back into the next one. */
function removeUnfinished(unfinished: string): void {
  for (const suffix of ["", "-journal"]) rmSync(unfinished + suffix, { force: true });
}

function existsAlready(copy: string): HookonceError {
  return new HookonceError(
    "migration_failed",
    `The copy ${copy} exists already. Move it away, then start again.`,
  );
}
