import * as z from "zod/mini";
import { duration } from "../../config/schema-parts.ts";
import { checkId, checkType } from "../../providers/body/identity.ts";
import { isMessageId, MESSAGE_STATES } from "../../engines/outbox.ts";
import { EVENT_OUTCOMES } from "./event-outcomes.ts";
import { forgetJob } from "./forget-request.ts";
import { ids, reason, text, time, type } from "./request-fields.ts";

/** What the API accepts. Times are Unix milliseconds. Other keys than these are refused. */

const timeInQuery = z.pipe(
  z.string().check(z.regex(/^\d{1,15}$/, "Write Unix milliseconds.")),
  z.transform(Number),
);
const flag = z._default(z.enum(["true", "false"]), "false");
const limit = (max: number, otherwise: number) =>
  z._default(
    z.pipe(
      z.string().check(z.regex(/^[1-9]\d{0,4}$/, `Write a whole number from 1 to ${max}.`)),
      z.pipe(z.transform(Number), z.int().check(z.maximum(max, `Write at most ${max}.`))),
    ),
    otherwise,
  );

export const SCOPES = ["read", "steer", "forget"] as const;

const eventFilter = {
  source: z.optional(text),
  /** Exact, or with `*` at its end; `\\*` is a `*` that belongs to the type. */
  type: z.optional(type),
  outcome: z.optional(z.enum(EVENT_OUTCOMES)),
  /** Of the first receipt; included. */
  since: z.optional(timeInQuery),
  /** Not included. */
  until: z.optional(timeInQuery),
  /** An event id, or text in the payload. */
  search: z.optional(text),
};

const cursor = z.optional(text);

export const eventsQuery = z.strictObject({ ...eventFilter, limit: limit(500, 50), cursor });

/**
 * With a cursor, each event once, in the order received: `last` for those that arrive from now on, `first` for all,
 * or from `since` on, or a cursor that the stream has sent.
 */
export const streamQuery = z.strictObject({ ...eventFilter, cursor });

/** Without a source, the id must belong to one source only. */
export const eventQuery = z.strictObject({ source: z.optional(text), event_id: text });

export const rawQuery = z.strictObject({
  source: z.optional(text),
  event_id: text,
  /** The first delivery, or the latest whose body differs. */
  which: z._default(z.enum(["first", "changed"]), "first"),
});

export const failuresQuery = z.strictObject({
  group: z._default(z.enum(["handler", "none"]), "handler"),
  source: z.optional(text),
  type: z.optional(type),
  since: z.optional(timeInQuery),
  until: z.optional(timeInQuery),
  search: z.optional(text),
  limit: limit(500, 50),
  cursor,
});

/** Bodies only on demand: twenty of a MiB each would take 30 ms to write. */
export const refusedQuery = z
  .strictObject({
    source: z.optional(text),
    id: z.optional(z.pipe(z.string().check(z.regex(/^\d{1,15}$/, "Write a number.")), z.transform(Number))),
    limit: limit(20, 20),
    body: flag,
    verdict: flag,
  })
  .check(
    z.refine(({ id, verdict }) => verdict === "false" || id !== undefined, {
      path: ["id"],
      error: "A verdict needs the id of one refused delivery.",
    }),
  );

export const shownSecretsQuery = z.strictObject({ source: z.optional(text) });

const hash = z.string().check(z.regex(/^[0-9a-f]{64}$/, "Write a SHA-256 in hex."));
export const outdatedQuery = z.strictObject({
  source: text,
  salt: text,
  secret: hash,
  verify_token: hash,
  settings: hash,
});

export const rollupsQuery = z.strictObject({
  source: z.optional(text),
  by: z._default(z.enum(["minute", "hour", "day"]), "hour"),
  since: z.optional(timeInQuery),
});

/** Times are of when a message was written. */
export const messagesQuery = z.strictObject({
  destination: z.optional(text),
  state: z.optional(z.enum(MESSAGE_STATES)),
  source: z.optional(text),
  event_id: z.optional(text),
  type: z.optional(type),
  since: z.optional(timeInQuery),
  until: z.optional(timeInQuery),
  limit: limit(500, 50),
  cursor,
});

/** Without a destination, the id must belong to one destination only. */
export const messageQuery = z.strictObject({ destination: z.optional(text) });

export const auditQuery = z.strictObject({ limit: limit(500, 50), cursor });

/** Jobs about events, or about messages: `isAboutMessages` says which. */
const bulkJob = z
  .strictObject({
    action: z.enum(["apply", "replay", "discard", "resend"]),
    ids,
    filter: z._default(
      z.strictObject({
        source: z.optional(text),
        type: z.optional(type),
        outcome: z.optional(z.enum(["processed", "stale", "unhandled", "failed", "held", "discarded"])),
        since: z.optional(time),
        until: z.optional(time),
        /** An event id, or text in the payload. */
        search: z.optional(text),
        /** Of messages. */
        destination: z.optional(text),
        state: z.optional(z.enum(MESSAGE_STATES)),
        event_id: z.optional(text),
        limit: z.optional(z.int().check(z.positive())),
      }),
      {},
    ),
    dry_run: z._default(z.boolean(), false),
    /** A replay also runs stale events. */
    even_stale: z.optional(z.boolean()),
    /** A destination: `resend` sends events there. */
    to: z.optional(text),
    /** Events or messages per second. */
    rate: z.optional(z.number().check(z.positive())),
    reason,
  })
  .check(
    z.refine(
      ({ ids, filter: { source: _source, destination: _destination, limit: _limit, ...others } }) =>
        ids === undefined || Object.values(others).every((value) => value === undefined),
      "Give ids or a filter, not both. With ids, only source, destination and limit are allowed.",
    ),
    z.refine(
      ({ action, dry_run, reason: why }) =>
        action === "apply" || action === "resend" || dry_run || why !== undefined,
      { path: ["reason"], error: "Say why: replay and discard need a reason." },
    ),
    z.refine(({ action, to }) => to === undefined || action === "resend", {
      path: ["to"],
      error: "Only resend sends events to a destination.",
    }),
    z.refine(
      ({ ids = [], filter: { source, destination } }) =>
        source !== undefined || destination !== undefined || new Set(ids.map(isMessageId)).size < 2,
      { path: ["ids"], error: "Give ids of events or ids of messages (msg_…), not both." },
    ),
    z.refine((job) => isAboutMessages(job) || !asksForMessages(job.filter), {
      path: ["filter"],
      error: "destination, state and event_id are for messages: for resend without to, and for discard.",
    }),
    z.refine((job) => !isAboutMessages(job) || (job.filter.outcome ?? job.filter.search) === undefined, {
      path: ["filter"],
      error: "outcome and search are for events, not for messages.",
    }),
  );

interface BulkJob {
  readonly action: string;
  readonly to?: string | undefined;
  readonly ids?: readonly string[] | undefined;
  readonly filter: {
    readonly source?: string | undefined;
    readonly destination?: string | undefined;
    readonly state?: string | undefined;
    readonly event_id?: string | undefined;
  };
}

const asksForMessages = ({ destination, state, event_id: event }: BulkJob["filter"]): boolean =>
  (destination ?? state ?? event) !== undefined;

/** Whether a job is about messages. An event may have the id of another hookonce's message, if its source is named. */
export function isAboutMessages({ action, to, ids, filter }: BulkJob): boolean {
  if (action === "resend") return to === undefined;
  if (action !== "discard") return false;
  if (ids === undefined || filter.destination !== undefined) return asksForMessages(filter);
  return filter.source === undefined && ids.some(isMessageId);
}

/** An event's id, its type, and when it was received elsewhere. */
type ImportedEvent = [id: string, type: string, at: number];

/** One check of each event takes 0.3 µs, a schema of its three parts 1.1. */
const importedEvent = z.custom<ImportedEvent>(
  (event) =>
    Array.isArray(event) &&
    event.length === 3 &&
    typeof event[1] === "string" &&
    isFit(() => [checkId(event[0]), checkType(event[1])]) &&
    Number.isSafeInteger(event[2]) &&
    event[2] >= 0,
  "Write an event as [id, type, Unix milliseconds], with an id and a type that a delivery may have.",
);

function isFit(check: () => unknown): boolean {
  try {
    check();
    return true;
  } catch {
    return false;
  }
}

const importJob = z.strictObject({
  action: z.literal("import"),
  source: text,
  events: z
    .array(importedEvent)
    .check(z.minLength(1), z.maxLength(50_000, "Give at most 50,000 events, and the rest in another job.")),
  dry_run: z._default(z.boolean(), false),
  reason,
});

export const jobRequest = z.discriminatedUnion("action", [bulkJob, importJob, forgetJob]);

/** With an event, the handler is by default the one that it runs. Without one, the newest stored event is used. */
export const tryRequest = z
  .strictObject({
    /** Its path below the inbox folder. */
    handler: z.optional(text),
    source: z.optional(text),
    event_id: z.optional(text),
    /** How many of the newest stored events that the handler would run. */
    last: z.optional(z.int().check(z.positive(), z.maximum(20, "Write at most 20."))),
    /** A type. */
    sample: z.optional(text),
    /** A body. */
    data: z.optional(z.string().check(z.maxLength(5 * 1024 * 1024, "Write at most 5 MiB."))),
  })
  .check(
    z.refine(
      ({ event_id: id, last, sample, data }) =>
        [id, last, sample, data].filter((one) => one !== undefined).length < 2,
      "Give one of event_id, last, sample and data.",
    ),
    z.refine(({ handler, event_id: id }) => handler !== undefined || id !== undefined, {
      path: ["handler"],
      error: "Name a handler or a stored event.",
    }),
  );

export const tokenRequest = z.strictObject({
  name: z
    .string()
    .check(
      z.regex(
        /^[A-Za-z0-9](?:[\w.-]{0,62}[A-Za-z0-9])?$/,
        "Write at most 64 letters, digits, dots, - and _.",
      ),
    ),
  scopes: z._default(z.array(z.enum(SCOPES)).check(z.minLength(1)), ["read"]),
  /** When it stops working; null if never. */
  expires_at: z._default(z.nullable(time), null),
});

export const fixtureRequest = z.strictObject({
  source: text,
  event_id: text,
  /** What is masked, as in `body:$.data.object.email`. */
  redact: z._default(z.array(text).check(z.maxLength(1000, "Write at most 1,000 paths.")), []),
});

export const reloadRequest = z.strictObject({
  /** Sources that may be gone although their events are stored. */
  drop_sources: z._default(z.array(text).check(z.maxLength(100, "Write at most 100 sources.")), []),
  /** Whether all other nodes on the same database load their folders, too. */
  all: z._default(z.boolean(), false),
});

export const destinationState = z.strictObject({ state: z.enum(["open", "paused"]), reason });

export const sourceState = z
  .strictObject({
    state: z.enum(["open", "held", "refusing"]),
    /** How long it is paused; by default until somebody resumes it. */
    for: z.optional(
      duration().check(z.refine((ms: number) => ms > 0, "Write a time that is longer than 0s.")),
    ),
    /** Whether the first failure of the resume pauses the source again. */
    stop_on_failure: z.optional(z.boolean()),
    reason,
  })
  .check(
    z.refine(({ state, stop_on_failure: stop }) => state === "open" || stop === undefined, {
      path: ["stop_on_failure"],
      error: "Only a resume stops on a failure: it needs the state open.",
    }),
    ...(["for", "reason"] as const).map((key) =>
      z.refine<{ readonly state: string; readonly for?: unknown; readonly reason?: unknown }>(
        (change) => change.state !== "open" || change[key] === undefined,
        { path: [key], error: "Only a pause has it: it needs the state held or refusing." },
      ),
    ),
  );

export const sessionRequest = z.strictObject({ token: text });

export type EventsQuery = z.infer<typeof eventsQuery>;
export type StreamQuery = z.infer<typeof streamQuery>;
export type FailuresQuery = z.infer<typeof failuresQuery>;
export type MessagesQuery = z.infer<typeof messagesQuery>;
export type RollupsQuery = z.infer<typeof rollupsQuery>;
export type JobRequest = z.infer<typeof jobRequest>;
export type TryRequest = z.infer<typeof tryRequest>;
export type TokenRequest = z.infer<typeof tokenRequest>;
