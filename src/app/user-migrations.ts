import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { unreadable, type Problem } from "../errors.ts";
import type { Migration } from "../engines/store.ts";

/**
 * The inbox folder's `migrations/*.sql` in the order of their names, and a problem for each that cannot be
 * read.
 */
export function readUserMigrations(inboxFolder: string): { migrations: Migration[]; problems: Problem[] } {
  const migrations: Migration[] = [];
  const problems: Problem[] = [];
  const attempt = (file: string, work: () => void): void => {
    try {
      work();
    } catch (error) {
      problems.push(unreadable(file, error));
    }
  };
  const folder = join(inboxFolder, "migrations");
  if (!existsSync(folder)) return { migrations, problems };
  attempt("migrations", () => {
    for (const name of readdirSync(folder).sort()) {
      if (!name.endsWith(".sql") || name.startsWith(".")) continue;
      const file = `migrations/${name}`;
      attempt(file, () => migrations.push({ name, file, sql: readFileSync(join(folder, name), "utf8") }));
    }
  });
  return { migrations, problems };
}
