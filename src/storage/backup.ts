import type { Database } from "bun:sqlite";
import { chmodSync, existsSync, statSync } from "node:fs";
import { HookonceError, messageOf } from "../errors.ts";

/**
 * A copy of the whole database beside it, made before an existing one is migrated. Blocks for about 2 ms per MB.
 *
 * @returns the copy's path
 * @throws HookonceError `migration_failed` when there is no room for it: nothing was migrated
 */
export function copyBeforeMigration(db: Database, path: string, migration: string, now: number): string {
  const stamp = new Date(now).toISOString().replaceAll(/[:.]/g, "-");
  const copy = `${path}.before-${migration.replace(/\.sql$/, "").replaceAll(/[^\w-]/g, "_")}-${stamp}`;
  if (existsSync(copy))
    throw new HookonceError("migration_failed", `Will not overwrite ${copy}: move it away.`);
  try {
    db.prepare("vacuum into ?").run(copy);
    // As private as what it is a copy of.
    chmodSync(copy, statSync(path).mode & 0o777);
  } catch (error) {
    throw new HookonceError(
      "migration_failed",
      `Could not copy the database to ${copy} before migrating it, so nothing was migrated: ${messageOf(error)}`,
      { cause: error },
    );
  }
  return copy;
}
