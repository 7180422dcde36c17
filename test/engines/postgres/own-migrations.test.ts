import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { ownMigrations } from "../../../src/engines/postgres/own-migrations.ts";

test("all migrations of hookonce's own tables are embedded", () => {
  const files = readdirSync(join(import.meta.dir, "../../../drizzle/postgres")).sort();
  expect(ownMigrations.map(({ name }) => name)).toEqual(files);
});
