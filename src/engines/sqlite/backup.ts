import type { Database } from "bun:sqlite";
import { rmSync } from "node:fs";
import { HookonceError, withCode } from "../../errors.ts";
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
 * Copies the whole database to a file beside it, before an existing database is migrated. Blocks for about 2
 * ms per MB.
 *
 * @throws HookonceError `migration_failed` if the copy exists already or cannot be made. Nothing has been
 * migrated then.
 */
export function copyBeforeMigration(db: Database, path: string, migration: string, now: number): Copy {
  const stamp = new Date(now).toISOString().replaceAll(/[:.]/g, "-");
  const copy = `${path}.before-${migration.replace(/\.sql$/, "").replaceAll(/[^\w-]/g, "_")}-${stamp}`;
  const discard = (): void => rmSync(copy, { force: true });
  try {
    // It holds payloads, so only the owner may read it. VACUUM INTO accepts an empty file.
    if (!makePrivateFile(copy)) {
      throw new HookonceError(
        "migration_failed",
        `The copy ${copy} exists already. Move it away, then start again.`,
      );
    }
    db.query("vacuum into ?").run(copy);
  } catch (error) {
    if (error instanceof HookonceError) throw error;
    discard();
    const full = refusalOf(error, path, "");
    if (full.code === "disk_full") throw full;
    throw new HookonceError(
      "migration_failed",
      `Cannot copy the database to ${copy}: ${withCode(error)}. Nothing was migrated: make room for the copy, then start again.`,
      { cause: error },
    );
  }
  return { path: copy, discard };
}
