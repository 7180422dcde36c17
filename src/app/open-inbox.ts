import type { Hono } from "hono";
import type { Logger } from "pino";
import type { Config } from "../config/load.ts";
import { nameOf } from "../config/location.ts";
import { BODY_BUDGET, BODY_RESERVE } from "../config/schema.ts";
import {
  SLOW_RUN_MS,
  type Engine,
  type EngineOptions,
  type Handlers,
  type Health,
  type RunNote,
} from "../engines/engine.ts";
import { heldByItself } from "../engines/source-states.ts";
import type { OpenStore, ServeLock, StartPlan, Store } from "../engines/store.ts";
import type { WatchLimits } from "../engines/watchdog.ts";
import { reportOf } from "../engines/late-error.ts";
import { HookonceError } from "../errors.ts";
import { bindHandlers, type HandlersRead } from "../handlers/load.ts";
import type { BodyLimits } from "../http/body-budget.ts";
import { createBodyReader } from "../http/body.ts";
import { createDeliveryLog } from "../http/log.ts";
import type { RefusedRing } from "../http/refused.ts";
import { createRoutes, type Env, type RoutesOptions } from "../http/routes.ts";
import { policy } from "../inbox/decide.ts";
import type { Counters } from "../metrics/counters.ts";
import { createQueue, type Queue, type QueueOptions } from "../inbox/queue.ts";
import type { Redaction } from "../providers/redact.ts";
import type { Source } from "../providers/source.ts";
import { requireFreeDescriptor } from "./free-descriptors.ts";
import { enqueueProblemOf } from "./enqueue-problem.ts";
import type { Healing } from "./healing.ts";
import { madeOf, type Live, type Loaded } from "./live.ts";
import type { Service, Services } from "./services.ts";
import { shownOf } from "./shown.ts";
import { rulesOf } from "./source-rules.ts";
import { readUserMigrations } from "./user-migrations.ts";
import { storeOf } from "./store.ts";

export interface OpenInboxOptions {
  readonly config: Config;
  readonly sources: ReadonlyMap<string, Source>;
  /** As check.ts read them. */
  readonly handlers: HandlersRead;
  readonly log: Logger;
  /** Unix milliseconds. */
  readonly clock: () => number;
  readonly onFatal: (error: unknown) => void;
  /** Called with destinations for which messages have become durable. */
  readonly onMessages?: EngineOptions["onMessages"];
  /** See {@link EngineOptions}. */
  readonly onNodeGone?: EngineOptions["onNodeGone"];
  readonly onNodeLost?: EngineOptions["onNodeLost"];
  readonly onNodeAsked?: EngineOptions["onNodeAsked"];
  /** What is counted of deliveries, transactions and syncs. */
  readonly counters?: Counters | undefined;
  readonly acceptIdChange?: boolean;
  /** Only tests and measurements change these. */
  readonly storage?: Parameters<Store["open"]>[2];
  readonly queue?: Omit<QueueOptions, "onFatal" | "loaded">;
  readonly lockWaitMs?: number;
  /**
   * Started once this process has locked the database, and before anything in it is changed. If it throws,
   * the start is refused.
   */
  readonly onLocked?: () => Service;
  /** Ends the wait for another hookonce. */
  readonly signal?: AbortSignal;
  /** After which time a run of a handler ends the process. Undefined: never. */
  readonly watch?: WatchLimits;
  /** Does not warn of handlers that always fail: a command reports the events that failed. */
  readonly forCommand?: true;
  /** Repeats what may succeed later. Without it, the first refusal counts. */
  readonly healing?: Healing;
}

/** An inbox that can be written to. Receiving webhooks and applying owed events both use it. */
export interface Inbox {
  readonly engine: Engine;
  readonly queue: Queue;
  readonly live: Live;
  /** A reload: from the next commit on, and for each request that arrives, this is loaded. */
  readonly replace: (loaded: Loaded) => void;
  /** Whether another `serve` waits for the database. */
  readonly isWanted: () => boolean;
}

/**
 * Opens an inbox in steps, each a service that stops after the later ones: the lock, the database with its
 * handlers, the queue. A refused start stops what it has started.
 *
 * @throws HookonceError with the code and every problem that prevents a start
 */
export async function openInbox(services: Services, options: OpenInboxOptions): Promise<Inbox> {
  try {
    const { healing = once } = options;
    const lock = await services.start(() => healing(() => lockStep(options)));
    if (options.onLocked !== undefined) await services.start(options.onLocked);
    const { config, sources } = options;
    let loaded: Loaded = { config, sources, handlers: NO_HANDLERS, at: options.clock() };
    const live: Live = () => loaded;
    /** Of sources that a reload has removed. What is owed or unsent of them is settled later. */
    const redactionsBefore = new Map<string, Redaction | undefined>();
    const redactionOf = (name: string): Redaction | undefined => {
      const source = live().sources.get(name);
      return source === undefined ? redactionsBefore.get(name) : source.redaction;
    };
    const { engine, handlers } = await services.start(() =>
      healing(() => engineStep(options, live, redactionOf)),
    );
    loaded = { ...loaded, handlers };
    engine.show(shownOf(config, options.handlers));
    const queue = createQueue(engine, {
      ...options.queue,
      loaded: live,
      onFatal: options.onFatal,
      counters: options.counters,
    });
    await services.start(() => ({ name: "queue", stop: () => queue.drain() }));
    const replace = (next: Loaded): void => {
      for (const [name, { redaction }] of loaded.sources) redactionsBefore.set(name, redaction);
      loaded = next;
    };
    return { engine, queue, live, replace, isWanted: lock.isWanted };
  } catch (error) {
    await services.stop();
    throw error;
  }
}

const NO_HANDLERS: Handlers = { for: () => null, files: [] };

const once: Healing = async (step) => step();

async function lockStep({ config, log, lockWaitMs, signal, forCommand }: OpenInboxOptions) {
  const lock: ServeLock = await (
    await storeOf(config.database)
  ).lock({
    ...(lockWaitMs === undefined ? {} : { waitMs: lockWaitMs }),
    signal,
    forCommand: forCommand === true,
    onWait: (holder) =>
      log.warn(
        { database: nameOf(config.database), holder },
        "waiting for another hookonce to release the database",
      ),
  });
  return { name: "lock", isWanted: lock.isWanted, stop: () => lock.release() };
}

async function engineStep(
  options: OpenInboxOptions,
  live: Live,
  redactionOf: NonNullable<EngineOptions["redactionOf"]>,
) {
  const { log, onFatal, counters } = options;
  const opened: OpenStore = await (
    await storeOf(options.config.database)
  ).open(planOf(options), log, options.storage);
  const enqueueProblem = madeOf(live, ({ config }) => enqueueProblemOf(config.destinations));
  let engine: Engine;
  try {
    engine = opened.engine({
      policy,
      onFatal,
      onLateError: (handler, error) =>
        log.error(
          { handler, ...reportOf(error) },
          "a handler's promise was rejected after the handler had failed",
        ),
      enqueueProblem: (destination) => enqueueProblem()(destination),
      redactionOf,
      onMessages: options.onMessages,
      onNodeGone: options.onNodeGone,
      onNodeLost: options.onNodeLost,
      onNodeAsked: options.onNodeAsked,
      watch: options.watch,
      onNotWatched: (reason) =>
        log.warn({ reason }, "handlers are not watched: one that never returns blocks hookonce"),
      onSync: counters?.syncs.observe,
      onRun: (note) => logRun(log, note),
      onPause: ({ source, reason }) => log.warn({ source, reason }, heldByItself(source)),
      onLargeLog: (bytes) =>
        log.warn(
          { bytes },
          "the write-ahead log is large: a long read transaction of another process keeps it from being emptied. End that transaction",
        ),
      onSyncInCommit: (reason) =>
        log.warn({ reason }, "each commit waits for the disk, which is slower but just as durable"),
    });
  } catch (error) {
    opened.close();
    throw error;
  }
  try {
    const { handlers, problems, failing } = await bindHandlers(options.handlers, engine);
    if (problems.length > 0)
      throw new HookonceError("handlers_invalid", "Some handlers cannot be used.", { problems });
    for (const { file, message } of options.handlers.warnings) log.warn({ file }, message);
    for (const { file, message } of options.forCommand === true ? [] : failing)
      log.warn({ handler: file, cause: message }, "every event of this handler will fail");
    return { name: "database", engine, handlers, stop: () => engine.close() };
  } catch (error) {
    await engine.close();
    throw error;
  }
}

function logRun(log: Logger, { source, eventId, type, handler, ms, output }: RunNote): void {
  const fields = { source, event: eventId, type, handler };
  for (const { level, text } of output) log[level](fields, text);
  if (ms > SLOW_RUN_MS)
    log.warn(
      { ...fields, ms: Math.round(ms) },
      "the handler was slow, and hookonce could do nothing else during that time: keep handlers under 1 s",
    );
}

function planOf({ config, sources, clock, acceptIdChange = false }: OpenInboxOptions) {
  const { migrations, problems } = readUserMigrations(config.inboxFolder);
  if (problems.length > 0)
    throw new HookonceError("migration_invalid", "Some migrations cannot be read.", { problems });
  return {
    convertToWal: config.convertToWal,
    rules: rulesOf(config, sources),
    acceptIdChange,
    migrations,
    now: clock(),
  } satisfies StartPlan;
}

/** What answers deliveries. */
export interface Receiver {
  readonly routes: () => Hono<Env>;
  /** Answers new deliveries with 503 from now on. */
  refuse(): void;
}

const BODY_LIMITS: BodyLimits = {
  total: BODY_BUDGET,
  reserve: BODY_RESERVE,
  pauseMs: 10_000,
  wholeMs: 60_000,
};

export function createReceiver(
  { engine, queue, live }: Inbox,
  options: Pick<OpenInboxOptions, "log" | "clock" | "counters"> & {
    /** See {@link createDeliveryLog}, as is `writeDelivery`. */
    readonly terminal?: boolean | undefined;
    readonly writeDelivery?: ((fields: string) => void) | undefined;
    readonly refused?: RefusedRing | undefined;
    readonly onAccepted?: RoutesOptions["onAccepted"];
    readonly isRefusing?: RoutesOptions["isRefusing"];
    readonly warnings?: RoutesOptions["warnings"];
    /** Only tests change these. */
    readonly bodies?: Partial<BodyLimits> | undefined;
  },
): Receiver {
  const { log, clock } = options;
  let stopping = false;
  const shared: Omit<RoutesOptions, "sources"> = {
    queue,
    bodies: createBodyReader({ ...BODY_LIMITS, ...options.bodies }),
    log: createDeliveryLog(log, { terminal: options.terminal, writeLine: options.writeDelivery }),
    clock,
    probe: createProbe(engine, clock),
    refused: options.refused,
    onAccepted: options.onAccepted,
    isRefusing: options.isRefusing,
    refusals: options.counters?.refusals,
    warnings: options.warnings,
    stopping: () => stopping,
  };
  const routes = madeOf(live, ({ sources }) => createRoutes({ ...shared, sources }));
  return {
    routes,
    refuse() {
      stopping = true;
    },
  };
}

/** A proof of at most `withinMs` ago counts, on the monotonic clock. 0 always asks the engine. */
export function createProbe(engine: Engine, clock: () => number): (withinMs: number) => Promise<Health> {
  let proof: { readonly at: number; readonly health: Health } | undefined;
  return async (withinMs) => {
    requireFreeDescriptor();
    if (proof !== undefined && withinMs > 0 && performance.now() - proof.at < withinMs) return proof.health;
    // If this fails, the earlier proof no longer counts.
    proof = undefined;
    const health = await engine.probe(clock());
    proof = { at: performance.now(), health };
    return health;
  };
}
