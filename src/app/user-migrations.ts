import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { readMarkedTextFile } from "../config/text-file.ts";
import { unreadable, type Problem } from "../errors.ts";
import type { Migration } from "../engines/store.ts";

/**
 * The inbox folder's `migrations/*.sql` in the order of their names, a problem for each that cannot be read,
 * and a warning for each that will not be applied.
 */
export function readUserMigrations(inboxFolder: string): {
  migrations: Migration[];
  problems: Problem[];
  warnings: Problem[];
} {
  const migrations: Migration[] = [];
  const problems: Problem[] = [];
  const warnings: Problem[] = [];
  const attempt = (file: string, work: () => void): void => {
    try {
      work();
    } catch (error) {
      problems.push(unreadable(file, error));
    }
  };
  const folder = join(inboxFolder, "migrations");
  if (!existsSync(folder)) return { migrations, problems, warnings };
  attempt("migrations", () => {
    for (const name of readdirSync(folder).sort()) {
      if (!/\.sql$/i.test(name) || name.startsWith(".")) continue;
      const file = `migrations/${name}`;
      if (!name.endsWith(".sql")) {
        warnings.push({
          file,
          message: "is never applied: the ending is in capitals. Rename it to end in .sql",
        });
        continue;
      }
      attempt(file, () => migrations.push({ name, file, sql: readMarkedTextFile(join(folder, name)) }));
    }
  });
  return { migrations, problems, warnings };
}
