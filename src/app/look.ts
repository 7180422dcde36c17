import { resolve } from "node:path";
import { loadConfig, type Config } from "../config/load.ts";
import { createBackgroundJobs } from "../inbox/background-jobs.ts";
import { HookonceError } from "../errors.ts";
import { clientWithin, connectAdmin, type Admin } from "./apply.ts";
import { EMPTY } from "./empty-reader.ts";
import { createSources, secretNeeds } from "./sources.ts";
import { store } from "./store.ts";

export interface LookOptions {
  readonly folder: string;
  /** Replaces the config's database. Relative to the working directory. */
  readonly database?: string | undefined;
}

/**
 * Reaches the API of a running `serve`. If none runs, reads the database: nothing is changed, and neither the
 * secrets nor the handlers have to be right.
 *
 * @throws HookonceError `config_invalid`, `database_older`, `permission_denied`
 */
export async function openToLook(options: LookOptions): Promise<Admin> {
  return (await connectAdmin(options)) ?? (await readOnly(options));
}

async function readOnly({ folder, database }: LookOptions): Promise<Admin> {
  const loaded = loadConfig(resolve(folder), secretNeeds, null);
  const config: Config = database === undefined ? loaded : { ...loaded, database: resolve(database) };
  const reader = await store.openForReading(config.database);
  const jobs = createBackgroundJobs(() =>
    Promise.reject(new HookonceError("not_serving", "Nothing runs here.")),
  );
  const stop = new AbortController();
  return {
    client: clientWithin({
      config,
      sources: createSources(config.sources, Date.now, undefined, false).sources,
      files: () => [],
      reader: () => Promise.resolve(reader ?? EMPTY),
      jobs,
      stopping: stop.signal,
    }),
    ofServe: false,
    isWanted: () => false,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await jobs.close();
      reader?.close();
    },
  };
}
