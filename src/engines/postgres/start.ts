import { HookonceError } from "../../errors.ts";
import { pendingOf } from "../migration-history.ts";
import type { Migration, SourceRule, StartLog, StartPlan } from "../store.ts";
import { readDurability } from "./durability.ts";
import {
  applyOwn,
  historyOf,
  isWithoutTransaction,
  migrationFailed,
  ownSet,
  record,
  runStatements,
  userSet,
} from "./migrations.ts";
import { tryTables } from "./probe.ts";
import { refuseHalfMoved } from "./move-in.ts";
import type { Server } from "./server.ts";
import { refuseChanges, storeSources } from "./source-rules.ts";
import { duringStart } from "./start-lock.ts";
import { troubleOf, unavailable, withState } from "./trouble.ts";
import type { Wire } from "./wire.ts";

/** The oldest version that hookonce is tested with. */
const OLDEST_VERSION = 15;

/** How long a migration waits for a table that others use, how often it is tried, and the pause between, in ms. */
const LOCK_TIMEOUT_MS = 5000;
const TRIES = 5;
const PAUSE_MS = 1000;

/**
 * Brings the database up to date. Everything that can be refused is refused before anything is changed.
 *
 * @throws HookonceError with the code and every problem that prevents a start
 */
export async function prepareDatabase(
  server: Server,
  plan: StartPlan & { readonly rules: readonly SourceRule[] },
  log: StartLog,
): Promise<void> {
  const onWait = (): void => log.info({}, "waiting for another hookonce that starts on the same database");
  await duringStart(server, onWait, async (wire) => {
    await refuseServer(wire);
    const { promise, warning } = await readDurability(wire);
    const own = pendingOf(await historyOf(wire, ownSet));
    pendingOf(await historyOf(wire, userSet(plan.migrations)));
    const isNew = own.length === ownSet.migrations.length;
    if (!isNew) await refuseChanges(wire, plan.rules, plan);
    log.info({}, promise);
    if (warning !== undefined) log.warn({}, warning);
    await applyOwn(wire, own, plan.now);
    for (const { name } of own) log.debug({ migration: name }, "migrated hookonce's own tables");
  });
  while ((await migrateNext(server, onWait, plan, log)) !== undefined);
  await duringStart(server, onWait, async (wire) => {
    await refuseHalfMoved(wire);
    await storeSources(wire, plan.rules, plan);
    await refuseDamagedTables(wire, plan.now);
  });
}

/** @throws HookonceError `database_unusable` if somebody has changed hookonce's tables */
async function refuseDamagedTables(wire: Wire, now: number): Promise<void> {
  try {
    await tryTables(wire, now);
  } catch (error) {
    if (troubleOf(error) !== "statement") throw error;
    const message = `hookonce's own tables are damaged: ${withState(error)}. Restore a copy of the database.`;
    throw new HookonceError("database_unusable", message, { cause: error });
  }
}

/** @throws HookonceError `database_unusable` */
export async function refuseServer(wire: Wire): Promise<void> {
  const [found] = await wire.read<{ version: number; name: string; encoding: string }>(
    `select current_setting('server_version_num')::int / 10000 as version, current_setting('server_version') as name,
       current_setting('server_encoding') as encoding`,
  );
  const { version = 0, name = "", encoding = "" } = found ?? {};
  if (version < OLDEST_VERSION)
    throw new HookonceError(
      "database_unusable",
      `The database server is PostgreSQL ${name}, and hookonce needs ${OLDEST_VERSION} or later.`,
    );
  if (encoding !== "UTF8")
    throw new HookonceError(
      "database_unusable",
      `The database has the encoding ${encoding}, which cannot store every payload. Make one with: create database … encoding 'UTF8' template template0`,
    );
}

/** Applies the next migration of the user, together with its row in the journal. Undefined if there is none. */
async function migrateNext(
  server: Server,
  onWait: () => void,
  { migrations, now }: StartPlan,
  log: StartLog,
): Promise<Migration | undefined> {
  for (let tries = 1; ; tries++) {
    try {
      const applied = await duringStart(server, onWait, async (wire) => {
        const [next] = pendingOf(await historyOf(wire, userSet(migrations)));
        if (next === undefined) return undefined;
        // This also ends the portal of the last query. With its snapshot, `create index concurrently` would wait for
        // this transaction, for ever.
        await wire.send(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
        if (isWithoutTransaction(next)) await runBeside(server, next);
        else await run(wire, next);
        await record(wire, "user_migrations", next, now);
        return next;
      });
      if (applied !== undefined) log.info({ migration: applied.name }, "migrated");
      return applied;
    } catch (error) {
      if (troubleOf(error) !== "contention") throw error;
      if (tries === TRIES) throw unavailable("contention", error);
      log.warn({}, "a migration waits for a table that another transaction uses, and is tried again");
      await Bun.sleep(PAUSE_MS);
    }
  }
}

const run = (wire: Wire, migration: Migration): Promise<void> =>
  runStatements(wire, migration, (error, line) => {
    throw migrationFailed(migration, line, error);
  });

/** Each statement commits by itself. */
async function runBeside(server: Server, migration: Migration): Promise<void> {
  const wire = await server.connect();
  try {
    await run(wire, migration);
  } finally {
    await wire.drop();
  }
}
