import { Database } from "bun:sqlite";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import pino from "pino";
import { check } from "../../src/app/check.ts";
import type { Inbox, OpenInboxOptions } from "../../src/app/open-inbox.ts";
import { createAdminApps, type AdminApps } from "../../src/app/admin-apps.ts";
import { startAlerts, type Alerting, type AlertPace } from "../../src/app/alerts.ts";
import { startMinutes } from "../../src/app/minutes.ts";
import { createOutbox, type Outbox } from "../../src/app/outbox.ts";
import { startPausing } from "../../src/app/pausing.ts";
import { startRetention } from "../../src/app/retention.ts";
import { startRetries } from "../../src/app/retries.ts";
import { destinationNames } from "../../src/app/source-rules.ts";
import type { Pausing } from "../../src/inbox/pausing.ts";
import type { OutboxView } from "../../src/outbox/view.ts";
import type { Services } from "../../src/app/services.ts";
import { HookonceError } from "../../src/errors.ts";
import { bindHandlers } from "../../src/handlers/load.ts";
import type { Fetch } from "../../src/providers/context.ts";
import type { BodyLimits } from "../../src/http/body-budget.ts";
import { HANDLER_TIMES_US } from "../../src/engines/handler-times.ts";
import { createRefusedRing, type RefusedRing } from "../../src/http/refused.ts";
import { listen, type HttpServer } from "../../src/http/server.ts";
import { createBackgroundJobs } from "../../src/inbox/background-jobs.ts";
import { createCounters } from "../../src/metrics/counters.ts";
import { createReceiver, openFolder, requestTo, type Receiver } from "../../src/testing/open-inbox.ts";
import { giveStartedDatabase } from "./started-database.ts";
import { temporaryFolder } from "./temporary-folder.ts";

export interface TestInboxOptions {
  /** hookonce.toml without its `version`; by default one unsigned source called default. */
  config?: string;
  /** Path in the folder → text: migrations, handlers, .env. */
  files?: Record<string, string>;
  environment?: Record<string, string>;
  /** Unix milliseconds. */
  clock?: () => number;
  /** Answers requests for providers' keys and certificates. By default, every fetch fails. */
  fetch?: Fetch;
  /** The size that its folder grows to, if it needs more than the default of `temporaryFolder`. */
  mebibytes?: number;
  /** Limits for bodies that differ from those of `serve`. */
  bodies?: Partial<BodyLimits>;
  /** The log is that of a terminal, which is not kept. */
  terminal?: boolean;
  open?: Pick<OpenInboxOptions, "storage" | "queue" | "lockWaitMs" | "acceptIdChange">;
  /**
   * Also runs what `serve` does by itself: own retries and the ends of pauses every 10 ms, the counters and retention every `minuteMs`,
   * interrupted jobs.
   */
  upkeep?: { readonly minuteMs: number };
  /** The monotonic clock of pauses, in milliseconds. By default, it moves with `clock`. */
  monotonic?: () => number;
  /** Also tells the destination of `[alerts]`, as `serve` does. */
  alerts?: AlertPace;
  /** Also sends messages on, as `serve` does. */
  sendsOn?: boolean;
}

export interface ReloadChange extends Pick<TestInboxOptions, "config" | "files"> {
  /** Files that are removed. */
  readonly without?: readonly string[];
  /** Sources that may be gone. */
  readonly dropped?: readonly string[];
}

/** A log line, parsed. */
export type LogLine = Record<string, unknown> & { level: number; msg: string };

export interface TestInbox extends AsyncDisposable {
  readonly folder: string;
  /** The deliveries that it has refused. */
  readonly refused: RefusedRing;
  readonly databasePath: string;
  readonly log: readonly LogLine[];
  /** What is being sent on, if it does. */
  readonly outbox: OutboxView;
  readonly pausing: Pausing;
  /** What `/readyz` and `status` warn of, with `alerts`. */
  readonly alerting: Alerting;
  /** Errors over which the writer gave up. */
  readonly fatal: readonly unknown[];
  /** Sends a request without a socket. It seems to come from this machine, or from `remoteAddress`. */
  request(path: string, init?: RequestInit, remoteAddress?: string): Promise<Response>;
  /** POST /webhook[/source] with a JSON body. */
  deliver(
    payload: unknown,
    options?: { source?: string; headers?: Record<string, string> },
  ): Promise<{ status: number; body: any }>; // oxlint-disable-line typescript/no-explicit-any -- tests read single values of an answer
  /** Asks the API, as its unix socket does. */
  api(path: string, init?: RequestInit): Promise<Response>;
  /** Listens on a free loopback port, until the inbox is disposed of or restarted. */
  listen(): HttpServer;
  /** The rows of a query, on a new connection. */
  rows(sql: string, ...values: (string | number)[]): any[]; // oxlint-disable-line typescript/no-explicit-any -- as above
  /** The first column of the first row. */
  value(sql: string, ...values: (string | number)[]): any; // oxlint-disable-line typescript/no-explicit-any -- as above
  write(files: Record<string, string>): void;
  /** Closes the inbox and starts it again on the same folder, as a deployment does. */
  restart(change?: Pick<TestInboxOptions, "config" | "files" | "open">): Promise<void>;
  /** Loads the folder again while it is open, as a `reload` does that refuses nothing. */
  reload(change: ReloadChange): Promise<void>;
  /** The first step of a stop: from now on, new deliveries are answered 503. */
  refuse(): void;
  /**
   * Closes the inbox. Its folder stays until the inbox is disposed of.
   *
   * @param waitMs how long to wait for open requests, in milliseconds. 500 by default.
   */
  close(waitMs?: number): Promise<void>;
}

const DEFAULT_SOURCE = `
[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"
`;

/** Starts an inbox in a new folder, with a real database file. Throws what a refused start throws. */
export async function testInbox(options: TestInboxOptions = {}): Promise<TestInbox> {
  const folder = temporaryFolder("test", options.mebibytes);
  const log: LogLine[] = [];
  const fatal: unknown[] = [];
  const clock = options.clock ?? Date.now;
  const logger = pino({ level: "debug" }, { write: (line) => void log.push(JSON.parse(line) as LogLine) });
  let inbox: Inbox;
  let receiver: Receiver;
  const refused = createRefusedRing();
  const counters = createCounters(HANDLER_TIMES_US);
  let services: Services;
  let admin: AdminApps;
  let outbox: Outbox | undefined;
  let pausing: Pausing;
  let alerting: Alerting | undefined;
  let server: HttpServer | undefined;
  // Set from the beginning of a close until the next successful start.
  let closed: Promise<void> | undefined;
  const onFatal = (error: unknown): void => void fatal.push(error);

  const write = (files: Record<string, string>): void => {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
  };
  const checked = {
    environment: options.environment ?? {},
    clock,
    // No test may use the network.
    fetch: options.fetch ?? (() => Promise.reject(new Error("a test has fetched"))),
  };
  const open = async (extra: TestInboxOptions["open"]): Promise<void> => {
    const opened = await openFolder(
      folder,
      { ...checked, acceptIdChange: { ...options.open, ...extra }.acceptIdChange },
      {
        log: logger,
        onFatal,
        onMessages: (names) => outbox?.onMessages(names),
        counters,
        ...options.open,
        ...extra,
      },
    );
    ({ services, inbox } = opened);
    const { engine, queue } = inbox;
    const reader = (): ReturnType<typeof engine.reader> => engine.reader();
    const jobs = createBackgroundJobs(async () => ({
      reader: await reader(),
      queue,
      get sources() {
        return inbox.live().sources;
      },
      get destinations() {
        return destinationNames(inbox.live().config);
      },
      handlers: () => inbox.live().handlers,
      wipe: () => inbox.engine.wipe(),
      memory: refused,
      clock,
    }));
    await services.start(() => ({ name: "jobs", stop: () => jobs.close() }));
    const { upkeep } = options;
    const own = { refused, log: logger, clock };
    const everyMs = upkeep === undefined ? 60_000 : 10;
    const now = options.monotonic ?? clock;
    pausing = await startPausing(services, inbox, { log: logger, clock, everyMs, now });
    const matched = upkeep && (await startMinutes(services, inbox, { ...own, everyMs: upkeep.minuteMs }));
    admin = createAdminApps(
      {
        live: inbox.live,
        reader,
        jobs,
        refused,
        measured: { counters, depth: () => queue.depth },
        pausing,
        recentMatches: () => matched?.recent() ?? [],
        record: async (entries) => void (await queue.write({ kind: "record", entries })),
        clock,
        onError: (error) => void fatal.push(error),
      },
      () => null,
    );
    if (upkeep !== undefined) {
      await startRetries(services, inbox, { ...own, everyMs: 10 });
      const pace = { everyMs: upkeep.minuteMs, lookMs: upkeep.minuteMs, distrustMs: 0 };
      await startRetention(services, inbox, { ...own, ...pace });
      await jobs.resume();
    }
    if (options.alerts !== undefined)
      alerting = await startAlerts(services, inbox, { ...own, ...options.alerts });
    const { signal: stop } = new AbortController();
    outbox = createOutbox({ log: logger, clock, stop, counters });
    if (options.sendsOn === true) await outbox.start(services, inbox);
    const { bodies, terminal } = options;
    const warnings = (): ReturnType<Pausing["warnings"]> => pausing.warnings();
    const isRefusing = (name: string): boolean => pausing.isRefusing(name);
    receiver = createReceiver(inbox, {
      ...own,
      bodies,
      terminal,
      counters,
      onAccepted: matched?.note,
      isRefusing,
      warnings,
    });
    closed = undefined;
  };
  const stop = async (waitMs: number): Promise<void> => {
    await server?.stop(waitMs);
    server = undefined;
    receiver.refuse();
    await services.stop();
  };
  const close = (waitMs = 500): Promise<void> => (closed ??= stop(waitMs));
  const configure = (config: string): void => write({ "hookonce.toml": `version = 1\n${config}` });

  const config = options.config ?? DEFAULT_SOURCE;
  configure(config);
  write(options.files ?? {});
  giveStartedDatabase(folder, config);
  try {
    await open({});
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  const databasePath = join(folder, "data/hookonce.db");

  const rows: TestInbox["rows"] = (sql, ...values) => {
    // `using` also finalizes the statement. Otherwise the files stay open until garbage collection.
    using db = new Database(databasePath, { strict: true });
    db.run("pragma busy_timeout = 5000");
    return db.prepare(sql).all(...values);
  };
  const request: TestInbox["request"] = (path, init, remoteAddress) =>
    requestTo(receiver, path, init, remoteAddress);
  return {
    folder,
    refused,
    get outbox() {
      return outbox as Outbox;
    },
    get pausing() {
      return pausing;
    },
    get alerting() {
      return alerting as Alerting;
    },
    databasePath,
    log,
    fatal,
    request,
    async deliver(payload, { source, headers } = {}) {
      const response = await request(source === undefined ? "/webhook" : `/webhook/${source}`, {
        method: "POST",
        body: typeof payload === "string" ? payload : JSON.stringify(payload),
        headers: { "content-type": "application/json", ...headers },
      });
      return { status: response.status, body: await response.json() };
    },
    api: async (path, init) => admin.socket.request(path, init),
    listen() {
      server ??= listen(receiver.routes, { hostname: "127.0.0.1", port: 0 });
      return server;
    },
    rows,
    value(sql, ...values) {
      const [row] = rows(sql, ...values) as Record<string, unknown>[];
      return row === undefined ? undefined : Object.values(row)[0];
    },
    write,
    async restart(change = {}) {
      await close();
      if (change.config !== undefined) configure(change.config);
      if (change.files !== undefined) write(change.files);
      await open(change.open);
    },
    async reload({ config, files = {}, without = [], dropped }) {
      if (config !== undefined) configure(config);
      for (const file of without) rmSync(join(folder, file));
      write(files);
      const read = await check(folder, { ...checked, dropped });
      if (read.config === null || read.problems.length > 0)
        throw new HookonceError("reload_refused", "a test reloads what is refused", read);
      const { handlers } = await bindHandlers(read.handlers, inbox.engine);
      inbox.replace({ config: read.config, sources: read.sources, handlers, at: clock() });
    },
    refuse: () => receiver.refuse(),
    close,
    async [Symbol.asyncDispose]() {
      await close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** @returns the error of a refused start, with every problem. Throws if the start is not refused. */
export async function refusedStart(options: TestInboxOptions): Promise<HookonceError> {
  return refusalOf(async () => {
    await (await testInbox(options))[Symbol.asyncDispose]();
  });
}

/** @returns the HookonceError that `work` throws, such as a refused restart. Throws if there is none. */
export async function refusalOf(work: () => unknown): Promise<HookonceError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof HookonceError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}
