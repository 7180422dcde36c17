import { resolve } from "node:path";
import { loadConfig, type Config } from "../config/load.ts";
import { chosenLocation } from "../config/location.ts";
import { createBackgroundJobs, type BackgroundJobs } from "../inbox/background-jobs.ts";
import { viewOfKept } from "../inbox/job-records.ts";
import type { Reader } from "../engines/reader.ts";
import { HookonceError } from "../errors.ts";
import { findHandlers } from "../handlers/find.ts";
import { clientWithin, connectAdmin, type Admin } from "./apply.ts";
import { EMPTY } from "./empty-reader.ts";
import { createSources, secretNeeds } from "./sources.ts";
import { storeOf } from "./store.ts";

export interface LookOptions {
  readonly folder: string;
  /** Replaces the config's database. Relative to the working directory. */
  readonly database?: string | undefined;
}

/**
 * Reaches the API of a running `serve`. If none runs, or it cannot be reached, reads the database. Nothing is changed,
 * and neither the secrets nor the handlers have to be right.
 *
 * @throws HookonceError `config_invalid`, `database_older`, `permission_denied`
 */
export async function openToLook(options: LookOptions): Promise<LookingAdmin> {
  try {
    const admin = await connectAdmin(options);
    if (admin !== undefined) return { ...admin, unreachable: null };
    return await readOnly(options, null);
  } catch (error) {
    if (!(error instanceof HookonceError) || error.code !== "serve_unreachable") throw error;
    return await readOnly(options, error.message);
  }
}

export interface LookingAdmin extends Admin {
  /** Why the `serve` that runs cannot be reached, so that the database was read without it. */
  readonly unreachable: string | null;
}

async function readOnly(
  { folder, database }: LookOptions,
  unreachable: string | null,
): Promise<LookingAdmin> {
  const loaded = loadConfig(resolve(folder), secretNeeds, null);
  const config: Config = { ...loaded, database: chosenLocation(loaded, database) };
  const store = await storeOf(config.database);
  let opened = await store.openForReading();
  // A serve that starts meanwhile may make the database.
  const reader = async (): Promise<Reader> => (opened ??= await store.openForReading()) ?? EMPTY;
  const jobs: BackgroundJobs = {
    ...createBackgroundJobs(() => Promise.reject(new HookonceError("not_serving", "Nothing runs here."))),
    async list(limit) {
      const read = await reader();
      const ended = (await read.jobs(limit)).filter(({ endedAt }) => endedAt !== null);
      return [...(await read.unendedJobs()), ...ended].slice(0, limit).map(viewOfKept);
    },
  };
  const stop = new AbortController();
  const { sources } = createSources(config.sources, Date.now, undefined, false);
  const folders = [...sources.values()].map(({ handlersOf }) => handlersOf);
  return {
    client: clientWithin({
      live: () => ({
        config,
        sources,
        handlers: { files: findHandlers(config.inboxFolder, folders).files },
      }),
      reader,
      jobs,
      stopping: stop.signal,
    }),
    ofServe: false,
    unreachable,
    isWanted: () => false,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await jobs.close();
      opened?.close();
    },
  };
}
