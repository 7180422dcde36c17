import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { readUserMigrations } from "../../src/app/user-migrations.ts";
import type { Migration, StartLog } from "../../src/engines/store.ts";
import { openStore } from "../../src/engines/sqlite/start.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/** The databases, by the migrations of their folders. Undefined: these migrations cannot be applied. */
const made = new Map<string, Uint8Array | undefined>();

/**
 * Gives a new inbox folder the database that a first start without sources leaves behind. To make the tables anew
 * takes 15 of the 25 ms of a test's start. The full run makes them each time, as the first start of a user does.
 */
export function giveStartedDatabase(folder: string, config: string): void {
  if (process.env["HOOKONCE_TEST_ALL"] === "1" || /^database\b/m.test(config)) return;
  const database = join(folder, "data/hookonce.db");
  const { migrations, problems } = readUserMigrations(folder);
  if (problems.length > 0 || existsSync(database)) return;
  const key = JSON.stringify(migrations);
  if (!made.has(key)) made.set(key, make(migrations));
  const bytes = made.get(key);
  if (bytes === undefined) return;
  mkdirSync(dirname(database), { recursive: true, mode: 0o700 });
  writeFileSync(database, bytes, { mode: 0o600 });
}

const ignore = (): void => {};

const SILENT: StartLog = { debug: ignore, info: ignore, warn: ignore, error: ignore };

function make(migrations: readonly Migration[]): Uint8Array | undefined {
  const folder = temporaryFolder("started");
  const database = join(folder, "hookonce.db");
  const plan = { convertToWal: false, acceptIdChange: false, now: Date.now() };
  try {
    openStore(database, { ...plan, rules: [], migrations }, SILENT).close();
    return new Uint8Array(readFileSync(database));
  } catch {
    return undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
