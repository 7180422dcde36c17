import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import { startBackup } from "../../src/app/backup-start.ts";
import { fileAt } from "../../src/config/location.ts";
import { scratch } from "../cli/support/hookonce.ts";

test.each([
  ["is missing", undefined, "does not exist"],
  ["is not TOML", "version = [", "hookonce.toml"],
  ["names a secret in a wrong place", 'version = 1\nwhere = "env:A"\n', "where"],
])("a backup whose config %s does not start, and the reason is named", async (_, toml, reason) => {
  using folder = scratch(toml === undefined ? {} : { "hookonce.toml": toml });
  const database = join(folder.path, "hookonce.db");
  new Database(database).run("create table users (name text)");
  const { startProblems, events } = await startBackup({ folder: folder.path, database: fileAt(database) });
  expect(events).toBe(0);
  expect(JSON.stringify(startProblems)).toContain(reason);
});
