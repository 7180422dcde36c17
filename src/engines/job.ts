import type { Event, Outcome, Reply } from "../event.ts";
import type { PlaceOf } from "../providers/newest.ts";
import type { ForgetJob, Forgotten } from "./forget.ts";
import type { Forward, MessageState } from "./outbox.ts";
import type { Followed, StoredDelivery } from "./reader.ts";
import type { Entry } from "./records.ts";
import type { Retained, RetentionJob } from "./retention.ts";

/** What an engine is given to write, and what comes of it. */

/** What an engine needs to know about a source. */
export interface EventSource {
  readonly name: string;
  /** The source whose handlers run: usually its own name. */
  readonly handlersOf: string;
  readonly unhandled: "record" | "ignore" | "fail";
  readonly requireChange: boolean;
  /** `same_body = "duplicate"`: the same bytes under another id are the same event. */
  readonly sameBody: boolean;
  /** How long hookonce runs a failure again by itself, from its first attempt on, in milliseconds. */
  readonly retryForMs: number;
  /** `max_failed_answers`: how many deliveries of one event are answered 500. Undefined: any number. */
  readonly maxFailedAnswers?: number | undefined;
  /** `hold_after`: how many failures in a row pause the source. Undefined: none do. */
  readonly holdAfter?: number | undefined;
  /** How long the provider may retry a delivery, from its first attempt on, in milliseconds. */
  readonly retryWindowMs: number;
  /**
   * `dedup_window`, in milliseconds: how long an id that is made from the body means the same event, from its first
   * receipt, or from when it was applied if it had been owed. Undefined: for ever.
   */
  readonly dedupWindowMs?: number | undefined;
  /** The event's key and version. Undefined if the source has no `newest_wins`. */
  readonly placeOf?: PlaceOf | undefined;
  /** Where its events are sent on. */
  readonly forwards?: readonly Forward[] | undefined;
  /**
   * Reads a stored delivery again. Returns the event's payload as JSON text, or undefined if it does not
   * contain the event.
   */
  readonly payloadOf: (stored: StoredDelivery, eventId: string) => { json: string | null } | undefined;
  /**
   * The type of the event in a stored delivery that has this id by the present rules. Undefined if the delivery does
   * not contain it.
   */
  readonly typeOf: (stored: StoredDelivery, eventId: string) => string | undefined;
}

/**
 * An event for a handler. SQL binds these values. A TypeScript handler gets an {@link Event} made of them.
 */
export interface HandlerInput extends Omit<Event, "payload" | "headers" | "files"> {
  /** `:payload`; null if the body is neither JSON nor a form. */
  readonly payloadJson: string | null;
  /** `:headers` */
  readonly headersJson: string;
}

/** A verified and identified event, before it is recorded. */
export interface Incoming {
  readonly source: EventSource;
  readonly input: HandlerInput;
  /**
   * The delivery, if it carried a batch. All events of one batch share this object, and its bytes are stored
   * once.
   */
  readonly batch: object | undefined;
  /**
   * Other ids that earlier versions of hookonce gave this event, the latest first. An event that is
   * recorded under it, or has failed under it, keeps it.
   */
  readonly earlierIds?: readonly string[] | undefined;
  /** The event is marked as a test. */
  readonly isTest?: boolean | undefined;
  /** No handler runs for it, and only its id, type and time are kept. */
  readonly isIgnored?: boolean | undefined;
}

/** A job about one event that is stored. */
interface EventJob {
  readonly source: EventSource;
  readonly eventId: string;
  /** The time of this run, in Unix milliseconds. */
  readonly at: number;
}

/** One unit of writing. Each succeeds or fails alone, whatever else is in its transaction. */
export type Job =
  | { readonly kind: "delivery"; readonly event: Incoming }
  /**
   * Run an owed event now. The outcome `duplicate` means that it is done, and `held` that its source is paused. Then
   * nothing changes.
   */
  | (EventJob & {
      readonly kind: "apply";
      /** Somebody has asked for this event by its id, so it runs even if it is quarantined or tied. */
      readonly isNamed?: boolean;
      /** Also runs the event if it was discarded. */
      readonly reason?: string | undefined;
      /** hookonce runs it on its own initiative: if it is still owed afterwards, its next run is set. */
      readonly isRetry?: boolean;
      /** Of a retry, in Unix milliseconds: another node may have run it since, and has set a later time. */
      readonly ifDueBy?: number;
    })
  /**
   * Run a processed event again, at most once for each `job`. If it fails, nothing changes. With the outcome `held`,
   * its source is paused, and nothing changes either. The outcome `duplicate` means that the event was not processed
   * when the job was ordered, or that its body is gone.
   */
  | (EventJob & {
      readonly kind: "replay";
      readonly reason: string;
      readonly job: string;
      /** The last event and the last change at that time. Jobs that replay run in the order of their orders. */
      readonly ordered: Pick<Followed, "event" | "change">;
      /** Also runs the event if it is stale. */
      readonly evenStale?: boolean | undefined;
    })
  /**
   * Run the first event, in the order received, that is held or has failed of a resuming source. If it fails, it
   * becomes a failure, and this resume does not run it again. Null: none is left, so the source is open now, or the
   * source does not resume.
   */
  | { readonly kind: "resume"; readonly source: EventSource; readonly at: number }
  /** Give up on an owed event. The outcome `duplicate` means that it is done. */
  | (EventJob & { readonly kind: "discard"; readonly reason: string })
  /**
   * Record events that were applied elsewhere. No handler runs. Give at most 5,000, for the others' sake. If many
   * of them are owed here, only the first are recorded: as many as the result counts.
   */
  | {
      readonly kind: "import";
      readonly source: EventSource;
      readonly events: readonly ImportedEvent[];
      readonly at: number;
    }
  /**
   * Send a stored event to a destination, whatever was sent there before: once for each `job`. No handler runs.
   * The outcome `duplicate` means that its payload is not stored.
   */
  | (EventJob & { readonly kind: "forward"; readonly destination: string; readonly job: string })
  /** Send a message again, or give up on it. */
  | {
      readonly kind: "message";
      readonly action: "resend" | "discard";
      /** Its row. */
      readonly message: number;
      readonly at: number;
      readonly reason?: string | undefined;
      /** Not if it was sent again since then, in Unix milliseconds: by the same job, before it was interrupted. */
      readonly unlessSince?: number | undefined;
    }
  /** Record other things than events. */
  | { readonly kind: "record"; readonly entries: readonly Entry[] }
  | ForgetJob
  | RetentionJob;

/** An event that was applied elsewhere. */
export interface ImportedEvent {
  readonly id: string;
  readonly type: string;
  /** When it was received there, in Unix milliseconds. */
  readonly at: number;
}

/** How many of the imported events were new, already done here, or owed here until now. */
export interface Imported {
  readonly fresh: number;
  readonly known: number;
  readonly owed: number;
  /** The ids of the first that were owed, at most {@link MAX_SETTLED}. */
  readonly settled: readonly string[];
}

export const MAX_SETTLED = 20;

/** What a job results in. */
export type ResultOf<J extends Job> = J extends { readonly kind: "import" }
  ? Imported
  : J extends { readonly kind: "record" }
    ? null
    : J extends { readonly kind: "message" }
      ? ChangedMessage
      : J extends { readonly kind: "forget" }
        ? Forgotten
        : J extends { readonly kind: "retention" }
          ? Retained
          : J extends { readonly kind: "resume" }
            ? Result | null
            : Result;

/** What became of a message. */
export interface ChangedMessage {
  /** False if it was not in a state in which it can be sent again or discarded. */
  readonly changed: boolean;
  /** Values of its event were replaced, so it is not sent again. */
  readonly isRedacted?: boolean | undefined;
  /** Null if it does not exist any more. */
  readonly state: MessageState | null;
}

export type JobResult = ResultOf<Job>;

/** What became of an event. */
export interface Result {
  readonly eventId: string;
  readonly type: string;
  readonly outcome: Outcome;
  /** Relative to the inbox folder; null if none ran. */
  readonly handler: string | null;
  readonly rowsChanged: number;
  /** How long the handler ran, in microseconds. */
  readonly durationUs: number;
  /** Whether the body of a repeat differs from the stored one. */
  readonly changedBody: boolean;
  /** Why it failed. */
  readonly error: unknown;
  /** The reply that its handler returned. */
  readonly reply: Reply | null;
  /** It has failed, and its delivery is answered 200 nevertheless. */
  readonly isAccepted?: boolean | undefined;
  /** The event is marked as a test. */
  readonly isTest?: boolean | undefined;
}
