import { resolve } from "node:path";
import type { Logger } from "pino";
import { CONFIG_FILE, readConfig, type Config, type ReadConfig } from "../config/load.ts";
import { HookonceError, messageOf, type Problem } from "../errors.ts";
import type { Reloaded, ReloadRequest } from "../http/admin/inbox.ts";
import { bindHandlers, readHandlers } from "../handlers/load.ts";
import { forgetUserModules } from "../handlers/user-modules.ts";
import { createAll, foldersIn } from "./check.ts";
import { checkInProcess, type CheckFound } from "./check-process.ts";
import type { Loaded } from "./live.ts";
import type { Inbox } from "./open-inbox.ts";
import type { Outbox } from "./outbox.ts";
import { attempt } from "./rehearse.ts";
import { servedConfig, type ServedFolder } from "./served-folder.ts";
import { shownOf } from "./shown.ts";
import { reloadOthers } from "./reload-all.ts";
import { rulesOf } from "./source-rules.ts";
import { secretNeeds } from "./sources.ts";
import { removedWithOwed, whatCannotChange } from "./unchangeable.ts";

/**
 * Loads the folder again. Resolves when the next delivery sees what was loaded.
 *
 * @throws HookonceError `reload_refused` with every problem; then what was loaded stays in use. `shutting_down`
 */
export type Reload = (request: ReloadRequest) => Promise<Reloaded>;

export interface ReloadOptions {
  readonly served: ServedFolder;
  readonly outbox: Pick<Outbox, "prepare">;
  readonly log: Logger;
  /** Unix milliseconds. */
  readonly clock: () => number;
  /** Refuses a reload from then on. */
  readonly stop: AbortSignal;
}

/**
 * Everything that can be refused is refused before anything is changed: a child process checks the folder, then this
 * process reads it. What is loaded is replaced at once, between two commits, so each event is applied by one set of
 * handlers, and requests in flight are answered by the routes that took them.
 */
export function createReload(inbox: Inbox, options: ReloadOptions): Reload {
  const { log } = options;
  let last: Promise<unknown> = Promise.resolve();

  async function logged(request: ReloadRequest): Promise<Reloaded> {
    const { actor } = request;
    const began = performance.now();
    try {
      const reloaded = await loadAgain(inbox, options, request);
      const { sources, handlers, destinations, failing } = reloaded;
      for (const { file, message } of failing)
        log.warn({ handler: file, cause: message }, "every event of this handler will fail");
      const counts = {
        sources: sources.length,
        handlers: handlers.length,
        destinations: destinations.length,
      };
      log.info({ actor, ...counts, ms: Math.round(performance.now() - began) }, "reloaded");
      return request.all === true ? { ...reloaded, nodes: await reloadOthers(inbox, request) } : reloaded;
    } catch (error) {
      const problems = error instanceof HookonceError ? error.problems : [];
      for (const { message, ...where } of problems) log.error(where, message);
      const cause = problems.length > 0 ? {} : { cause: messageOf(error) };
      log.error({ actor, ...cause }, "the reload was refused: what was loaded before stays in use");
      throw error;
    }
  }

  return (request) => {
    const next = last.then(() => logged(request));
    last = next.catch(() => {});
    return next;
  };
}

async function loadAgain(
  inbox: Inbox,
  options: ReloadOptions,
  { actor, dropped }: ReloadRequest,
): Promise<Reloaded> {
  const { served, outbox, clock, stop } = options;
  refuseIfStopping(stop);
  const folder = resolve(served.folder);
  const before = inbox.live();
  const { database } = before.config;
  const at = clock();
  const problems: Problem[] = [];
  const read = await attempt(problems, () => readConfig(folder, secretNeeds, process.env));
  const written = read?.config ?? null;
  const config = written === null ? null : servedConfig(written, served);
  const owed = await (await inbox.engine.reader()).owedByType(MAX_COUNTED);
  const compared = { before: before.config, config, owed };
  // Its problem with a source is that retries may come. What is owed of it is the greater one, with the same remedy.
  const order = {
    folder,
    database,
    dev: served.dev === true,
    dropped: [...dropped, ...removedWithOwed(compared)],
  };
  const found = await checkInProcess(order, stop);
  refuseIfStopping(stop);
  const changes = whatCannotChange({ ...compared, found, dropped });
  if (found.problems.length > 0) refuse([...found.problems, ...changes], found);
  // The child has read the files a moment later.
  const sources = createAll(read, { clock, environment: process.env }, problems);
  if (read === null || config === null || problems.length + changes.length > 0)
    return refuse([...problems, ...changes], found);
  keepShownSecrets(before, config, sources);
  const undo = forgetUserModules(folder);
  try {
    const { code, handlers, failing } = await loadHandlers(inbox, folder, read, found);
    const loaded: Loaded = { config, sources, handlers, at };
    const changeOutbox = await outbox.prepare(loaded);
    await record(inbox, loaded, { actor, dropped, at: clock() });
    inbox.replace(loaded);
    inbox.engine.show(shownOf(config, code));
    changeOutbox();
    return {
      handlers: handlers.files.map(({ file }) => file),
      sources: [...sources.keys()],
      destinations: config.destinations.map(({ name }) => name),
      failing: [...failing, ...found.failing.filter(({ file }) => failing.every((one) => one.file !== file))],
      warnings: found.warnings,
      nodes: [],
    };
  } catch (error) {
    undo();
    throw error;
  }
}

/** A count of owed events stops here. */
const MAX_COUNTED = 10_000;

function refuseIfStopping(stop: AbortSignal): void {
  if (stop.aborted) throw new HookonceError("shutting_down", "hookonce is shutting down, and loads nothing.");
}

function refuse(
  problems: readonly Problem[],
  { failing, warnings }: Pick<CheckFound, "failing" | "warnings">,
): never {
  throw new HookonceError(
    "reload_refused",
    "The folder cannot be loaded. What was loaded before stays in use.",
    {
      problems,
      warnings: [...failing, ...warnings],
    },
  );
}

/** Bun 1.4.5 keeps some modules that could not be linked, whatever is removed from `require.cache`. */
const CHANGED: Problem = {
  message:
    "The check had accepted these files, so they have changed meanwhile. Run hookonce reload again. If it is refused for the same reason although hookonce check accepts the files, restart hookonce serve",
};

/** The child has loaded them, so an error here means that a file has changed meanwhile. */
async function loadHandlers({ engine }: Inbox, folder: string, read: ReadConfig, found: CheckFound) {
  const code = await readHandlers(folder, foldersIn(read), () => engine.handlerModules());
  const { handlers, problems, failing } = await bindHandlers(code, engine);
  return problems.length > 0 ? refuse([...problems, CHANGED], found) : { code, handlers, failing };
}

/** Durable before anything is replaced. A start after a crash loads the same folder. */
async function record(
  { queue }: Inbox,
  { config, sources }: Loaded,
  { actor, dropped, at }: ReloadRequest & { readonly at: number },
): Promise<void> {
  const reason = dropped.length === 0 ? null : `--drop-source ${dropped.join(" --drop-source ")}`;
  const change = { at, actor, action: "reload", target: CONFIG_FILE, reason };
  const entries = [
    { entry: "sources", rules: rulesOf(config, sources), dropped, at },
    { entry: "audit", change },
  ] as const;
  try {
    await queue.write({ kind: "record", entries });
  } catch (error) {
    if (!(error instanceof HookonceError) || error.problems.length === 0) throw error;
    refuse(error.problems, { failing: [], warnings: [] });
  }
}

/** Secrets that a provider has sent in handshakes, until the config has one. */
function keepShownSecrets({ sources: before }: Loaded, config: Config, sources: Loaded["sources"]): void {
  for (const { name, secrets } of config.sources) {
    if (secrets.length > 0) continue;
    const shown = sources.get(name)?.handshakes?.shown;
    for (const secret of before.get(name)?.handshakes?.shown ?? []) shown?.add(secret);
  }
}
