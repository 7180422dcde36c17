import { readConfig } from "../config/load.ts";
import { besideOf, type DatabaseLocation } from "../config/location.ts";
import { usableSettings } from "../config/usable-settings.ts";
import { HookonceError } from "../errors.ts";
import { connectToServe, socketPathOf, type AdminClient } from "../http/admin/socket.ts";
import { secretNeeds } from "./sources.ts";
import { storeOf } from "./store.ts";

/** A `serve` has no socket for a moment when it starts and when it stops. In milliseconds. */
const WAIT_MS = 1000;
const POLL_MS = 50;

/**
 * Reaches the `serve` of a database over its socket.
 *
 * @returns undefined if none runs
 * @throws HookonceError `serve_unreachable` if one runs but has no socket or does not answer, `permission_denied`
 */
export async function reachServe(database: DatabaseLocation): Promise<AdminClient | undefined> {
  const beside = besideOf(database);
  const deadline = performance.now() + WAIT_MS;
  for (;;) {
    const client = await connectToServe(beside);
    if (client !== undefined) return client;
    const holder = (await storeOf(database)).servedBy();
    if (holder === undefined) return undefined;
    if (performance.now() >= deadline)
      throw new HookonceError(
        "serve_unreachable",
        `A hookonce serve runs (${holder}), but its socket ${socketPathOf(beside)} is not there. If it starts or stops now, run the command again in a moment. Otherwise restart it.`,
      );
    await Bun.sleep(POLL_MS);
  }
}

/**
 * Reaches the `serve` of an inbox folder, whose config may have errors.
 *
 * @param folder absolute
 * @returns undefined if none runs
 * @throws HookonceError `config_invalid` if the config does not say which database is used; what
 *   {@link reachServe} throws
 */
export async function reachServeOf(folder: string): Promise<AdminClient | undefined> {
  const { config, problems } = readConfig(folder, secretNeeds, null);
  const { database } = config ?? usableSettings(folder);
  if (database !== null) return reachServe(database);
  throw new HookonceError("config_invalid", "hookonce.toml does not say which database is used.", {
    problems,
  });
}
