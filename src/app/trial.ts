import { readConfig } from "../config/load.ts";
import type { TrialPlace } from "../engines/store.ts";
import { readHandlers } from "../handlers/load.ts";
import { policy } from "../inbox/decide.ts";
import { byStoredName } from "./source-rules.ts";
import { createSources, secretNeeds } from "./sources.ts";
import { store } from "./store.ts";
import { readUserMigrations } from "./user-migrations.ts";

export type { TrialPlace };

export interface TrialPlan {
  readonly folder: string;
  /** Absolute. */
  readonly database: string;
  readonly place: TrialPlace;
  /** The file that a copy is written to; it does not exist yet. */
  readonly copy: string;
}

/**
 * Loads the handlers of a folder to try them. It runs user code, which cannot be interrupted, so call it in a
 * process of its own. The config may have problems; its sources without problems are used.
 *
 * @param only reads only these files
 * @returns "copy" if they cannot be tried in the real database, or why they cannot be tried at all
 */
export async function openTrialOf({ folder, ...where }: TrialPlan, only?: (file: string) => boolean) {
  const { sources: configured } = readConfig(folder, secretNeeds, null);
  const { sources } = createSources(configured, Date.now, undefined, false);
  const { migrations } = readUserMigrations(folder);
  const trial = await store.openTrial({ ...where, migrations, policy, now: Date.now() });
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

/** @returns undefined if another process holds the write lock of the real database for too long */
export async function withLock<Ran>(place: TrialPlace, run: () => Ran | undefined): Promise<Ran | undefined> {
  const until = performance.now() + MAX_WAIT_MS;
  for (;;) {
    const ran = run();
    if (ran !== undefined) return ran;
    if (place === "live" && performance.now() > until) return undefined;
    await Bun.sleep(5);
  }
}
