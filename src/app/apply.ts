import { resolve } from "node:path";
import type { Logger } from "pino";
import { loadConfig } from "../config/load.ts";
import { chosenLocation, locationOfFlag } from "../config/location.ts";
import { WATCH_LIMITS } from "../engines/watchdog.ts";
import { HookonceError } from "../errors.ts";
import { createSocketApp } from "../http/admin/listener.ts";
import { createAdminApp } from "../http/admin/routes.ts";
import { createAdminClient, type AdminClient } from "../http/admin/socket.ts";
import { createBackgroundJobs, type BackgroundInbox } from "../inbox/background-jobs.ts";
import { createAdminInbox, type AdminParts } from "./admin-inbox.ts";
import { check, type Checked } from "./check.ts";
import { createDryRun } from "./dry-run.ts";
import { EMPTY } from "./empty-reader.ts";
import { openInbox } from "./open-inbox.ts";
import { reachServe } from "./reach-serve.ts";
import { createServices } from "./services.ts";
import { byStoredName, destinationNames } from "./source-rules.ts";
import { secretNeeds } from "./sources.ts";
import { storeOf } from "./store.ts";

export interface AdminOptions {
  readonly folder: string;
  /** Replaces the config's database. Relative to the working directory. */
  readonly database?: string | undefined;
  /** Nothing will be changed. */
  readonly readOnly: boolean;
  readonly log: Logger;
  readonly onFatal: (error: unknown) => void;
}

/** The API of an inbox folder, wherever its database is open. */
export interface Admin extends AsyncDisposable {
  readonly client: AdminClient;
  /** Whether it is the API of a running `serve`, which uses the handlers that it has loaded. */
  readonly ofServe: boolean;
  /**
   * Whether a `serve` waits for this process to release the database. Always false if the API is that of a
   * `serve`.
   */
  readonly isWanted: () => boolean;
}

/**
 * Reaches the API of a running `serve` over its socket. If none runs, opens the folder as a start does, but
 * without secrets and without listening.
 *
 * @throws HookonceError for a refused start, with every problem
 */
export async function openAdmin(options: AdminOptions): Promise<Admin> {
  return (await connectAdmin(options)) ?? (await openFolder(options));
}

/**
 * @returns undefined if no `serve` runs
 * @throws HookonceError `serve_unreachable`, `permission_denied`, `config_invalid`
 */
export async function connectAdmin({
  folder,
  database,
}: Pick<AdminOptions, "folder" | "database">): Promise<Admin | undefined> {
  const config = loadConfig(resolve(folder), secretNeeds, null);
  const client = await reachServe(chosenLocation(config, database));
  if (client === undefined) return undefined;
  return { client, ofServe: true, isWanted: () => false, [Symbol.asyncDispose]: () => Promise.resolve() };
}

async function openFolder(options: AdminOptions): Promise<Admin> {
  const folder = resolve(options.folder);
  const database = locationOfFlag(folder, options.database);
  const checked = await check(folder, { environment: null, clock: Date.now, database, forStart: true });
  const { config, problems, code } = checked;
  if (config === null || problems.length > 0)
    throw new HookonceError(code, `${folder} cannot be opened.`, { problems });
  const used = { ...config, ...(database === undefined ? {} : { database }) };
  return options.readOnly ? readFolder(used, checked) : writeFolder(used, checked, options);
}

async function writeFolder(
  config: NonNullable<Checked["config"]>,
  { sources, handlers }: Checked,
  { log, onFatal }: AdminOptions,
): Promise<Admin> {
  const services = createServices();
  const clock = Date.now;
  const inbox = await openInbox(services, {
    config,
    sources,
    handlers,
    log,
    clock,
    onFatal,
    lockWaitMs: 0,
    watch: WATCH_LIMITS,
    forCommand: true,
  });
  const jobs = createBackgroundJobs(async () => ({
    reader: await inbox.engine.reader(),
    queue: inbox.queue,
    sources,
    destinations: destinationNames(config),
    handlers: () => inbox.live().handlers,
    clock,
  }));
  await services.start(() => ({ name: "jobs", stop: () => jobs.close() }));
  return {
    client: clientWithin({
      live: inbox.live,
      reader: () => inbox.engine.reader(),
      jobs,
    }),
    ofServe: false,
    isWanted: inbox.isWanted,
    [Symbol.asyncDispose]: () => services.stop(),
  };
}

/** The API within this process, for its own command. */
export function clientWithin(parts: AdminParts): AdminClient {
  const app = createSocketApp(createAdminApp(createAdminInbox(parts)));
  return createAdminClient((request) => app.fetch(request));
}

/** Reads without the lock. A `serve` may start at the same time and is not disturbed. */
async function readFolder(
  config: NonNullable<Checked["config"]>,
  { sources, table }: Checked,
): Promise<Admin> {
  const reader = await (await storeOf(config.database)).openForReading();
  const inbox: BackgroundInbox = {
    reader: reader ?? EMPTY,
    queue: { received: 0, write: () => Promise.reject(new Error("a dry run writes nothing")) },
    sources: byStoredName(sources, config),
    destinations: destinationNames(config),
    handlers: () => table,
    tryEvents: createDryRun(config),
    clock: Date.now,
  };
  const jobs = createBackgroundJobs(() => Promise.resolve(inbox));
  return {
    client: clientWithin({
      live: () => ({ config, sources, handlers: table }),
      reader: () => Promise.resolve(reader ?? EMPTY),
      jobs,
    }),
    ofServe: false,
    isWanted: () => false,
    async [Symbol.asyncDispose]() {
      await jobs.close();
      reader?.close();
    },
  };
}
