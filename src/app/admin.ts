import type { Config } from "../config/load.ts";
import { besideOf } from "../config/location.ts";
import { messageOf, stackOf } from "../errors.ts";
import type { HealthWarning } from "../engines/engine.ts";
import { listenForAdmin } from "../http/admin/listen.ts";
import type { AdminInbox } from "../http/admin/inbox.ts";
import type { VerdictJson } from "../http/admin/shapes.ts";
import { HAS_SOCKET, listenOnSocket } from "../http/admin/socket.ts";
import type { Refused, RefusedRing } from "../http/refused.ts";
import { createBackgroundJobs, type BackgroundJobs } from "../inbox/background-jobs.ts";
import type { Counters } from "../metrics/counters.ts";
import type { Pausing } from "../inbox/pausing.ts";
import type { OutboxView } from "../outbox/view.ts";
import type { TryEvents } from "../inbox/dry-run.ts";
import { fetchFound } from "../providers/host-lookup.ts";
import type { AdminApps } from "./admin-apps.ts";
import { createProbe, type Inbox, type OpenInboxOptions } from "./open-inbox.ts";
import type { Services } from "./services.ts";
import { destinationNames } from "./source-rules.ts";
import { healthOf } from "./health.ts";
import type { Loaded } from "./live.ts";
import type { MatchedSecrets } from "./minutes.ts";
import type { RetentionService } from "./retention.ts";
import { logEnd, logResume } from "./job-log.ts";
import { hashesOf, outdatedParts } from "./outdated.ts";

/** A result of at most this age is reused, so that asking for the status costs little. In milliseconds. */
const PROOF_MS = 1000;

export interface AdminServiceOptions extends Pick<OpenInboxOptions, "log"> {
  readonly refused: RefusedRing;
  readonly matched: Pick<MatchedSecrets, "recent">;
  readonly retention: RetentionService;
  readonly nodes: { readonly warning: () => HealthWarning | undefined };
  readonly pausing: Pausing;
  readonly outbox: OutboxView;
  readonly counters: Counters;
  readonly reload: AdminInbox["reload"];
  /** Where webhooks are received. */
  readonly url: string;
}

/**
 * Starts the API, for commands and for the page. If either fails, webhooks are still received, and the log says
 * what cannot be reached.
 *
 * @returns the jobs, and the address of the page; null if it is off
 */
export async function startAdmin(
  services: Services,
  inbox: Inbox,
  options: AdminServiceOptions,
): Promise<{ readonly page: string | null; readonly jobs: BackgroundJobs }> {
  const { refused, matched, retention, nodes, pausing, outbox, counters, reload, log, url } = options;
  const startedAt = Date.now();
  const { engine, queue, live } = inbox;
  const { config } = live();
  const tryEvents: TryEvents = async (...events) =>
    (await import("./dry-run.ts")).createDryRun(live().config)(...events);
  const jobs = createBackgroundJobs(
    async () => ({
      reader: await engine.reader(),
      queue,
      get sources() {
        return live().sources;
      },
      get destinations() {
        return destinationNames(live().config);
      },
      handlers: () => live().handlers,
      tryEvents,
      wipe: () => engine.wipe(),
      memory: refused,
      clock: Date.now,
    }),
    { onResume: (view) => logResume(log, view), onEnd: (view) => logEnd(log, view) },
  );
  await services.start(() => ({ name: "jobs", stop: () => jobs.close() }));
  const probe = createProbe(engine, Date.now);
  const stopping = new AbortController();
  const apps = loadedOnce(async () => {
    const [{ createAdminApps }, { createTryApi }] = await Promise.all([
      import("./admin-apps.ts"),
      import("./try-api.ts"),
    ]);
    return createAdminApps(
      {
        live,
        reader: () => engine.reader(),
        jobs,
        received: () => queue.received,
        refused,
        outbox,
        measured: { counters, depth: () => queue.depth },
        pausing,
        reload,
        recentMatches: matched.recent,
        verdictOf: (refused) => verdictOf(refused, live()),
        outdated: (source, hashes, salt) => outdatedParts(live().config, source, hashes, salt),
        tryHandler: createTryApi(() => live().config, stopping.signal),
        record: async (entries) => void (await queue.write({ kind: "record", entries })),
        onError: (error) => log.error({ cause: messageOf(error), stack: stackOf(error) }, "the API failed"),
        serving: { url, startedAt, loadedAt: () => live().at },
        health: () => healthOf(() => probe(PROOF_MS), [retention.warning(), nodes.warning()]),
        shownSecrets: () =>
          [...live().sources.values()].flatMap(({ name, handshakes }) =>
            Array.from(handshakes?.shown ?? [], (secret) => ({ source: name, secret })),
          ),
        stopping: stopping.signal,
      },
      () => live().config.admin.url,
    );
  });
  await services.start(() => ({ name: "streams", stop: () => stopping.abort() }));
  await startSocket(services, apps, config, log);
  return { page: await startPage(services, apps, config, log), jobs };
}

/** The API takes 20 ms to load, and a start does not wait for it. The first request does. */
function loadedOnce(load: () => Promise<AdminApps>): () => Promise<AdminApps> {
  let loaded: Promise<AdminApps> | undefined;
  return () => (loaded ??= load());
}

async function startSocket(
  services: Services,
  apps: () => Promise<AdminApps>,
  { database }: Config,
  log: AdminServiceOptions["log"],
): Promise<void> {
  if (!HAS_SOCKET) return;
  const app = { fetch: async (request: Request) => (await apps()).socket.fetch(request) };
  try {
    await services.start(() => {
      const socket = listenOnSocket(app, besideOf(database));
      return { name: "socket", stop: () => socket.stop() };
    });
  } catch (error) {
    log.warn({ cause: messageOf(error) }, "commands such as hookonce apply cannot reach this process");
  }
}

/** A port that is taken turns the page off, and webhooks are still received. */
async function startPage(
  services: Services,
  apps: () => Promise<AdminApps>,
  { admin }: Config,
  log: AdminServiceOptions["log"],
): Promise<string | null> {
  const { listen, url } = admin;
  if (listen === null) return null;
  const app = {
    fetch: async (request: Request, env: { readonly peer: string }) =>
      (await apps()).page.fetch(request, env),
  };
  try {
    const listener = await services.start(() => ({ name: "page", ...listenForAdmin(app, listen) }));
    return url ?? listener.url;
  } catch (error) {
    const remedy = 'set another address with listen under [admin] in hookonce.toml, or "off"';
    log.warn({ cause: messageOf(error), remedy }, "the page is off");
    return null;
  }
}

/** The doctor's verdict as of the time when the delivery arrived. */
async function verdictOf(refused: Refused, { config, at }: Loaded): Promise<VerdictJson> {
  const { diagnoseRefused } = await import("./diagnose-in-folder.ts");
  const { verified, refusal, findings, docs } = await diagnoseRefused(refused, {
    folder: config.inboxFolder,
    environment: process.env,
    nowMs: refused.receivedAt,
    fetch: fetchFound,
    loadedAt: at,
    outdated: (source) => outdatedParts(config, source.name, hashesOf(source, ""), ""),
  });
  return {
    verified,
    code: refusal?.code ?? null,
    message: refusal?.message ?? null,
    findings: findings.map(({ what, remedy, proven }) => ({ what, remedy, proven })),
    docs,
  };
}
