import type { MaybePromise } from "./outbox.ts";
import type { Outcome } from "../event.ts";

/** What `forget` erases. Ids, times, outcomes and counts stay. */

/**
 * The kinds of rows in which hookonce stores what came in deliveries or was made of it, in the order in which they
 * are looked through. What is enqueued comes before the messages that it becomes. A failure keeps its bodies when it
 * becomes an event.
 */
export const TEXT_PLACES = [
  "bodies",
  "events",
  "results",
  "changed bodies",
  "failures",
  "enqueued",
  "messages",
  "attempts",
  "positions",
  "interrupted runs",
  "jobs",
  "audit",
  "source states",
  "destinations",
] as const;

export type TextPlace = (typeof TEXT_PLACES)[number];

export type StoredText = string | Uint8Array | null;

/** The texts of a row, in the order of {@link TEXTS}. */
export interface StoredTexts {
  readonly row: number;
  readonly values: readonly StoredText[];
}

/** The texts that a row of each place has, by name. */
export const TEXTS = {
  bodies: ["headers", "bytes"],
  events: ["event_id", "type"],
  results: ["reply", "reason"],
  "changed bodies": ["headers", "body"],
  failures: [
    "event_id",
    "type",
    "error",
    "stack",
    "first_headers",
    "first_body",
    "last_headers",
    "last_body",
  ],
  messages: ["message_id", "headers", "body", "last_error", "reason"],
  attempts: ["error", "answer"],
  positions: ["key", "event_id"],
  enqueued: ["message_id", "headers", "body"],
  "interrupted runs": ["event_id"],
  jobs: ["request", "progress"],
  audit: ["target", "reason"],
  "source states": ["reason"],
  destinations: ["reason"],
} as const satisfies Readonly<Record<TextPlace, readonly string[]>>;

/** An event whose payload can be erased. */
export interface ForgettableEvent {
  /** Its row; null if it is a failure that is not recorded. */
  readonly row: number | null;
  readonly source: string;
  readonly eventId: string;
  readonly type: string;
  readonly outcome: Exclude<Outcome, "duplicate">;
}

/** A body that several events share. */
export interface SharedBody {
  readonly row: number;
  /** JSON text. */
  readonly headers: string;
  readonly bytes: Uint8Array;
  readonly events: readonly ForgettableEvent[];
}

/** What is put in place of a text. */
export const FORGOTTEN = "(forgotten)";

/** The reason of messages whose content is erased. They are never sent again. */
export const MESSAGE_FORGOTTEN = "its content was forgotten";

const FORGOTTEN_FOR = "forgotten: ";

/** The reason of an event that was forgotten. */
export const reasonOfForgotten = (given: string): string => `${FORGOTTEN_FOR}${given}`;

/** Why an event was forgotten whose body is not stored. Null if it was not. */
export const whyForgotten = (reason: string | null): string | null =>
  reason?.startsWith(FORGOTTEN_FOR) === true ? reason.slice(FORGOTTEN_FOR.length) : null;

/** What is stored in place of an id, a type or a key that contains a forgotten text. */
export function hashed(text: string): string {
  return `sha256:${new Bun.CryptoHasher("sha256").update(text).digest("hex")}`;
}

/** One step. Each is whole by itself, so the job may be interrupted between any two. */
export type ForgetStep =
  /** Everything that is stored of an event but its id, type, times and outcome. */
  | {
      readonly forget: "event";
      readonly event: ForgettableEvent;
      /** Replaces its id, or its type, by their hashes. */
      readonly hides: { readonly id: boolean; readonly type: boolean };
      /** Also if it is owed. It becomes `discarded`. */
      readonly owed: boolean;
      readonly reason: string;
      /** Whether its source has `same_body = "duplicate"`. */
      readonly sameBody: boolean;
    }
  /** Gives events of a batch a body each. The shared one is removed when no event needs it any more. */
  | {
      readonly forget: "batch";
      readonly body: number;
      readonly parts: readonly { readonly event: number; readonly json: string }[];
    }
  /** Its content, answers and output. If it is unsent, it becomes `discarded`. */
  | { readonly forget: "message"; readonly row: number; readonly hidesId: boolean }
  /** Replaces some texts of a row. What is not named stays. */
  | {
      readonly forget: "texts";
      readonly place: TextPlace;
      readonly row: number;
      readonly texts: Readonly<Record<string, string | null>>;
    }
  /** Removes a row that nothing needs: a body only if no event has it. */
  | {
      readonly forget: "row";
      readonly place: "bodies" | "enqueued" | "interrupted runs";
      readonly row: number;
    };

export interface ForgetJob {
  readonly kind: "forget";
  readonly step: ForgetStep;
  /** Unix milliseconds. */
  readonly at: number;
}

/** What a step has done. */
export interface Forgotten {
  /**
   * `left`: the event is owed. `shared`: other events have the same body, and need one each first. `nothing`: nothing
   * was stored any more.
   */
  readonly state: "forgotten" | "left" | "shared" | "nothing";
  /** How many messages lost their content. */
  readonly messages: number;
}

export interface ForgetReader {
  /**
   * The next rows of a place. Takes a few milliseconds. `next` is undefined at the end, and `last` is the last row
   * that was looked at.
   */
  texts(
    place: TextPlace,
    after: number,
  ): MaybePromise<{
    readonly rows: readonly StoredTexts[];
    readonly last: number;
    readonly isEnd: boolean;
  }>;
  /** The events that a row belongs to: several if it is the body of a batch. */
  eventsAt(
    place: "bodies" | "events" | "results" | "changed bodies" | "failures",
    row: number,
  ): MaybePromise<readonly ForgettableEvent[]>;
  /** The job that a row of `jobs` is about. */
  jobAt(
    row: number,
  ): MaybePromise<
    { readonly id: string; readonly action: string; readonly endedAt: number | null } | undefined
  >;
  /** Every event that has had this id: earlier ones are those whose windows are over. */
  eventsWithId(source: string, eventId: string): MaybePromise<readonly ForgettableEvent[]>;
  /** Undefined if the event has a body for itself, or none. */
  sharedBody(event: number): MaybePromise<SharedBody | undefined>;
}
