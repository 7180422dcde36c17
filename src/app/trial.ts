import { readConfig } from "../config/load.ts";
import type { Incoming, Result } from "../engines/engine.ts";
import type { Trial, TrialPlace } from "../engines/store.ts";
import { bindHandlers, readHandlers } from "../handlers/load.ts";
import { pathsRead, type PathRead } from "../handlers/sql-paths.ts";
import { policy } from "../inbox/decide.ts";
import type { Source } from "../providers/source.ts";
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

/** A handler that can be tried on an event. */
export interface TriedHandler {
  readonly file: string;
  /** The part of its path that is matched with the event's type. */
  readonly key: string;
  /** The sources whose events it runs. */
  readonly sources: readonly Source[];
  /** @returns undefined if another process holds the write lock */
  readonly run: (event: Incoming) => Result | undefined;
  /** The paths of a SQL handler. */
  readonly paths: readonly PathRead[];
}

/**
 * Loads the handlers of a folder to try them. It runs user code, which cannot be interrupted, so call it in a
 * process of its own. The config may have problems; its sources without problems are used.
 *
 * @returns "copy" if they cannot be tried in the real database, or why they cannot be tried at all
 */
export async function openTrialOf({ folder, ...where }: TrialPlan) {
  const { sources: configured } = readConfig(folder, secretNeeds, null);
  const { sources } = createSources(configured, Date.now, undefined, false);
  const { migrations } = readUserMigrations(folder);
  const trial = await store.openTrial({ ...where, migrations, policy, now: Date.now() });
  if (trial === "copy" || "why" in trial) return trial;
  return { handlers: await handlersOf(folder, [...sources.values()], trial) };
}

/** What the events of a job do, with the handlers of the folder as they are now. */
export async function openDryRunOf({ folder, ...where }: TrialPlan) {
  const { sources: configured } = readConfig(folder, secretNeeds, null);
  const { sources } = createSources(configured, Date.now, undefined, false);
  const { migrations } = readUserMigrations(folder);
  const trial = await store.openTrial({ ...where, migrations, policy, now: Date.now() });
  if (trial === "copy" || "why" in trial) return trial;
  const folders = [...sources.values()].map(({ handlersOf: of }) => of);
  const { handlers } = await bindHandlers(await readHandlers(folder, folders, trial.handlerModules), trial);
  return { sources: byStoredName(sources, { sources: configured }), handlers, trial };
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

async function handlersOf(folder: string, sources: readonly Source[], trial: Trial): Promise<TriedHandler[]> {
  const folders = sources.map(({ handlersOf: of }) => of);
  const { code: read } = await readHandlers(folder, folders, trial.handlerModules);
  const tried: TriedHandler[] = [];
  for (const { source, key, code } of read) {
    const handler = await trial.loadHandler(code);
    // The check has reported its problems.
    if (!("hash" in handler) || handler.alwaysFails !== undefined) continue;
    tried.push({
      file: code.file,
      key,
      sources: sources.filter(({ handlersOf: of }) => of === source),
      run: (event) => trial.run(event, handler),
      paths: code.language === "sql" ? pathsRead(code.text) : [],
    });
  }
  return tried;
}
