import type { DatabaseLocation } from "../config/location.ts";
import { readConfig } from "../config/load.ts";
import type { TrialPlace } from "../engines/store.ts";
import type { columnQueries } from "../handlers/column-queries.ts";
import { readHandlers } from "../handlers/load.ts";
import { policy } from "../inbox/decide.ts";
import { limitLock } from "./child-limits.ts";
import { enqueueProblemOf } from "./enqueue-problem.ts";
import { byStoredName } from "./source-rules.ts";
import { createSources, secretNeeds } from "./sources.ts";
import { storeOf } from "./store.ts";
import { readUserMigrations } from "./user-migrations.ts";

export type { TrialPlace };

export interface TrialPlan {
  readonly folder: string;
  readonly database: DatabaseLocation;
  readonly place: TrialPlace;
  /** The file that a copy is written to; it does not exist yet. */
  readonly copy: string;
}

/**
 * Loads the handlers of a folder to try them. It runs user code, which cannot be interrupted, so call it in a
 * separate process. The config may have problems. Its sources without problems are used.
 *
 * @param only reads only these files
 * @param rowQueries see `TrialOptions`
 * @returns "copy" if they cannot be tried in the real database, or why they cannot be tried at all
 */
export async function openTrialOf(
  { folder, database, ...where }: TrialPlan,
  only?: (file: string) => boolean,
  rowQueries?: typeof columnQueries,
) {
  const { sources: configured, destinations } = readConfig(folder, secretNeeds, null);
  const { sources } = createSources(configured, Date.now, undefined, false);
  const { migrations } = readUserMigrations(folder);
  const enqueueProblem = enqueueProblemOf(destinations);
  const options = { ...where, migrations, policy, now: Date.now(), rowQueries, enqueueProblem };
  const trial = await (await storeOf(database)).openTrial(options);
  if (trial === "copy" || "why" in trial) return trial;
  const folders = [...sources.values()].map(({ handlersOf: of }) => of);
  return {
    trial,
    read: await readHandlers(folder, folders, trial.handlerModules, only),
    sources,
    storedSources: byStoredName(sources, { sources: configured }),
  };
}

/** How long to wait for another process's write lock before a copy is used instead, in milliseconds. */
const MAX_WAIT_MS = 500;

/**
 * After a run in the real database, it stays free for so many times as long, but not longer than the longest wait of a
 * `serve` that polls for the lock. Without a rest, deliveries waited up to 2 s for 400 runs of 12 ms.
 */
const REST = 9;
const MAX_REST_MS = 60;

/** When the next run may lock the real database, by `performance.now()`. */
let restsUntil = 0;

/** @returns undefined if another process holds the write lock of the real database for too long */
export async function withLock<Ran>(
  { place, database }: Pick<TrialPlan, "place" | "database">,
  run: () => Ran | undefined | Promise<Ran | undefined>,
): Promise<Ran | undefined> {
  const isLive = place === "live";
  if (isLive) await Bun.sleep(Math.max(0, restsUntil - performance.now()));
  const until = performance.now() + MAX_WAIT_MS;
  for (;;) {
    const began = performance.now();
    const ran = await (isLive ? limitLock(database.kind, run) : run());
    const now = performance.now();
    restsUntil = now + Math.min(REST * (now - began), MAX_REST_MS);
    if (ran !== undefined) return ran;
    if (isLive && now > until) return undefined;
    await Bun.sleep(5);
  }
}
