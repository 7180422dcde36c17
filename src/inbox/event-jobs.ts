import type { EventSource, Handlers, Job } from "../engines/engine.ts";
import type { EventFilter, Reader } from "../engines/reader.ts";
import { HookonceError } from "../errors.ts";
import { isQuarantined, sendsOn } from "./decide.ts";
import { createSample, type TryEvents } from "./dry-run.ts";
import type { ProgressLog } from "./job-progress.ts";
import {
  isOwed,
  misfitOf,
  isReplayable,
  select,
  type EventJobRequest,
  type JobPosition,
  type Ordered,
  type Selected,
} from "./job-selection.ts";
import type { Queue } from "./queue.ts";

export interface JobInbox {
  readonly reader: Pick<Reader, "owed" | "recorded" | "followed" | "find" | "failure" | "countKnown">;
  readonly queue: Pick<Queue, "write" | "received">;
  readonly sources: ReadonlyMap<string, EventSource>;
  readonly handlers: () => Handlers;
  /** Runs events and rolls back. Without it, a dry run only counts. */
  readonly tryEvents?: TryEvents | undefined;
  /** Unix milliseconds. */
  readonly clock: () => number;
}

export interface EventJobRun {
  /** A replay runs no event twice under the same id. */
  readonly id: string;
  readonly progress: ProgressLog;
  /** A crash has interrupted it. The handler of a named event may be the reason, so it is not run again. */
  readonly isResumed?: boolean;
  /** Where it begins, or continues after a crash. */
  readonly from: JobPosition;
  /** Called when the events up to a position are done with. */
  readonly onPosition?: (position: JobPosition, left: number) => void;
  /** Events that count against the limit already: they may have run before an interruption. */
  readonly counted?: readonly string[] | undefined;
  /** Called before events run. Of a limited job: with all that count and may run again after a crash. */
  readonly onRuns?: (counted: readonly string[] | undefined, left: number) => Promise<void>;
  /** The events after the last position that `progress` counts already. It is kept up to date. */
  readonly done: Set<string>;
  /** Ends it after the events that have begun. */
  readonly signal: AbortSignal;
}

/** The position at which a job begins if it is requested now. */
export async function beginningOf({ reader }: Pick<JobInbox, "reader">): Promise<JobPosition> {
  return { ids: 0, ordered: await reader.followed() };
}

/**
 * Applies, replays or discards events, in the order received. It may be interrupted at any moment and run
 * again: each event has one transaction, which first checks that the event is still in the state that the
 * action is for.
 *
 * @throws HookonceError what `select` refuses; `unknown_source`, `reason_missing`; what the queue refused
 *   (`disk_full`, `database_locked`, …)
 */
export async function runEventJob(
  inbox: JobInbox,
  request: EventJobRequest,
  { id, progress, isResumed = false, from, onPosition, counted, onRuns, done, signal }: EventJobRun,
): Promise<void> {
  if (request.action !== "apply" && request.reason === undefined && !request.dryRun)
    throw new HookonceError("reason_missing", `${request.action} needs a reason: add --reason TEXT.`);
  const pace = paceOf(request.rate);
  const sample = createSample();
  let left = request.limit ?? Number.POSITIVE_INFINITY;
  const page = new Set(counted);
  for await (const [events, position] of select(inbox, request, from)) {
    // At a low rate, so few at a time that a stop does not wait long.
    for (let at = 0; at < events.length && (left > 0 || page.size > 0); at += pace.size) {
      await pace.wait(signal);
      if (signal.aborted) return;
      left = await runPage(inbox, request, events.slice(at, at + pace.size), {
        id,
        left,
        ordered: from.ordered,
        progress,
        sample,
        isResumed,
        counted: page,
        onRuns,
        done,
        signal,
      });
    }
    if (signal.aborted) return;
    if (left <= 0) break;
    page.clear();
    done.clear();
    onPosition?.(position, left);
  }
  if (left > 0) refuseUnknownSource(inbox, request.filter, progress);
  const { action } = request;
  const { events } = sample;
  if (events.length > 0 && action !== "discard" && inbox.tryEvents !== undefined)
    progress.setTried(
      await inbox.tryEvents({ action, events }, (failure) => progress.addFailure(failure), signal),
    );
}

/** Keeps a job to a number of events per second. It waits before it runs some, so that none waits after the last. */
function paceOf(rate = Number.POSITIVE_INFINITY) {
  const size = Math.max(1, Math.min(64, Math.ceil(rate / 10)));
  const began = performance.now();
  let done = 0;
  return {
    size,
    async wait(signal: AbortSignal): Promise<void> {
      const until = began + (done / rate) * 1000;
      done += size;
      while (!signal.aborted && performance.now() < until)
        await Bun.sleep(Math.min(100, until - performance.now()));
    },
  };
}

/**
 * A source that is no longer in the config may still have owed events. If it has none, its name is a mistake.
 */
function refuseUnknownSource({ sources }: JobInbox, { source }: EventFilter, log: ProgressLog): void {
  if (source === undefined || sources.has(source) || log.progress().groups.length > 0) return;
  throw new HookonceError(
    "unknown_source",
    `There is no source "${source}" in hookonce.toml. Its sources are ${[...sources.keys()].join(", ")}.`,
  );
}

interface PageRun extends Pick<EventJobRun, "id" | "progress" | "done" | "signal"> {
  readonly ordered: Ordered;
  readonly counted: Set<string>;
  readonly onRuns: EventJobRun["onRuns"];
  /** Of a dry run. */
  readonly sample: ReturnType<typeof createSample>;
  readonly isResumed: boolean;
  readonly left: number;
}

/** @returns what is left of the limit */
async function runPage(
  { queue, sources, handlers, clock }: JobInbox,
  request: EventJobRequest,
  events: readonly Selected[],
  { id, ordered, left: before, progress, sample, isResumed, counted, onRuns, done, signal }: PageRun,
): Promise<number> {
  const { action, dryRun, filter } = request;
  const isNamed = filter.ids !== undefined;
  let left = before;
  const chosen: (() => Promise<void>)[] = [];
  for (const event of events) {
    const key = JSON.stringify([event.source, event.eventId]);
    if (done.has(key) || (left <= 0 && !counted.has(key))) continue;
    const known = sources.get(event.source);
    // Of a source that is no longer in the config, events can only be given up.
    const source = known ?? (action === "discard" ? removedSource(event.source) : undefined);
    const handler = source === undefined ? null : handlers().for(source.handlersOf, event.type);
    const group = progress.groupOf(event, handler?.file ?? null);
    const { quarantine } = event;
    const isStuck = action === "apply" && handler !== null && quarantine !== undefined;
    const stuck = isStuck && isQuarantined(quarantine, handler) ? quarantine : undefined;
    const misfit = isNamed ? misfitOf(request, event) : undefined;
    if (misfit !== undefined) progress.leaveOut(group, event, misfit);
    else if (!isFor(request, event)) group.alreadyDone++;
    else if (source === undefined || !(handler !== null || action === "discard" || sendsOn(source)))
      group.noHandler++;
    else if (stuck !== undefined && !isNamed) progress.skip(group, event, stuck.code);
    else {
      if (!counted.has(key)) left--;
      if (stuck !== undefined && !isResumed) group.forced++;
      if (dryRun) {
        group.wouldRun++;
        if (handler !== null) sample.add(group, event, handler);
        continue;
      }
      if (Number.isFinite(left)) counted.add(key);
      chosen.push(() => {
        const about = { source, eventId: event.eventId, at: clock() };
        const job = jobFor(request, about, { job: id, ordered }, isResumed);
        return queue.write(job, signal).then((result) => {
          progress.count(group, event, result);
          done.add(key);
        });
      });
      continue;
    }
    done.add(key);
  }
  // Otherwise as many others would run after a crash.
  if (chosen.length > 0) await onRuns?.(Number.isFinite(left) ? [...counted] : undefined, left);
  const runs = chosen.map((begin) => begin());
  // Count the events that the queue accepted, and then throw the first refusal.
  for (const run of await Promise.allSettled(runs)) {
    if (run.status === "rejected" && !(signal.aborted && run.reason === signal.reason)) throw run.reason;
  }
  return left;
}

/** Whether an event is in the state that the action is for. */
function isFor({ action, reason, evenStale }: EventJobRequest, event: Selected): boolean {
  if (action === "replay") return isReplayable(event, evenStale);
  return isOwed(event) || (action === "apply" && event.outcome === "discarded" && reason !== undefined);
}

type Replay = Extract<Job, { kind: "replay" }>;
type EventJob = Extract<Job, { kind: "apply" | "replay" | "discard" }>;

function jobFor(
  { action, reason = "", filter, evenStale }: EventJobRequest,
  event: Pick<EventJob, "source" | "eventId" | "at">,
  replay: Pick<Replay, "job" | "ordered">,
  isResumed: boolean,
): EventJob {
  switch (action) {
    case "apply":
      return filter.ids === undefined
        ? { kind: "apply", ...event }
        : { kind: "apply", ...event, isNamed: !isResumed, ...(reason === "" ? {} : { reason }) };
    case "replay":
      return { kind: "replay", ...event, reason, ...replay, evenStale };
    case "discard":
      return { kind: "discard", ...event, reason };
  }
}

function removedSource(name: string): EventSource {
  return {
    name,
    handlersOf: name,
    unhandled: "record",
    requireChange: false,
    sameBody: false,
    retryForMs: 0,
    retryWindowMs: 0,
    payloadOf: () => undefined,
    carries: () => false,
  };
}
