import { messageOf } from "../errors.ts";
import { createSocketApp } from "../http/admin/listener.ts";
import { createAdminApp } from "../http/admin/routes.ts";
import type { VerdictJson } from "../http/admin/shapes.ts";
import { HAS_SOCKET, listenOnSocket } from "../http/admin/socket.ts";
import { deliveryOf, type Refused, type RefusedRing } from "../http/refused.ts";
import { createBackgroundJobs, type JobView } from "../inbox/background-jobs.ts";
import type { Config } from "../config/load.ts";
import { createProbe, type Inbox, type OpenInboxOptions } from "./open-inbox.ts";
import type { Services } from "./services.ts";
import { healthOf, statusOf } from "./status.ts";

/** A proof of at most this age counts, so that asking for the status costs little. In milliseconds. */
const PROOF_MS = 1000;

export interface AdminServiceOptions extends Pick<OpenInboxOptions, "sources" | "log"> {
  readonly config: Config;
  readonly refused: RefusedRing;
  /** Where webhooks are received. */
  readonly url: string;
}

/**
 * Starts the API for commands. If that fails, webhooks are still received, and commands report that they
 * cannot reach this process.
 */
export async function startAdmin(
  services: Services,
  inbox: Inbox,
  { config, sources, refused, url, log }: AdminServiceOptions,
): Promise<void> {
  const { engine, queue } = inbox;
  const handlers = (): Inbox["handlers"] => inbox.handlers;
  const jobs = createBackgroundJobs(
    async () => ({ reader: await engine.reader(), queue, sources, handlers, clock: Date.now }),
    (view) => logJob(log, view),
  );
  await services.start(() => ({ name: "jobs", stop: () => jobs.close() }));
  const startedAt = Date.now();
  const probe = createProbe(engine, Date.now);
  const admin = createAdminApp({
    status: async () =>
      statusOf({
        config,
        sources,
        handlers,
        reader: () => engine.reader(),
        serving: { url, started_at: startedAt, ...(await healthOf(() => probe(PROOF_MS))) },
      }),
    jobs,
    refused,
    verdictOf: (refused) => verdictOf(refused, config.inboxFolder),
    shownSecrets: () =>
      [...sources.values()].flatMap(({ name, handshakes }) =>
        (handshakes?.shown() ?? []).map((secret) => ({ source: name, secret })),
      ),
  });
  if (!HAS_SOCKET) return;
  try {
    await services.start(() => {
      const socket = listenOnSocket(createSocketApp(admin), config.database);
      return { name: "socket", stop: () => socket.stop() };
    });
  } catch (error) {
    log.warn({ cause: messageOf(error) }, "commands such as hookonce apply cannot reach this process");
  }
}

/** The doctor's verdict as of the time when the delivery arrived. */
async function verdictOf(refused: Refused, folder: string): Promise<VerdictJson | undefined> {
  const delivery = deliveryOf(refused);
  if (delivery === undefined) return undefined;
  const { diagnoseInFolder } = await import("./diagnose-in-folder.ts");
  const { verified, refusal, findings, docs } = await diagnoseInFolder(delivery, {
    folder,
    source: refused.source,
    environment: process.env,
    nowMs: refused.receivedAt,
    fetch: globalThis.fetch,
  });
  return {
    verified,
    code: refusal?.code ?? null,
    message: refusal?.message ?? null,
    findings: findings.map(({ what, remedy, proven }) => ({ what, remedy, proven })),
    docs,
  };
}

/** A job that came over the socket leaves a line, because its result goes to the command alone. */
function logJob(
  log: AdminServiceOptions["log"],
  { id, action, dryRun, state, error, groups }: JobView,
): void {
  const sum = (name: "wouldRun" | "processed" | "failed"): number =>
    groups.reduce((total, group) => total + group[name], 0);
  const counts = dryRun
    ? { would_run: sum("wouldRun") }
    : { processed: sum("processed"), failed: sum("failed") };
  const line = { job: id, action, state, ...counts };
  const what = dryRun ? `a dry run of ${action}` : action;
  if (error === null) log.info(line, `${what} ended`);
  else log.error({ ...line, code: error.code, cause: error.message }, `${what} failed`);
}
