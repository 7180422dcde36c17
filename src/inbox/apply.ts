import {
  QUARANTINE_CODES,
  type Cursor,
  type EventFilter,
  type EventSource,
  type FoundEvent,
  type Handlers,
  type OwedEvent,
  type Reader,
  type Result,
} from "../engines/engine.ts";
import { HookonceError, messageOf } from "../errors.ts";
import { isQuarantined } from "./decide.ts";
import type { Queue } from "./queue.ts";

/** What is to be applied: certain events, or all that match. */
export interface ApplyRequest {
  readonly filter: EventFilter;
  /**
   * Runs at most this many events. Events without a handler do not count, so a repeated run gets past them.
   */
  readonly limit?: number | undefined;
  /** Only counts what would run. */
  readonly dryRun: boolean;
}

/** What became of the events of one source, type and outcome. */
export interface ApplyGroup {
  readonly source: string;
  readonly type: string;
  /** Their outcome before. */
  readonly outcome: FoundEvent["outcome"];
  /** The handler that runs them; null if there is none. */
  readonly handler: string | null;
  /** How many of them would run. Only counted by a dry run. */
  wouldRun: number;
  processed: number;
  failed: number;
  /** Not run, because its handler hung or ended the process. `hookonce apply ID` runs it. */
  quarantined: number;
  /** Still owed, because no handler exists for the type, or its source is not in the config. */
  noHandler: number;
  /** Done in the meantime, for example by the provider's retry. */
  alreadyDone: number;
}

export interface ApplyFailure {
  readonly source: string;
  readonly eventId: string;
  readonly type: string;
  readonly code: string;
  readonly error: string;
}

export interface ApplyProgress {
  readonly groups: readonly ApplyGroup[];
  /** The first {@link MAX_FAILURES}. */
  readonly failures: readonly ApplyFailure[];
}

export interface ApplyInbox {
  readonly reader: Pick<Reader, "owed" | "find">;
  readonly queue: Pick<Queue, "write">;
  readonly sources: ReadonlyMap<string, EventSource>;
  readonly handlers: () => Handlers;
  /** Unix milliseconds. */
  readonly clock: () => number;
}

const MAX_FAILURES = 20;

/** How many owed events are read at once. */
const PAGE = 500;

/** How many are in the queue at once, so that they share a sync. */
const WINDOW = 64;

/**
 * Runs what is owed and can run now, in the order received. It may be interrupted at any moment and run
 * again: each event runs in one transaction, which first checks that the event is still owed.
 *
 * @param progress is filled while it runs
 * @param signal ends it after the events that have begun
 * @throws HookonceError `unknown_event`, `ambiguous_event`, `unknown_source`; what the queue refused
 *   (`disk_full`, `database_locked`, …)
 */
export async function applyOwed(
  inbox: ApplyInbox,
  { filter, limit = Number.POSITIVE_INFINITY, dryRun }: ApplyRequest,
  progress: ProgressLog,
  signal: AbortSignal,
): Promise<void> {
  const pages =
    filter.ids === undefined ? pagesOf(inbox, filter) : [await namedEvents(inbox, filter, filter.ids)];
  let left = limit;
  for await (const page of pages) {
    for (let from = 0; from < page.length && left > 0; from += WINDOW) {
      if (signal.aborted) return;
      const how = { limit: left, dryRun, named: filter.ids !== undefined };
      left = await applyWindow(inbox, page.slice(from, from + WINDOW), how, progress, signal);
    }
    if (left <= 0) return;
    // Reading a page blocks. Let the deliveries in before the next one.
    await Bun.sleep(0);
  }
  refuseUnknownSource(inbox, filter, progress);
}

/**
 * A source that is no longer in the config may still have owed events. If it has none, its name is a mistake.
 */
function refuseUnknownSource({ sources }: ApplyInbox, { source }: EventFilter, log: ProgressLog): void {
  if (source === undefined || sources.has(source) || log.progress().groups.length > 0) return;
  throw new HookonceError(
    "unknown_source",
    `There is no source "${source}" in hookonce.toml. Its sources are ${[...sources.keys()].join(", ")}.`,
  );
}

async function* pagesOf({ reader }: ApplyInbox, filter: EventFilter): AsyncGenerator<readonly OwedEvent[]> {
  let after: Cursor | undefined;
  do {
    const { items, next } = await reader.owed(filter, after, PAGE);
    yield items;
    after = next;
  } while (after !== undefined);
}

type Named = Omit<OwedEvent, "outcome"> & Pick<FoundEvent, "outcome">;

/** Looks all of them up before the first one runs. */
async function namedEvents(
  { reader, sources }: ApplyInbox,
  filter: EventFilter,
  ids: readonly string[],
): Promise<Named[]> {
  const names = filter.source === undefined ? [...sources.keys()] : [filter.source];
  const events: Named[] = [];
  for (const eventId of ids) {
    events.push(namedEvent(eventId, filter, await reader.find(eventId, names)));
    // A look-up blocks for 0.15 ms. Let the deliveries in.
    if (events.length % WINDOW === 0) await Bun.sleep(0);
  }
  return events;
}

function namedEvent(eventId: string, filter: EventFilter, found: readonly FoundEvent[]): Named {
  const [event, other] = found;
  if (event === undefined) {
    const where = filter.source === undefined ? "" : ` in source "${filter.source}"`;
    throw new HookonceError("unknown_event", `There is no event with the id "${eventId}"${where}.`);
  }
  if (other !== undefined) {
    const list = found.map(({ source, type, outcome }) => `${source} (${type || "no type"}, ${outcome})`);
    throw new HookonceError(
      "ambiguous_event",
      `Several sources have an event with the id "${eventId}": ${list.join(", ")}. Add --source NAME.`,
    );
  }
  return { ...event, eventId };
}

const isOwed = ({ outcome }: Named): boolean => outcome === "unhandled" || outcome === "failed";

/** @returns what is left of the limit */
async function applyWindow(
  { queue, sources, handlers, clock }: ApplyInbox,
  events: readonly Named[],
  { limit, dryRun, named }: { readonly limit: number; readonly dryRun: boolean; readonly named: boolean },
  progress: ProgressLog,
  signal: AbortSignal,
): Promise<number> {
  let left = limit;
  const runs: Promise<void>[] = [];
  for (const event of events) {
    if (left <= 0) break;
    const source = sources.get(event.source);
    const handler = source === undefined ? null : handlers().for(source.handlersOf, event.type);
    const group = progress.groupOf(event, handler?.file ?? null);
    if (!isOwed(event)) group.alreadyDone++;
    else if (source === undefined || handler === null) group.noHandler++;
    else if (!named && event.quarantine !== undefined && isQuarantined(event.quarantine, handler))
      progress.skip(group, event, event.quarantine.code);
    else {
      left--;
      if (dryRun) {
        group.wouldRun++;
        continue;
      }
      const job = {
        kind: "apply",
        source,
        eventId: event.eventId,
        at: clock(),
        evenQuarantined: named,
      } as const;
      runs.push(queue.write(job, signal).then((result) => progress.count(group, event, result)));
    }
  }
  // Count the events that the queue accepted, and then throw the first refusal.
  for (const run of await Promise.allSettled(runs)) {
    if (run.status === "rejected" && !(signal.aborted && run.reason === signal.reason)) throw run.reason;
  }
  return left;
}

export type ProgressLog = ReturnType<typeof createProgressLog>;

export function createProgressLog() {
  const groups = new Map<string, ApplyGroup>();
  const failures: ApplyFailure[] = [];

  function list({ source, eventId, type }: Named, code: string, error: string): void {
    if (failures.length < MAX_FAILURES) failures.push({ source, eventId, type, code, error });
  }

  function skip(group: ApplyGroup, event: Named, code: string): void {
    group.quarantined++;
    const when = "until its handler is changed, or until you run";
    list(event, code, `skipped ${when}: hookonce apply ${event.eventId}`);
  }

  return {
    progress: (): ApplyProgress => ({ groups: [...groups.values()], failures }),
    groupOf({ source, type, outcome }: Named, handler: string | null): ApplyGroup {
      const key = JSON.stringify([source, type, outcome]);
      let group = groups.get(key);
      if (group === undefined) {
        const counts = { wouldRun: 0, processed: 0, failed: 0, quarantined: 0, noHandler: 0, alreadyDone: 0 };
        group = { source, type, outcome, handler, ...counts };
        groups.set(key, group);
      }
      return group;
    },
    skip,
    count(group: ApplyGroup, event: Named, { outcome, error }: Result): void {
      const code = error instanceof HookonceError ? error.code : "handler_error";
      if (outcome === "processed") group.processed++;
      else if (outcome === "failed") {
        // Quarantined since the list was read.
        if ((QUARANTINE_CODES as readonly string[]).includes(code)) skip(group, event, code);
        else {
          group.failed++;
          list(event, code, messageOf(error));
        }
      } else if (outcome === "unhandled") group.noHandler++;
      else group.alreadyDone++;
    },
  };
}
