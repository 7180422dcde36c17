import { openAdmin } from "../app/apply.ts";
import { isMessageId } from "../engines/outbox.ts";
import { HookonceError } from "../errors.ts";
import type { MessageState } from "../http/admin/shapes.ts";
import type { JobView } from "../inbox/background-jobs.ts";
import { counted } from "../logging/counted.ts";
import { triedLines } from "./dry-run-report.ts";
import { EXIT } from "./exit.ts";
import { shellWord } from "./init.ts";
import { connectToServe, openingOf, runJob, stopOnSignal, waitForServe } from "./run-job.ts";
import { DONE, printSteered, totalOf, type SteerAction, type Steered } from "./steer-report.ts";
import { complain, say } from "./terminal.ts";
import { lookForDestination, waitingHint } from "./unknown-destination.ts";
import { UsageError } from "./usage-error.ts";

export interface SteerFlags {
  database?: string;
  source?: string;
  type?: string;
  outcome?: "unhandled" | "failed" | "held" | "processed" | "stale" | "discarded";
  /** Unix milliseconds. */
  since?: number;
  until?: number;
  search?: string;
  limit?: number;
  /** Of messages. */
  destination?: string;
  state?: MessageState;
  /** Where `resend` sends events. */
  to?: string;
  reason?: string;
  evenStale?: boolean;
  yes?: boolean;
  dryRun?: boolean;
  stop?: boolean;
  json?: boolean;
}

/** Filters. With ids, only the source and the destination may be given. */
const FILTERS = ["type", "outcome", "since", "until", "search", "state", "limit"] as const;

/**
 * `hookonce replay`, `discard` and `resend`. If more than one event or message would be replayed or discarded, asks
 * on a terminal. Elsewhere, `--yes` is required.
 */
export async function runSteer(
  action: SteerAction,
  given: readonly string[],
  folder: string,
  flags: SteerFlags,
): Promise<number> {
  const ids = [...new Set(given)];
  const { dryRun = false, json } = flags;
  const what: Steered = {
    action,
    ofMessages: isAboutMessages(action, ids, flags),
    asked: flags.state ?? flags.outcome,
  };
  refuseUsage(what, ids, flags);
  const report = { dryRun, json };
  using stop = stopOnSignal();
  const options = openingOf({ folder, database: flags.database, readOnly: dryRun });
  const needsServe = action !== "discard" && !dryRun;
  let admin = await (needsServe ? connectToServe(action, { folder, ...flags }) : openAdmin(options));
  try {
    if (action !== "resend" && !dryRun && ids.length !== 1 && flags.yes !== true) {
      const { view } = await runJob(admin, jsonOf(action, ids, flags, true), stop.signal, () => {});
      if (view.error !== null) return printSteered(what, view, report);
      const count = totalOf(view.groups).wouldRun;
      if (count > 1 && !(await isWanted(what, count, view))) {
        say("Nothing was changed.");
        return EXIT.failed;
      }
    }
    let ended = await runJob(admin, jsonOf(action, ids, flags, dryRun), stop.signal, () => {});
    if (ended.yielded) {
      await admin[Symbol.asyncDispose]();
      complain("hookonce serve is starting. The rest runs there.");
      admin = await waitForServe(options, `hookonce ${action}`);
      ended = await runJob(admin, jsonOf(action, ids, flags, dryRun), stop.signal, () => {});
    }
    const { destination, state } = flags;
    const found = totalOf(ended.view.groups);
    const isNothing = ended.view.error === null && Object.values(found).every((count) => count === 0);
    const nothing =
      isNothing && what.ofMessages && destination !== undefined
        ? await lookForDestination(admin.client, destination)
        : undefined;
    if (nothing?.unknown !== undefined) throw new HookonceError("unknown_destination", nothing.unknown);
    const code = printSteered(what, ended.view, report);
    if (json !== true && action === "resend" && state === undefined && (nothing?.waiting ?? 0) > 0)
      say(waitingHint(destination ?? "", nothing?.waiting ?? 0, inFolderOf(folder)));
    return code;
  } finally {
    await admin[Symbol.asyncDispose]();
  }
}

const inFolderOf = (folder: string): string => (folder === "." ? "" : ` --folder ${shellWord(folder)}`);

function refuseUsage({ action, ofMessages }: Steered, ids: readonly string[], flags: SteerFlags): void {
  const filters = FILTERS.filter((name) => flags[name] !== undefined);
  if (ids.length + filters.length === 0 && (flags.source ?? flags.destination) === undefined)
    throw new UsageError(
      ofMessages
        ? "name the messages: give ids, or a filter such as --destination app"
        : `name the events: give ids, or a filter such as --type 'invoice.*'`,
    );
  const kind = ofMessages ? "message" : "event";
  if (ids.length > 0 && filters.length > 0) {
    const options = filters.map((name) => `--${name}`).join(", ");
    throw new UsageError(`${options} cannot be used with ${kind} ids: leave out the ids or ${options}`);
  }
  const others = ofMessages ? (["outcome", "search"] as const) : (["destination", "state"] as const);
  const wrong = others.find((name) => flags[name] !== undefined);
  if (wrong !== undefined)
    throw new UsageError(`--${wrong} is for ${ofMessages ? "events" : "messages"}: leave it out`);
  if (flags.reason === undefined && flags.dryRun !== true && action !== "resend")
    throw new UsageError(`say why: add --reason TEXT, which is kept with the ${kind} and in the audit list`);
}

/** An event may have the id of another hookonce's message. With its source, it is an event. */
function isAboutMessages(action: SteerAction, ids: readonly string[], flags: SteerFlags): boolean {
  const { to, destination, state, source } = flags;
  if (action === "resend") return to === undefined;
  if (action === "replay") return false;
  if ((destination ?? state) !== undefined) return true;
  if (source !== undefined || ids.length === 0) return false;
  const messages = ids.filter(isMessageId);
  if (messages.length > 0 && messages.length < ids.length)
    throw new UsageError(
      "there are ids of events and of messages (msg_…) among these: run hookonce discard once for each kind",
    );
  return messages.length > 0;
}

function jsonOf(action: SteerAction, ids: readonly string[], flags: SteerFlags, dryRun: boolean) {
  const { source, type, outcome, since, until, search, destination, state, limit } = flags;
  const { to, reason, evenStale } = flags;
  const given = Object.entries({ source, type, outcome, since, until, search, destination, state, limit });
  return {
    action,
    filter: Object.fromEntries(given.filter(([, value]) => value !== undefined)),
    dry_run: dryRun,
    ...(to === undefined ? {} : { to }),
    ...(ids.length === 0 ? {} : { ids: [...ids] }),
    ...(reason === undefined ? {} : { reason }),
    ...(evenStale === true ? { even_stale: true } : {}),
  };
}

async function isWanted({ action, ofMessages }: Steered, count: number, view: JobView): Promise<boolean> {
  const what = `${counted(count, ofMessages ? "message" : "event")} would be ${DONE[action]}`;
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new UsageError(`${what}. To do it without being asked, add --yes`);
  const risk = action === "replay" ? " Their handlers' changes are made a second time." : "";
  for (const line of triedLines(view)) complain(line);
  process.stderr.write(`${what}.${risk} Continue? [y/N] `);
  for await (const line of console) return /^y(?:es)?$/i.test(line.trim());
  return false;
}
