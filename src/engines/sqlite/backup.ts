import type { Database } from "bun:sqlite";
import { chmodSync, existsSync, rmSync, statSync } from "node:fs";
import { HookonceError, messageOf } from "../../errors.ts";

export interface Copy {
  readonly path: string;
  /** When nothing was migrated after all: each start that fails would leave one more. */
  discard(): void;
}

/**
 * A copy of the whole database beside it, made before an existing one is migrated. Blocks for about 2 ms per MB.
 *
 * @throws HookonceError `migration_failed` when there is no room for it: nothing was migrated
 */
export function copyBeforeMigration(db: Database, path: string, migration: string, now: number): Copy {
  const stamp = new Date(now).toISOString().replaceAll(/[:.]/g, "-");
  const discard = (): void => rmSync(copy, { force: true });
  const copy = `${path}.before-${migration.replace(/\.sql$/, "").replaceAll(/[^\w-]/g, "_")}-${stamp}`;
  if (existsSync(copy))
    throw new HookonceError("migration_failed", `Will not overwrite ${copy}: move it away.`);
  try {
    db.query("vacuum into ?").run(copy);
    // As private as what it is a copy of.
    chmodSync(copy, statSync(path).mode & 0o777);
  } catch (error) {
    discard();
    throw new HookonceError(
      "migration_failed",
      `Could not copy the database to ${copy} before migrating it, so nothing was migrated: ${messageOf(error)}`,
      { cause: error },
    );
  }
  return { path: copy, discard };
}
