/**
 * What the API answers, for the page and the command line. Times are Unix milliseconds. This file has only
 * types, so that the browser may import it.
 */

import type { AlertName, Condition } from "../../inbox/condition.ts";
import type { DestinationJson, MessageDetail } from "./message-shapes.ts";
import type { SourceJson, SourceStateJson } from "./source-shapes.ts";
import type { Scope } from "./token-shapes.ts";
import type { NodeJson } from "./node-shapes.ts";

export type * from "./message-shapes.ts";
export type * from "./source-shapes.ts";
export type * from "./reload-shapes.ts";
export type * from "./token-shapes.ts";

/** The outcome of an event that is recorded. The last three are owed. */
export type EventOutcome =
  | "processed"
  | "imported"
  | "ignored"
  | "stale"
  | "discarded"
  | "unhandled"
  | "failed"
  | "held";

/** How a delivery was answered. */
export type DeliveryOutcome = EventOutcome | "duplicate" | "refused";

export interface List<Item> {
  readonly items: readonly Item[];
  /** For the next page; null on the last one. A page may be empty and not the last one. */
  readonly next: string | null;
}

export interface ErrorJson {
  readonly error: { readonly code: string; readonly message: string };
}

export interface EventJson {
  readonly source: string;
  readonly event_id: string;
  /** Empty if the delivery names none. */
  readonly type: string;
  readonly outcome: EventOutcome;
  readonly received_at: number;
  readonly last_delivery_at: number;
  readonly deliveries: number;
  /** Relative to the inbox folder; null if none ran. */
  readonly handler: string | null;
  readonly rows_changed: number | null;
  readonly duration_us: number | null;
}

/** One page of events, the newest first. */
export interface EventList extends List<EventJson> {
  /**
   * Back to which time the events have been looked at: the progress of a search. Null if nothing is left to
   * look at.
   */
  readonly searched_back_to: number | null;
}

/** One entry in the history of an event. */
export interface TimelineEntry {
  readonly at: number;
  /** Counts the deliveries from 1. Only the first ten and the latest ten are kept. */
  readonly number: number;
  readonly outcome: DeliveryOutcome;
  /** Whether its body differed from the stored one. */
  readonly changed_body: boolean;
}

export interface SettledJson {
  readonly at: number;
  readonly outcome: DeliveryOutcome;
  /** Who ordered the job; null if no job, or more than one, could have done it then. */
  readonly actor: string | null;
}

/** What was delivered. */
export interface StoredJson {
  readonly received_at: number;
  /** The JSON value, or the fields of a form; null if the body is neither, or too large or deep to show. */
  readonly payload: unknown;
  readonly headers: Readonly<Record<string, string>>;
  /** The length of the body, in bytes. */
  readonly bytes: number;
}

export interface EventDetail extends EventJson {
  /** The JSON value, or the fields of a form; null if the body is neither, or not stored. */
  readonly payload: unknown;
  readonly headers: Readonly<Record<string, string>>;
  /** Where the config says that the type is, in words, if nothing was there; else null. */
  readonly type_missing_at: string | null;
  /** The length of the body in bytes; null if the body is not stored. */
  readonly bytes: number | null;
  /** Whether the body was stored, and retention or forget has removed it. */
  readonly payload_removed: boolean;
  /** Why it was forgotten; null if it was not. */
  readonly forgotten: string | null;
  /** How many values were replaced (`redact`). Then the event can neither be run nor sent again. */
  readonly values_redacted: number;
  readonly timeline: readonly TimelineEntry[];
  /** What is sent on because of it, the oldest first; at most 50. */
  readonly messages: readonly MessageDetail[];
  /** When a job applied or closed it last, after it was owed; null if a delivery did, or none. */
  readonly settled: SettledJson | null;
  /** Why it is owed, if its handler failed. */
  readonly failure: FailureDetail | null;
  /** The latest delivery whose body differed from the first one. */
  readonly changed: StoredJson | null;
  readonly changed_bodies: number;
  /** Processed events that had this id before (`dedup_window`), the latest first; at most ten. */
  readonly earlier: readonly { readonly received_at: number; readonly deliveries: number }[];
  /** What its handler answered the provider. */
  readonly reply: ReplyJson | null;
  /** How often `replay` ran it. */
  readonly replays: number;
  /** The id of the recorded event with the same body (`same_body`). Null if there is none. */
  readonly same_as: string | null;
  /** Why it was ignored, discarded, applied or replayed, or which event is newer. */
  readonly reason: string | null;
}

export interface ReplyJson {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Groups of failures, the largest first. */
export interface FailureGroupList extends List<FailureGroup> {
  /** How many groups there are; if `capped`, there may be more. */
  readonly total: number;
  /** Whether there are more failures than were counted. */
  readonly capped: boolean;
}

export interface FailureJson {
  readonly source: string;
  readonly event_id: string;
  readonly type: string;
  readonly handler: string | null;
  readonly code: string;
  /** In a list, the first 500 characters. */
  readonly error: string;
  /** Where the handler failed, as `handlers/stripe/invoice.paid.ts:12`; null if the stack does not say. */
  readonly at: string | null;
  readonly attempts: number;
  readonly first_at: number;
  readonly last_at: number;
}

export interface FailureDetail extends FailureJson {
  readonly stack: string | null;
  /** When hookonce runs it again on its own; null if it does not. */
  readonly next_at: number | null;
  /** When one of its deliveries was first answered 200 (`max_failed_answers`, a tie); null if none was. */
  readonly accepted_at: number | null;
}

/** Open failures with the same source, handler and error, up to its 500th character, apart from numbers and ids. */
export interface FailureGroup {
  readonly source: string;
  readonly handler: string | null;
  readonly code: string;
  /** Of the one that failed last. */
  readonly error: string;
  /** Where the handler failed the last time. */
  readonly at: string | null;
  readonly count: number;
  /** At most 100. */
  readonly types: readonly string[];
  readonly first_at: number;
  readonly last_at: number;
  /** The one that failed last. */
  readonly latest_event_id: string;
}

/** How many events of a type are owed. */
export interface OwedJson {
  readonly source: string;
  readonly type: string;
  readonly outcome: "unhandled" | "failed" | "held";
  readonly count: number;
  /** Whether there may be more. At most 10,000 of each type are counted. */
  readonly capped: boolean;
  /** The file that would run them now; null if there is none. */
  readonly handler: string | null;
}

/** Who sent the request. */
export interface ActorJson {
  readonly name: string;
  readonly scopes: readonly Scope[];
}

export interface StatusJson {
  readonly version: string;
  readonly now: number;
  /** The `serve` that answered; null if none is running. */
  readonly serving: ServingJson | null;
  readonly actor: ActorJson;
  /** What needs attention, the worst first. `hookonce status`, the page and alerts say the same. */
  readonly conditions: readonly ConditionJson[];
  readonly sources: readonly SourceJson[];
  /** The sources that are not open, also those that the config has no more. */
  readonly paused: readonly SourceStateJson[];
  readonly destinations: readonly DestinationJson[];
  /** At most 1,000 types of each outcome. */
  readonly owed: readonly OwedJson[];
  /** Of the last 24 hours. */
  readonly today: Counts;
  readonly disk: DiskJson;
  readonly retention: RetentionJson;
  /** The processes that use the database. Empty if only one process can. */
  readonly nodes: readonly NodeJson[];
}

/** Something that needs attention, since `since`. It is about a source, a handler of it, or a destination. */
export interface ConditionJson extends Omit<Condition, "subject"> {
  readonly alert: AlertName;
  readonly source: string | null;
  /** Relative to the inbox folder. */
  readonly handler: string | null;
  readonly destination: string | null;
}

/** What `[retention]` removes, and what it has done. */
export interface RetentionJson {
  /** How long payloads are kept, in milliseconds; null: for ever. */
  readonly payloads_ms: number | null;
  /** The size of the database at which the oldest payloads go, in bytes; null: there is none. */
  readonly max_bytes: number | null;
  /** How much of the database is in use, in bytes. */
  readonly used_bytes: number;
  /** How many unhandled events it has discarded so far. */
  readonly discarded: number;
  readonly last_discarded_at: number | null;
}

export interface ServingJson {
  /** Where webhooks are received. */
  readonly url: string;
  readonly started_at: number;
  /** When config and handlers were read last. */
  readonly loaded_at: number;
  /** Whether a delivery can be stored now. */
  readonly ready: boolean;
  /** Why not; null if it can. */
  readonly error: { readonly code: string; readonly message: string } | null;
  /** What somebody should look after besides `conditions`, such as a large write-ahead log. */
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
}

export interface DiskJson {
  readonly database: string;
  readonly database_bytes: number;
  /** The write-ahead log; null if it is the database server's. */
  readonly log_bytes: number | null;
  /** Free on the disk of the database; null if the system does not say, or if it is the server's. */
  readonly free_bytes: number | null;
}

/** How many deliveries ended how. */
export interface Counts {
  readonly processed: number;
  readonly duplicate: number;
  readonly unhandled: number;
  readonly ignored: number;
  readonly stale: number;
  readonly held: number;
  readonly failed: number;
  readonly refused: number;
}

export interface RollupJson extends Counts {
  readonly source: string;
  /** The beginning of the minute, hour or day. */
  readonly at: number;
  /** How long handlers ran, in microseconds; null if none ran. */
  readonly p50_us: number | null;
  readonly p95_us: number | null;
}

/** A delivery that was refused. */
export interface RefusedJson {
  /** For `?id=`; unique since the start of `serve`. */
  readonly id: number;
  readonly source: string;
  readonly received_at: number;
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Base64, with `?body=true`. */
  readonly body: string | null;
  /** Why the body was not kept. */
  readonly body_missing: "not_read" | "too_large" | "secret" | null;
  readonly code: string;
  readonly message: string;
  /** The doctor's verdict, with `?verdict=true&id=`. Null if too little was kept for one. */
  readonly verdict?: VerdictJson | null;
}

/** A part of a source's config that has changed since `serve` read it. */
export type OutdatedJson = "secret" | "verify_token" | "settings";

/** A secret that arrived in a handshake. Anyone may have sent it. */
export interface ShownSecretJson {
  readonly source: string;
  readonly secret: string;
}

export interface VerdictJson {
  readonly verified: boolean;
  readonly code: string | null;
  readonly message: string | null;
  readonly findings: readonly { readonly what: string; readonly remedy: string; readonly proven: boolean }[];
  readonly docs: string;
}

export interface AuditJson {
  readonly at: number;
  /** The name of a token, or of the user on this machine. */
  readonly actor: string;
  readonly action: string;
  /** What it was done to. */
  readonly target: string;
  readonly reason: string | null;
  /** How many events or messages a job has changed; null for what is no job. */
  readonly count: number | null;
}
