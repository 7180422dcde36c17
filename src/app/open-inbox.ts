import type { Database } from "bun:sqlite";
import type { Hono } from "hono";
import type { Logger } from "pino";
import type { Config } from "../config/load.ts";
import { BODY_BUDGET } from "../config/schema.ts";
import { HookonceError, messageOf } from "../errors.ts";
import { loadHandlers, type Handlers } from "../handlers/registry.ts";
import { createByteBudget } from "../http/body.ts";
import { createDeliveryLog } from "../http/log.ts";
import { createRoutes, type Env } from "../http/routes.ts";
import { createGroupCommit, type GroupCommitOptions } from "../inbox/group-commit.ts";
import type { Source } from "../providers/source.ts";
import { copyBeforeMigration } from "../engines/sqlite/backup.ts";
import { lockDatabase } from "../engines/sqlite/lock.ts";
import { migrate, ownSet, pendingMigrations, userSet, type Migration } from "../engines/sqlite/migrations.ts";
import { openDatabase, withoutSyncs, type OpenOptions } from "../engines/sqlite/open.ts";
import { ownMigrations } from "../engines/sqlite/own-migrations.ts";
import { refusingStart } from "../engines/sqlite/sqlite-error.ts";
import { reconcileSources, refuseChanges } from "../engines/sqlite/source-rules.ts";
import { createStorage, writeMeta, type Storage } from "../engines/sqlite/storage.ts";
import { rulesOf } from "./source-rules.ts";
import { readUserMigrations } from "./user-migrations.ts";

export interface OpenInboxOptions {
  readonly config: Config;
  readonly sources: ReadonlyMap<string, Source>;
  readonly log: Logger;
  /** See {@link createDeliveryLog}. */
  readonly writeDelivery?: ((fields: string) => void) | undefined;
  /** Unix milliseconds. */
  readonly clock: () => number;
  readonly onFatal: (error: unknown) => void;
  readonly acceptIdChange?: boolean;
  /** Only tests and measurements change these. */
  readonly storage?: Pick<OpenOptions, "synchronous">;
  readonly groupCommit?: Omit<GroupCommitOptions, "onFatal" | "handlers">;
  readonly lockWaitMs?: number;
  /** Called once the database is ours, and nothing in it is changed yet. What it throws refuses the start. */
  readonly onLocked?: () => void;
  /** Ends the wait for another hookonce. */
  readonly signal?: AbortSignal;
}

/** A whole hookonce without a socket. */
export interface Inbox {
  readonly routes: Hono<Env>;
  readonly handlers: Handlers;
  /** From now on new deliveries get 503. */
  refuse(): void;
  /** Writes what is waiting, moves the WAL into the database, closes it and lets go of it. */
  close(): Promise<void>;
}

/**
 * The one place that wires the rooms together.
 *
 * @throws HookonceError with the code and every problem that stands in the way of a start
 */
export async function openInbox(options: OpenInboxOptions): Promise<Inbox> {
  const { config, sources, log, clock } = options;
  const lock = await lockDatabase(config.database, {
    ...(options.lockWaitMs === undefined ? {} : { waitMs: options.lockWaitMs }),
    signal: options.signal,
    onWait: (holder) =>
      log.warn(
        { database: config.database, holder },
        "waiting for another hookonce to let go of the database",
      ),
  });
  let connection: Database | undefined;
  try {
    options.onLocked?.();
    connection = openMigrated(options);
    const { handlers, problems, warnings } = await loadHandlers({
      inboxFolder: config.inboxFolder,
      sources: [...sources.values()].map(({ handlersOf }) => handlersOf),
      connection,
      onLateError: (handler, error) =>
        log.error(
          { handler, cause: messageOf(error) },
          "a handler's promise was rejected after it had failed",
        ),
    });
    if (problems.length > 0)
      throw new HookonceError("handlers_invalid", "Some handlers cannot be used.", { problems });
    for (const { file, message } of warnings) log.warn({ file }, message);

    const storage = createStorage(connection, options.onFatal);
    const writer = createGroupCommit(storage, { ...options.groupCommit, handlers, onFatal: options.onFatal });
    let stopping = false;
    const routes = createRoutes({
      sources,
      handlers,
      writer,
      budget: createByteBudget(BODY_BUDGET),
      log: createDeliveryLog(log, options.writeDelivery),
      clock,
      probe: createProbe(storage, clock, options.onFatal),
      stopping: () => stopping,
    });
    return {
      routes,
      handlers,
      refuse() {
        stopping = true;
      },
      async close() {
        stopping = true;
        await writer.drain();
        await storage.close();
        lock.release();
      },
    };
  } catch (error) {
    connection?.close(true);
    lock.release();
    throw error;
  }
}

/** Asking whether writing works may be what finds out that it no longer does. */
function createProbe(
  storage: Storage,
  clock: () => number,
  onFatal: (error: unknown) => void,
): (withinMs: number) => void {
  let provenAt = Number.NEGATIVE_INFINITY;
  return (withinMs) => {
    if (performance.now() - provenAt < withinMs) return;
    try {
      storage.probe(clock());
      provenAt = performance.now();
    } catch (error) {
      if (error instanceof HookonceError && error.code === "storage_failed") onFatal(error);
      throw error;
    }
  };
}

function openMigrated(options: OpenInboxOptions): Database {
  const { config, storage } = options;
  const { connection, created } = openDatabase(config.database, {
    convertToWal: config.convertToWal,
    ...storage,
  });
  try {
    refusingStart(config.database, () => migrateAll(connection, created, options));
    return connection;
  } catch (error) {
    connection.close(true);
    throw error;
  }
}

function migrateAll(connection: Database, created: boolean, options: OpenInboxOptions): void {
  const { config, sources, log, clock, acceptIdChange = false } = options;
  // The database may be one that an application is writing to just now: a start waits for that, deliveries never do (group-commit.ts).
  connection.run("pragma busy_timeout = 5000");
  const rules = rulesOf(config, sources);
  const reconcile = { now: clock(), acceptIdChange };
  // Before anything is changed, and for good after the migrations.
  refuseChanges(connection, rules, reconcile);
  const own = ownSet(ownMigrations, created ? (db) => writeMeta(db, "created_by", "hookonce") : undefined);
  const { migrations, problems } = readUserMigrations(config.inboxFolder);
  if (problems.length > 0)
    throw new HookonceError("migration_invalid", "Some migrations cannot be read.", { problems });
  const user = userSet(migrations);
  const firstPending = (): Migration | undefined =>
    pendingMigrations(connection, own)[0] ?? pendingMigrations(connection, user)[0];
  const first = firstPending();
  const copy =
    created || first === undefined
      ? undefined
      : copyBeforeMigration(connection, config.database, first.name, clock());
  const migrateBoth = (): void => {
    for (const { name } of migrate(connection, own, clock()))
      log.debug({ migration: name }, "migrated hookonce's own tables");
    for (const { name } of migrate(connection, user, clock())) log.info({ migration: name }, "migrated");
  };
  try {
    // The sources, which a new database does not know yet, are stored right after that.
    if (created) withoutSyncs(connection, migrateBoth);
    else migrateBoth();
  } finally {
    // Where nothing was migrated after all, every start that fails like this would leave one more.
    if (firstPending()?.name === first?.name) copy?.discard();
    else if (copy !== undefined) log.info({ copy: copy.path }, "copied the database before migrating it");
  }
  reconcileSources(connection, rules, reconcile);
  connection.run("pragma busy_timeout = 0");
}
