import {
  POSTGRES_NOT_YET,
  type DatabaseLocation,
  type FileLocation,
  type PostgresLocation,
} from "../config/location.ts";
import type { PostgresTarget } from "../config/postgres.ts";
import { createSecretLookup } from "../config/secrets.ts";
import { handlerModules } from "../engines/sqlite/sqlite-engine.ts";
import { sqliteStore } from "../engines/sqlite/store.ts";
import type { Engine } from "../engines/engine.ts";
import type { MoveIn, MoveOut } from "../engines/move.ts";
import type { Store } from "../engines/store.ts";
import { HookonceError } from "../errors.ts";

/*
 * Chooses the engine of a database. No other file does. An inbox on SQLite loads no other engine.
 */

export function storeOf(location: DatabaseLocation): Promise<Store> {
  if (location.kind === "file") return Promise.resolve(sqliteStore(location.path));
  return Promise.reject(notYet());
}

/** What handlers may import of the engine. Null: it is not known which database is meant. */
export function handlerModulesOf(location: DatabaseLocation | null): ReturnType<Engine["handlerModules"]> {
  if (location === null || location.kind === "file") return handlerModules();
  return Promise.reject(notYet());
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
  const [{ openMoveOut }, { openMoveIn }] = await Promise.all([
    import("../engines/sqlite/move-out.ts"),
    import("../engines/postgres/open-move-in.ts"),
  ]);
  const out = openMoveOut(from.path);
  try {
    return { out, into: await openMoveIn(await targetOf(to), now) };
  } catch (error) {
    out.close();
    throw error;
  }
}

/** @throws HookonceError `config_invalid` with every problem of the URLs and their secrets */
async function targetOf(location: PostgresLocation): Promise<PostgresTarget> {
  const { readTarget } = await import("../config/postgres.ts");
  const { target, problems } = readTarget(location, createSecretLookup(location.folder, process.env));
  if (target !== null) return target;
  throw new HookonceError("config_invalid", "The database cannot be reached as it is configured.", {
    problems: problems.map(({ message }) => ({ message: `database: ${message}` })),
  });
}

const notYet = (): HookonceError => new HookonceError("config_invalid", `${POSTGRES_NOT_YET}.`);
