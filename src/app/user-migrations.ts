import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Migration } from "../storage/migrations.ts";

/** The inbox folder's `migrations/*.sql`, in the order of their names. */
export function readUserMigrations(inboxFolder: string): Migration[] {
  const folder = join(inboxFolder, "migrations");
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith(".sql") && !name.startsWith("."))
    .sort()
    .map((name) => ({ name, file: `migrations/${name}`, sql: readFileSync(join(folder, name), "utf8") }));
}
