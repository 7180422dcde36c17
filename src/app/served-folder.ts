import { resolve } from "node:path";
import { parseAddress } from "../config/address.ts";
import type { Config } from "../config/load.ts";
import { chosenLocation, locationOfFlag } from "../config/location.ts";
import { HookonceError } from "../errors.ts";
import type { Log } from "../logging/log.ts";
import { check, type Checked } from "./check.ts";
import { refuseUnsigned } from "./unsigned-sources.ts";

/** What of a folder a start and each reload are given beside its config. */
export interface ServedFolder {
  readonly folder: string;
  /** Replaces the config's address: host:port. */
  readonly listen?: string | undefined;
  /** Replaces the config's database. Relative to the working directory. */
  readonly database?: string | undefined;
  /** Also serves unsigned sources, but only to this machine. */
  readonly dev?: boolean | undefined;
}

/** Checks everything before anything is changed, so a refused start has migrated nothing. */
export async function checkServed(
  options: ServedFolder & { readonly acceptIdChange?: boolean | undefined; readonly log: Log },
): Promise<Pick<Checked, "sources" | "handlers"> & { readonly config: Config }> {
  const folder = resolve(options.folder);
  const database = locationOfFlag(folder, options.database);
  const { config, sources, handlers, problems, code, configWarnings } = await check(folder, {
    environment: process.env,
    clock: Date.now,
    acceptIdChange: options.acceptIdChange,
    database,
    forStart: true,
  });
  const all = [...problems, ...(options.dev === true ? [] : refuseUnsigned(sources))];
  if (config === null || all.length > 0) {
    throw new HookonceError(
      all.length === problems.length ? code : "config_invalid",
      `${folder} cannot be served.`,
      { problems: all },
    );
  }
  for (const { message, ...where } of configWarnings) options.log.logger.warn(where, message);
  return { config: servedConfig(config, options), sources, handlers };
}

/** The config with what the command line replaces. */
export function servedConfig(config: Config, options: ServedFolder): Config {
  const listen = options.listen === undefined ? config.listen : parseAddress(options.listen);
  return {
    ...config,
    listen,
    admin: adminBeside(listen, config.admin),
    database: chosenLocation(config, options.database),
  };
}

/** A second `serve` on a free port, as tests start it, takes a free port for its page as well. */
function adminBeside({ port }: Config["listen"], admin: Config["admin"]): Config["admin"] {
  if (port !== 0 || admin.listen === null) return admin;
  return { ...admin, listen: { ...admin.listen, port: 0 } };
}
