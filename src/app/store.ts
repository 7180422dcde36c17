import type { DatabaseLocation, FileLocation, PostgresLocation } from "../config/location.ts";
import type { PostgresTarget } from "../config/postgres.ts";
import { createSecretLookup } from "../config/secrets.ts";
import { handlerModules } from "../engines/sqlite/sqlite-engine.ts";
import type { Scratch } from "../engines/postgres/scratch.ts";
import { sqliteStore } from "../engines/sqlite/store.ts";
import type { Engine } from "../engines/engine.ts";
import type { MoveIn, MoveOut } from "../engines/move.ts";
import type { FileStore, Store } from "../engines/store.ts";
import { HookonceError } from "../errors.ts";

/*
 * Chooses the engine of a database. No other file does. An inbox on SQLite loads no other engine.
 */

/** @throws HookonceError `config_invalid` if the URLs of PostgreSQL cannot be used */
export async function storeOf(location: FileLocation): Promise<FileStore>;
export async function storeOf(location: DatabaseLocation): Promise<Store>;
export async function storeOf(location: DatabaseLocation): Promise<Store> {
  if (location.kind === "file") return sqliteStore(location.path);
  const { postgresStore } = await import("../engines/postgres/store.ts");
  return postgresStore(await targetOf(location));
}

/** What handlers may import of the engine. Null: it is not known which database is meant. */
export async function handlerModulesOf(
  location: DatabaseLocation | null,
): ReturnType<Engine["handlerModules"]> {
  if (location === null || location.kind === "file") return handlerModules();
  return (await import("../engines/postgres/postgres-engine.ts")).handlerModules();
}

/** Opens an inbox that moves to PostgreSQL. */
export async function openMoveFrom(from: FileLocation): Promise<MoveOut> {
  const { openMoveOut } = await import("../engines/sqlite/move-out.ts");
  return openMoveOut(from.path);
}

/**
 * Opens what moves, and the place that it moves to.
 *
 * @param now Unix milliseconds
 */
export async function openMove(
  from: FileLocation,
  to: DatabaseLocation,
  now: number,
): Promise<{ readonly out: MoveOut; readonly into: MoveIn }> {
  if (to.kind === "file") throw new HookonceError("move_refused", "An inbox moves to PostgreSQL.");
  const { openMoveIn } = await import("../engines/postgres/open-move-in.ts");
  const out = await openMoveFrom(from);
  try {
    return { out, into: await openMoveIn(await targetOf(to), now) };
  } catch (error) {
    out.close();
    throw error;
  }
}

/** The server for tests, in place of that of the inbox. */
const TEST_DATABASE = "HOOKONCE_TEST_DATABASE";

export interface OpenedScratch extends Pick<Scratch, "db" | "drop"> {
  readonly location: PostgresLocation;
}

/**
 * Makes an empty database for a test.
 *
 * @param beside the path beside which the test's inbox keeps its files
 * @throws HookonceError `config_invalid`, `database_unreachable`
 */
export async function openScratch(inbox: PostgresLocation, beside: string): Promise<OpenedScratch> {
  const url = process.env[TEST_DATABASE] ?? "";
  const location = url === "" ? inbox : { ...inbox, urls: [url] };
  const target = await targetOf(location, url === "" ? "database" : TEST_DATABASE);
  const { createScratch } = await import("../engines/postgres/scratch.ts");
  const { name, ...scratch } = await createScratch(target);
  return { ...scratch, location: { ...location, scratch: { database: name, beside } } };
}

/** @throws HookonceError `config_invalid` with every problem of the URLs and their secrets */
async function targetOf(location: PostgresLocation, key = "database"): Promise<PostgresTarget> {
  const { readTarget } = await import("../config/postgres.ts");
  const { target, problems } = readTarget(location, createSecretLookup(location.folder, process.env));
  if (target !== null) return target;
  throw new HookonceError("config_invalid", "The database cannot be reached as it is configured.", {
    problems: problems.map(({ message }) => ({ message: `${key}: ${message}` })),
  });
}
