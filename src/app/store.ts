import { POSTGRES_NOT_YET, type DatabaseLocation } from "../config/location.ts";
import { sqliteStore } from "../engines/sqlite/store.ts";
import type { Store } from "../engines/store.ts";
import { HookonceError } from "../errors.ts";

/** Chooses the engine of a database. No other file does. An inbox on SQLite loads no other engine. */
export function storeOf(location: DatabaseLocation): Promise<Store> {
  if (location.kind === "file") return Promise.resolve(sqliteStore(location.path));
  return Promise.reject(new HookonceError("config_invalid", `${POSTGRES_NOT_YET}.`));
}
