import type { Database } from "bun:sqlite";
import { chmodSync, existsSync, rmSync, statSync } from "node:fs";
import { HookonceError, messageOf } from "../../errors.ts";

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
  const discard = (): void => rmSync(copy, { force: true });
  const copy = `${path}.before-${migration.replace(/\.sql$/, "").replaceAll(/[^\w-]/g, "_")}-${stamp}`;
  if (existsSync(copy))
    throw new HookonceError(
      "migration_failed",
      `The copy ${copy} exists already. Move it away, then start again.`,
    );
  try {
    db.query("vacuum into ?").run(copy);
    // Give the copy the permissions of the database.
    chmodSync(copy, statSync(path).mode & 0o777);
  } catch (error) {
    discard();
    throw new HookonceError(
      "migration_failed",
      `Cannot copy the database to ${copy}: ${messageOf(error)}. Nothing was migrated: make room for the copy, then start again.`,
      { cause: error },
    );
  }
  return { path: copy, discard };
}
