import type { Entry, KeptJob } from "../engines/records.ts";
import type { ErrorCode } from "../errors.ts";
import { counted } from "../logging/counted.ts";
import type { ImportCounts, ImportRequest } from "./import.ts";
import type { JobProgress } from "./job-progress.ts";
import { isLookedThrough, type ForgetPosition, type ForgetRequest } from "./forget-request.ts";
import type { EventJobRequest, JobPosition } from "./job-selection.ts";
import type { MessageJobRequest, MessagePosition } from "./message-jobs.ts";

/** A job as its caller sees it, and as it is recorded. */

export type JobRequest = EventJobRequest | MessageJobRequest | ImportRequest | ForgetRequest;

export type Position = JobPosition | MessagePosition | ForgetPosition;

/** A command that runs for a while, as its caller sees it. */
export interface JobView extends JobProgress {
  readonly id: string;
  readonly action: JobRequest["action"];
  readonly actor: string;
  readonly reason: string | null;
  readonly dryRun: boolean;
  /** Unix milliseconds. */
  readonly startedAt: number;
  readonly endedAt: number | null;
  /** `stopped`: a caller ended it. `failed`: it could not continue, and `error` says why. */
  readonly state: "running" | "done" | "stopped" | "failed";
  readonly error: { readonly code: ErrorCode; readonly message: string } | null;
  /** Its events, in words, such as `type:invoice.* limit:3`. */
  readonly target: string;
  /** Of an import. */
  readonly imported: ImportCounts | null;
  /** Whether a crash has lost some of the counts. The job did at least as much as they say. */
  readonly atLeast?: boolean | undefined;
}

/** A job that has begun. */
export interface Started {
  readonly id: string;
  readonly request: JobRequest;
  readonly actor: string;
  readonly startedAt: number;
}

/** What is recorded of a job's progress. */
export interface Kept extends Pick<
  JobView,
  "state" | "error" | "imported" | "groups" | "failures" | "erased" | "atLeast"
> {
  readonly position?: Position | undefined;
  /** What is left of the limit. */
  readonly left?: number | undefined;
  /** Events after the position that count against the limit already. */
  readonly counted?: readonly string[] | undefined;
  /** Events after the position that `groups` and `failures` count already. */
  readonly done?: readonly string[] | undefined;
  /** Whether the counts are complete. They are after a stop, and not after a crash. */
  readonly isExact?: boolean | undefined;
  /** Of an import that was interrupted: its events are gone. */
  readonly target?: string;
  /** Whether its beginning is in the audit list. */
  readonly isAudited: boolean;
  /** Where it went on after the last interruption; null at the beginning. */
  readonly resumedFrom?: Position | null | undefined;
  /** How often it has gone on from there. */
  readonly resumes?: number | undefined;
}

export function viewOf({ id, request, actor, startedAt }: Started) {
  const { action, dryRun, reason = null } = request;
  return { id, action, actor, reason, dryRun, startedAt, target: targetOf(request) };
}

export function viewOfKept({ id, actor, startedAt, endedAt, request, progress }: KeptJob): JobView {
  const started = { id, actor, startedAt, request: JSON.parse(request) as JobRequest };
  const { target, state, error, imported, groups, failures, erased, atLeast } = JSON.parse(progress) as Kept &
    Pick<JobView, "target">;
  const recorded = { target, endedAt, state, error, imported, groups, failures, erased, atLeast };
  return { ...viewOf(started), ...recorded, tried: null };
}

export function entryOf(
  { id, request, actor, startedAt }: Started,
  endedAt: number | null,
  progress: Kept,
): Entry {
  return {
    entry: "job",
    job: {
      id,
      action: request.action,
      actor,
      startedAt,
      endedAt,
      request: JSON.stringify(keptOf(request, endedAt, progress)),
      progress: JSON.stringify({ target: targetOf(request), ...progress }),
      changed: changedBy(progress),
    },
  };
}

/** Up to 50,000 events or ids are too many to keep for longer than they are needed. */
function keptOf(request: JobRequest, endedAt: number | null, { position }: Kept): JobRequest {
  // An import does not go on after a crash. Its sender sends the events again.
  if (request.action === "import") return { ...request, events: [] };
  // A text that is forgotten is not kept longer than it is looked for.
  if (request.action === "forget" && request.match !== undefined)
    return endedAt === null && !isLookedThrough(position) ? request : { ...request, match: null };
  if (endedAt === null) return request;
  return "messages" in request
    ? { ...request, messages: { ...request.messages, ids: undefined } }
    : { ...request, filter: { ...request.filter, ids: undefined } };
}

/** How many events or messages a job has changed. */
function changedBy({ groups, imported }: Pick<Kept, "groups" | "imported">): number {
  if (imported !== null) return imported.fresh + imported.owed;
  return groups.reduce(
    (all, one) => all + one.processed + one.discarded + one.resent + one.stale + one.forgotten,
    0,
  );
}

export function auditOf({ id: job, request, actor, startedAt: at }: Started): Entry {
  const { action, reason = null } = request;
  return { entry: "audit", change: { at, actor, action, target: targetOf(request), reason, job, count: 0 } };
}

/** Somebody has stopped a job. */
export function stopOf({ request }: Started, actor: string, at: number): Entry {
  const target = `${request.action} ${targetOf(request)}`;
  return { entry: "audit", change: { at, actor, action: "stop", target, reason: null } };
}

/** The events or the messages of a job, in words. */
function targetOf(request: JobRequest): string {
  if (request.action === "import") return `${request.source}: ${counted(request.events.length, "id")}`;
  if (request.action === "forget" && request.match !== undefined) return "a text";
  const limit = "limit" in request ? request.limit : undefined;
  const { ids, since, until, ...filter } = "messages" in request ? request.messages : request.filter;
  const times = { since: iso(since), until: iso(until) };
  const to = "to" in request ? request.to : undefined;
  const parts = Object.entries({ to, ...filter, ...times, limit })
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key === "eventId" ? "event" : key}:${value}`);
  const listed = ids === undefined ? [] : [ids.length > 3 ? `${ids.length} ids` : ids.join(", ")];
  return [...listed, ...parts].join(" ") || "all";
}

const iso = (time?: number): string | undefined => (time === undefined ? time : new Date(time).toISOString());
