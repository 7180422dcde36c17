import { HookonceError, messageOf, type ErrorCode } from "../errors.ts";
import { HANDLER_TIMES_US } from "../engines/handler-times.ts";
import { WATCH_LIMITS } from "../engines/watchdog.ts";
import { createRefusedRing, type RefusedRing } from "../http/refused.ts";
import { listen, type HttpServer } from "../http/server.ts";
import { startAdmin } from "./admin.ts";
import { startAlerts, type AlertPace } from "./alerts.ts";
import { startMinutes, type MatchedSecrets } from "./minutes.ts";
import { watchDescriptors } from "./free-descriptors.ts";
import { startPausing } from "./pausing.ts";
import { startNodes } from "./nodes.ts";
import { startRetention, type RetentionPace } from "./retention.ts";
import { startRetries } from "./retries.ts";
import { announce, type Ready } from "./announce.ts";
import { exitNow, failStop } from "./fail-stop.ts";
import { createHealing } from "./healing.ts";
import type { Log } from "../logging/log.ts";
import { createReceiver, openInbox, type Inbox, type OpenInboxOptions } from "./open-inbox.ts";
import type { Pausing } from "../inbox/pausing.ts";
import type { BackgroundJobs } from "../inbox/background-jobs.ts";
import { createCounters, type Counters } from "../metrics/counters.ts";
import { createOutbox } from "./outbox.ts";
import { checkServed, type ServedFolder } from "./served-folder.ts";
import { answerAsked, LOADED_NOW } from "./reload-all.ts";
import { createReload, type Reload } from "./reload.ts";
import { createServices, type Services } from "./services.ts";

export interface ServeOptions extends ServedFolder {
  readonly acceptIdChange?: boolean | undefined;
  /** SIGHUP then says that the terminal was closed, and is a stop. Elsewhere it is a reload. */
  readonly onTerminal?: boolean | undefined;
  /** Called once it serves, in place of the lines in the log that say so. */
  readonly onReady?: ((ready: Ready) => void) | undefined;
  readonly log: Log;
  /** Only tests and measurements change these. */
  readonly open?: Pick<OpenInboxOptions, "storage" | "queue" | "lockWaitMs" | "watch"> & {
    /** See {@link HealingOptions.waitMs}. */
    readonly healMs?: number;
    readonly retention?: RetentionPace;
    readonly alerts?: AlertPace;
  };
}

const WHY_ENDED: Partial<Record<ErrorCode, string>> & { readonly storage_failed: string } = {
  storage_failed: "this process can no longer trust the database; a restart recovers it",
  database_moved: "ended without answering: files of the database are no longer in place",
  database_unlocked: "ended without answering: SQLite's locks on the database were dropped",
};

/** How long a stop waits for requests in flight, in milliseconds. A stop may take 10 s in all. */
const DRAIN_MS = 8000;

/**
 * Runs hookonce until a signal ends it.
 *
 * @returns the exit code
 * @throws HookonceError for a refused start, with every problem
 */
export async function serve(options: ServeOptions): Promise<number> {
  const { log } = options;
  const signals = watchSignals(log, options.onTerminal === true);
  try {
    return await serveUntil(signals, options);
  } catch (error) {
    if (error instanceof HookonceError && error.code === "shutting_down") return ending(log, 0);
    throw error;
  }
}

async function serveUntil({ stop, onHangUp }: Signals, options: ServeOptions): Promise<number> {
  const { log } = options;
  const { logger } = log;
  const { healMs: waitMs, retention: pace, alerts: alerting, ...open } = options.open ?? {};
  const healing = createHealing({ log: logger, signal: stop, waitMs });
  const { config, sources, handlers } = await healing(() => checkServed(options));
  const ended = Promise.withResolvers<number>();
  failStop(config.inboxFolder, log, ended.resolve);

  const onFatal = (error: unknown): void => {
    const code = error instanceof HookonceError ? error.code : "storage_failed";
    logger.fatal({ code, cause: messageOf(error) }, WHY_ENDED[code] ?? WHY_ENDED.storage_failed);
    exitNow(log);
  };
  const services = createServices();
  const counters = createCounters(HANDLER_TIMES_US);
  const outbox = createOutbox({ log: logger, clock: Date.now, stop, counters });
  let port: HttpServer | undefined;
  let goOnWithJobs: (() => void) | undefined;
  let reloadHere: Reload | undefined;
  const inbox = await openInbox(services, {
    config,
    sources,
    handlers,
    log: logger,
    clock: Date.now,
    onFatal,
    onMessages: outbox.onMessages,
    // Its jobs go on here. Its messages are due again.
    onNodeGone: () => goOnWithJobs?.(),
    onNodeAsked: (request) => (reloadHere === undefined ? LOADED_NOW : answerAsked(reloadHere, request)),
    onNodeLost: () => outbox.endCommands(),
    counters,
    acceptIdChange: options.acceptIdChange ?? false,
    signal: stop,
    healing,
    watch: WATCH_LIMITS,
    // By now, another hookonce that was ending has released its port, and nothing is migrated yet.
    onLocked: () => {
      const server = listen(null, config.listen);
      port = server;
      return { name: "port", stop: () => server.stop(0) };
    },
    ...open,
  });
  const server = port as HttpServer;
  const refused = createRefusedRing();
  const upkeep = { refused, log: logger, clock: Date.now };
  const matched = await startMinutes(services, inbox, upkeep);
  const retention = await startRetention(services, inbox, { ...upkeep, ...pace });
  const pausing = await startPausing(services, inbox, upkeep);
  const alerts = await startAlerts(services, inbox, { ...upkeep, ...alerting });
  const nodes = await startNodes(services, inbox, upkeep);
  const reload = createReload(inbox, { served: options, outbox, log: logger, clock: Date.now, stop });
  reloadHere = reload;
  const shown = { ...upkeep, matched, retention, nodes, pausing, outbox, counters, reload, url: server.url };
  const { page, jobs } = await startAdmin(services, inbox, shown);
  goOnWithJobs = () => resumeJobs(jobs, logger);
  await startRetries(services, inbox, upkeep);
  await watchDescriptors(services, server, logger);
  await outbox.start(services, inbox);
  await startReceiving(services, server, inbox, {
    refused,
    onAccepted: matched.note,
    isRefusing: (name) => pausing.isRefusing(name),
    counters,
    warnings: () => [...pausing.warnings(), ...alerts.warnings()],
    log,
  });
  if (options.dev === true) {
    const { startWatchingFolder } = await import("./watch-folder.ts");
    await startWatchingFolder(services, inbox, { reload, log: logger });
  }
  resumeJobs(jobs, logger);
  onHangUp(() => reload({ actor: "SIGHUP", dropped: [] }));
  const end = (): void => {
    services.stop().then(
      () => ended.resolve(0),
      (error: unknown) => {
        logger.fatal({ cause: messageOf(error) }, "the stop failed");
        exitNow(log);
      },
    );
  };
  if (stop.aborted) end();
  else stop.addEventListener("abort", end);
  void announce({ url: server.url, page, inbox, log, stop }, options.onReady);
  void log.flush();
  return ending(log, await ended.promise);
}

interface Received {
  readonly refused: RefusedRing;
  readonly onAccepted: MatchedSecrets["note"];
  readonly isRefusing: Pausing["isRefusing"];
  readonly counters: Counters;
  readonly warnings: Pausing["warnings"];
}

async function startReceiving(
  services: Services,
  server: HttpServer,
  inbox: Inbox,
  { log, ...received }: Received & { readonly log: Log },
): Promise<void> {
  const { logger, terminal, writeDelivery } = log;
  const receiver = createReceiver(inbox, {
    ...received,
    log: logger,
    terminal,
    writeDelivery,
    clock: Date.now,
  });
  await services.start(() => {
    server.serve(receiver.routes);
    return {
      name: "http",
      stop: () => {
        receiver.refuse();
        return server.stop(DRAIN_MS);
      },
    };
  });
}

/** Reading the jobs takes 20 ms for the first time, and no delivery waits for it. */
function resumeJobs(jobs: BackgroundJobs, log: Log["logger"]): void {
  jobs.resume().catch((error: unknown) => {
    log.warn({ cause: messageOf(error) }, "interrupted jobs could not continue: start them again");
  });
}

interface Signals {
  /**
   * Aborted by the first SIGTERM or SIGINT. Further ones do not shorten the stop: requests in flight are still
   * answered.
   */
  readonly stop: AbortSignal;
  /** Sets what SIGHUP does. */
  readonly onHangUp: (reload: () => Promise<unknown>) => void;
}

function watchSignals(log: Log, onTerminal: boolean): Signals {
  const controller = new AbortController();
  let reload: (() => Promise<unknown>) | undefined;
  /** Whether a reload will begin that sees what is on the disk now. */
  let isWaiting = false;
  let last: Promise<unknown> = Promise.resolve();
  const stop = (signal: string): void => {
    if (controller.signal.aborted) return;
    log.logger.info({ signal }, "stopping: finishing what is in flight");
    controller.abort();
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  process.on("SIGHUP", (signal) => {
    if (onTerminal) return stop(signal);
    if (reload === undefined)
      return log.logger.info({ signal }, "hookonce is starting, and loads the folder anyway");
    if (isWaiting) return;
    isWaiting = true;
    const run = reload;
    last = last.then(() => {
      isWaiting = false;
      // The log says why it was refused.
      return run().catch(() => {});
    });
  });
  // Without a listener, each would end the process at once.
  for (const name of ["SIGUSR1", "SIGUSR2"] as const)
    process.on(name, (signal) => log.logger.info({ signal }, "this signal changes nothing"));
  return {
    stop: controller.signal,
    onHangUp: (run) => {
      reload = run;
    },
  };
}

async function ending(log: Log, code: number): Promise<number> {
  log.logger.info({ code }, "stopped");
  await log.flush();
  return code;
}
