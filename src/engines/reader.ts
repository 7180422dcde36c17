import type { Headers, Outcome, Reply } from "../event.ts";
import type { AlertReader } from "./alerts.ts";
import type { ArrivalReader } from "./arrivals.ts";
import type { FailingReader } from "./failing.ts";
import type { ForgetReader } from "./forget.ts";
import type { NodeReader } from "./nodes.ts";
import type { MaybePromise, OutboxReader } from "./outbox.ts";
import type { Change, KeptJob, MatchedSecret, Token } from "./records.ts";
import type { RetentionReader } from "./retention.ts";
import type { Rollup, SourceSeen, Span } from "./rollups.ts";
import type { SourceStateReader } from "./source-states.ts";

/** What an engine stores of events, and how it is read. */

/** What is kept of a delivery. Secrets in `headers` are replaced. `body` is the raw bytes. */
export interface StoredDelivery {
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/** Codes of failures whose handler hung or ended the process. */
export const QUARANTINE_CODES = ["handler_timeout", "handler_died"] as const;

export type QuarantineCode = (typeof QUARANTINE_CODES)[number];

/** What the policy must know of a failure. */
export interface RecordedFailure {
  readonly code: string;
  /** Which version of the handler failed; null if none ran. */
  readonly handlerHash: string | null;
}

/** Outcomes of an event in the table of events. A failed event is in the table of failures instead. */
export type RecordedOutcome =
  | "processed"
  | "imported"
  | "ignored"
  | "stale"
  | "discarded"
  | "unhandled"
  | "held";

/** Which events a command or a page selects. */
export interface EventFilter {
  readonly ids?: readonly string[] | undefined;
  readonly source?: string | undefined;
  /**
   * Exact, or the beginning of a type and `*`. Empty: events without a type. `\\*` at the end is a `*` that belongs
   * to the type.
   */
  readonly type?: string | undefined;
  /** An outcome that this version does not record matches nothing. */
  readonly outcome?: RecordedOutcome | "failed" | undefined;
  /** Unix milliseconds, of the first receipt; `since` is included, `until` is not. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  /** An event id, or text that the event's id or body contains, byte for byte. */
  readonly search?: string | undefined;
}

/** An event that is stored and not done. */
export interface OwedEvent {
  readonly source: string;
  readonly eventId: string;
  readonly type: string;
  /** `failed` also if the event was unhandled and its handler has failed since. */
  readonly outcome: "unhandled" | "failed" | "held";
  /** Of a failure with one of the {@link QUARANTINE_CODES}. */
  readonly quarantine?: RecordedFailure | undefined;
}

/** Where the next page begins: after this position in the order received. */
export interface Cursor {
  /** The row id of an event, or the highest event id at a failure's first attempt. */
  readonly position: number;
  /** The row id of a failure; 0 for an event. */
  readonly failure: number;
}

/**
 * One page in the order received. `next` is undefined on the last page. An earlier page may hold fewer events
 * than asked for, or none, because each page looks at a limited number of rows.
 */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: Cursor | undefined;
}

/** An event that is recorded. */
export interface SelectedEvent {
  readonly source: string;
  readonly eventId: string;
  readonly type: string;
  readonly outcome: RecordedOutcome;
}

/** How many events of a source, type and outcome are owed. */
export interface OwedCount extends Omit<OwedEvent, "eventId" | "quarantine"> {
  readonly count: number;
  /** Whether there may be more. */
  readonly capped: boolean;
}

/** An event as {@link Reader.find} finds it. */
export interface FoundEvent {
  readonly source: string;
  readonly type: string;
  readonly outcome: RecordedOutcome | "failed";
}

/** Why an event's handler failed last. */
export interface FailureCause {
  /** Relative to the inbox folder; null if none ran. */
  readonly handler: string | null;
  readonly code: string;
  readonly error: string;
}

export interface StackedFailure extends FailureCause {
  /** Null if the error has none. */
  readonly stack: string | null;
}

/** Which events a list shows. */
export type ListFilter = Omit<EventFilter, "ids">;

/** The last row of a page that has the newest first. The next page begins after it. */
export interface Newest {
  /** Unix milliseconds, of the first receipt. */
  readonly at: number;
  /** 1 for a failure, 0 for an event. */
  readonly failure: 0 | 1;
  /** The row id. */
  readonly id: number;
  /** Set if it is one of the events that a search finds by their id. These come before all others. */
  readonly byId?: true;
}

/**
 * One page, the newest first. `next` is undefined on the last page. An earlier page may hold fewer items than
 * asked for, or none: a page takes a limited time, and `next.at` says how far back it has looked.
 */
export interface NewestPage<Item> {
  readonly items: readonly Item[];
  readonly next: Newest | undefined;
}

/** How far a follower has read: the last event, the last failure, and the last change of an outcome. */
export interface Followed {
  readonly event: number;
  readonly failure: number;
  readonly change: number;
}

/** What was recorded, failed or changed since the last look. */
export interface Changes {
  /**
   * In the order of their commits, except that new events come before changes of older ones. A changed event is
   * here whatever its outcome is now.
   */
  readonly items: readonly ListedEvent[];
  /** Whether older ones were left out. */
  readonly isCut: boolean;
  readonly followed: Followed;
}

/** An event in a list. */
export interface ListedEvent {
  readonly source: string;
  readonly eventId: string;
  readonly type: string;
  readonly outcome: RecordedOutcome | "failed";
  /** Unix milliseconds, of the first and the latest delivery. */
  readonly receivedAt: number;
  readonly lastDeliveryAt: number;
  readonly deliveries: number;
  /** Relative to the inbox folder; null if none ran. */
  readonly handler: string | null;
  /** Null if no handler has succeeded. */
  readonly rowsChanged: number | null;
  /** In microseconds. */
  readonly durationUs: number | null;
}

export interface KeptDelivery {
  /** Counts the deliveries of the event from 1. */
  readonly number: number;
  readonly at: number;
  readonly outcome: Outcome;
  readonly changedBody: boolean;
}

/** In a list, `error` is the first 500 characters of the message. */
export interface ListedFailure extends FailureCause {
  readonly source: string;
  readonly eventId: string;
  readonly type: string;
  readonly attempts: number;
  readonly firstAt: number;
  readonly lastAt: number;
  /** When hookonce runs it again; null if it does not. */
  readonly nextAt: number | null;
}

/** A stored body. */
export interface KeptBody extends StoredDelivery {
  readonly receivedAt: number;
  /** Whether the body is the event's own part of a batch. */
  readonly element: boolean;
}

export interface FailureOfEvent extends ListedFailure {
  readonly stack: string | null;
  /** When one of its deliveries was first answered 200; null if none was. */
  readonly acceptedAt: number | null;
}

/** Everything that is stored of one event. */
export interface EventDetail extends ListedEvent {
  /** Null if only its id is kept. */
  readonly stored: KeptBody | null;
  /** Whether its body was stored, and retention has removed it. */
  readonly isRemoved: boolean;
  /** How many values in it were replaced. */
  readonly redacted: number;
  /** The first ten and the latest ten. */
  readonly timeline: readonly KeptDelivery[];
  /** When a job applied or closed it last, after it was owed. Null if a delivery did, or none. */
  readonly settled: (Pick<KeptDelivery, "at" | "outcome"> & { readonly actor: string | null }) | null;
  readonly failure: FailureOfEvent | null;
  /** The latest delivery with another body. */
  readonly changed: KeptBody | null;
  readonly changedBodies: number;
  /** Processed events that had this id before, the latest first; at most ten. Their windows are over. */
  readonly earlier: readonly { readonly receivedAt: number; readonly deliveries: number }[];
  readonly reply: Reply | null;
  /** How often `replay` ran it. */
  readonly replays: number;
  /** Why it was discarded, applied or replayed, or which event is newer than a stale one. */
  readonly reason: string | null;
  /** The id of the recorded event with the same bytes (`same_body`). Null if there is none. */
  readonly sameAs: string | null;
}

/** Open failures with the same source, handler, code and pattern of the message (logging/error-pattern.ts). */
export interface FailureGroup extends FailureCause {
  readonly source: string;
  readonly count: number;
  /** At most 100. */
  readonly types: readonly string[];
  readonly firstAt: number;
  readonly lastAt: number;
  /** The one that failed last. */
  readonly latestEventId: string;
}

export interface FailureGroups {
  /** The largest first. */
  readonly groups: readonly FailureGroup[];
  /** Whether there are more failures than were counted. */
  readonly capped: boolean;
}

/** Reads that are not part of a delivery. Each is one or a few short queries, and none keeps a snapshot. */
export interface Reader
  extends
    OutboxReader,
    RetentionReader,
    FailingReader,
    ForgetReader,
    SourceStateReader,
    AlertReader,
    NodeReader,
    ArrivalReader<ListFilter, ListedEvent> {
  /** Owed events in the order received, at most `limit`. With `until`, only those that were stored up to it. */
  owed(
    ...page: [filter: EventFilter, after: Cursor | undefined, limit: number, until?: Followed]
  ): MaybePromise<Page<OwedEvent>>;
  /**
   * Events in the order received, at most `limit`, that were recorded up to a moment. Those that had another
   * outcome at that moment are left out.
   */
  recorded(
    filter: EventFilter,
    after: Cursor | undefined,
    limit: number,
    until: Pick<Followed, "event" | "change">,
  ): MaybePromise<Page<SelectedEvent>>;
  /** How many events are owed, by source, type and outcome: at most `cap` of each, and 1,000 types. */
  owedByType(cap: number): MaybePromise<readonly OwedCount[]>;
  /** What has become of an id: one row for each of these sources that has it. */
  find(eventId: string, sources: readonly string[]): MaybePromise<readonly FoundEvent[]>;
  /** How many of these ids are recorded and done, and how many are owed. Give at most 1,000: 9 µs each. */
  countKnown(
    source: string,
    ids: readonly string[],
  ): MaybePromise<{ readonly known: number; readonly owed: number; readonly settled: readonly string[] }>;
  /** Why an event is owed as failed; undefined if it is not. */
  failure(source: string, eventId: string): MaybePromise<(StackedFailure & RecordedFailure) | undefined>;
  /**
   * Failures of these sources that are to be run again by now, the longest due first, and those whose time is more
   * than LONGEST_RETRY_MS ahead.
   */
  due(
    now: number,
    limit: number,
    sources: readonly string[],
  ): MaybePromise<readonly Pick<OwedEvent, "source" | "eventId">[]>;

  /** Events and open failures, the newest first. Takes about 10 ms at most, whatever the filter. */
  events(filter: ListFilter, after: Newest | undefined, limit: number): MaybePromise<NewestPage<ListedEvent>>;
  /** How far the events have come. */
  followed(): MaybePromise<Followed>;
  /** At most the newest `limit` of each kind. */
  changes(filter: ListFilter, after: Followed, limit: number): MaybePromise<Changes>;
  /** Undefined if the source has no such event. */
  event(source: string, eventId: string): MaybePromise<EventDetail | undefined>;
  /** Open failures, the one that was received last first. */
  failures(
    filter: ListFilter,
    after: Newest | undefined,
    limit: number,
  ): MaybePromise<NewestPage<ListedFailure>>;
  /** Counts the newest `cap` open failures, a slice at a time, so that deliveries are received meanwhile. */
  failureGroups(filter: Pick<ListFilter, "source">, cap: number): MaybePromise<FailureGroups>;
  /**
   * Those that begin from `since` to `until`, in the order of time, and of the sources' names. Minutes are kept
   * for three days at least, hours for a year, days for ever.
   */
  rollups(
    span: Span,
    range: { readonly since: number; readonly until: number; readonly source?: string | undefined },
  ): MaybePromise<readonly Rollup[]>;
  /** Each source that has received a delivery up to `now`. What a clock that was ahead has left is not counted. */
  seen(now: number): MaybePromise<readonly SourceSeen[]>;
  matchedSecrets(): MaybePromise<readonly MatchedSecret[]>;
  /** What was changed by people, the latest first; `before` is the last row of the previous page. */
  audit(before: number | undefined, limit: number): MaybePromise<readonly Change[]>;
  /** Revoked and expired ones are included. The oldest first. */
  tokens(): MaybePromise<readonly Token[]>;
  /** The token with this hash, revoked or not. */
  token(hash: string): MaybePromise<Token | undefined>;
  /** The latest first. */
  jobs(limit: number): MaybePromise<readonly KeptJob[]>;
  job(id: string): MaybePromise<KeptJob | undefined>;
  /** The first that began first. */
  unendedJobs(): MaybePromise<readonly KeptJob[]>;
}
