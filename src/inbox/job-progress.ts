import type { MessageState } from "../engines/outbox.ts";
import { QUARANTINE_CODES, type FoundEvent } from "../engines/reader.ts";
import type { ChangedTable } from "../engines/trial.ts";
import type { ChangedMessage, Result } from "../engines/engine.ts";
import { eventRedacted } from "../engines/event-redacted.ts";
import { placeOf } from "../engines/error-place.ts";
import { HookonceError, messageOf } from "../errors.ts";

/** What became of the events of one source, type and outcome, or of the messages of one destination as well. */
export interface JobGroup {
  /** Of messages. */
  readonly destination?: string | undefined;
  /** Empty for messages that another process enqueued. */
  readonly source: string;
  readonly type: string;
  /** Their outcome before; of messages, their state. */
  readonly outcome: FoundEvent["outcome"] | MessageState;
  /** The handler that runs them; null if there is none. */
  readonly handler: string | null;
  /** How many of them would be run or discarded. Only counted by a dry run. */
  wouldRun: number;
  processed: number;
  failed: number;
  discarded: number;
  /** Sent again or sent to a destination: their messages wait. */
  resent: number;
  /** Not run, because newer events have been applied. They are done. */
  stale: number;
  /** Not run, because its handler hung or ended the process. `hookonce apply ID` runs it. */
  quarantined: number;
  /** Not run, because its source is paused. It runs when the source resumes. */
  held: number;
  /** Not run, because no handler exists for the type, or its source is not in the config. */
  noHandler: number;
  /** Something else was done with them in the meantime, for example by the provider's retry. */
  alreadyDone: number;
  /** Named by their ids, but not in the state that the action is for. A failure of the job says which state. */
  unfit: number;
  /** Run although their handlers had hung or ended the process, because somebody named them by their ids. */
  forced: number;
  /** Their payloads were erased. */
  forgotten: number;
  /** Not forgotten, because they are owed. */
  left: number;
}

/** What `forget` has looked through and erased beside events. */
export interface ErasedCounts {
  /** How many rows it has looked through. */
  readonly rows: number;
  /** How many messages lost their content. */
  readonly messages: number;
  /** How many other rows lost a text: answers, lines of the audit list, records of jobs, positions. */
  readonly texts: number;
  /** How many refused deliveries were removed from memory. */
  readonly requests: number;
  /** `held`: a reader needs the log, which still contains what was erased. Null before the end. */
  readonly log: "erased" | "held" | null;
}

export interface JobFailure {
  /** The id of a message. */
  readonly message?: string | undefined;
  readonly source: string;
  /** Of a message, the event that it is about; empty if it is about none. */
  readonly eventId: string;
  readonly type: string;
  readonly code: string;
  readonly error: string;
  /** Where the error was thrown, as `handlers/stripe/invoice.paid.ts:12`, if that is known. */
  readonly at?: string | undefined;
}

/** What the events did that were tried. */
export interface TriedEvents {
  /** How many ran, failed ones included. */
  readonly events: number;
  readonly failed: number;
  /** Of the user's tables. */
  readonly tables: readonly ChangedTable[];
  /** Why the others of the sample were not tried; null if all were. */
  readonly why: string | null;
}

export interface JobProgress {
  readonly groups: readonly JobGroup[];
  /** The first {@link MAX_FAILURES}, with events that were skipped or did not fit. */
  readonly failures: readonly JobFailure[];
  /** What a dry run tried and rolled back; null if nothing was. */
  readonly tried: TriedEvents | null;
  /** Of `forget`. */
  readonly erased?: ErasedCounts | undefined;
}

/** What a job looks at: an event, or a message with its state. */
interface Looked extends Pick<JobGroup, "destination" | "source" | "type" | "outcome"> {
  readonly message?: string | undefined;
  readonly eventId: string;
}

const MAX_FAILURES = 20;

/** The counts of a group of which nothing was done. */
export const NOTHING = {
  wouldRun: 0,
  processed: 0,
  failed: 0,
  discarded: 0,
  resent: 0,
  stale: 0,
  quarantined: 0,
  held: 0,
  noHandler: 0,
  alreadyDone: 0,
  unfit: 0,
  forced: 0,
  forgotten: 0,
  left: 0,
};

const NOTHING_ERASED: ErasedCounts = { rows: 0, messages: 0, texts: 0, requests: 0, log: null };

export type ProgressLog = ReturnType<typeof createProgressLog>;

/** @param before what the job had done when it was interrupted. An older version did not count everything */
export function createProgressLog(before: Omit<JobProgress, "tried"> = { groups: [], failures: [] }) {
  const groups = new Map(before.groups.map((group) => [keyOf(group), { ...NOTHING, ...group }]));
  const failures = [...before.failures];
  let tried: TriedEvents | null = null;
  let { erased } = before;

  function list(
    { message, source, eventId, type }: Omit<Looked, "outcome">,
    code: string,
    error: string,
    at?: string,
  ): void {
    if (failures.length < MAX_FAILURES) failures.push({ message, source, eventId, type, code, error, at });
  }

  function skip(group: JobGroup, event: Looked, code: string): void {
    group.quarantined++;
    const when = "until its handler is changed, or until you run";
    list(event, code, `skipped ${when}: hookonce apply ${event.eventId}`);
  }

  function leaveOut(group: JobGroup, event: Looked, { code, message }: HookonceError): void {
    group.unfit++;
    list(event, code, message);
  }

  return {
    progress: (): JobProgress => ({
      groups: structuredClone([...groups.values()]),
      failures: [...failures],
      tried,
      ...(erased === undefined ? {} : { erased }),
    }),
    setTried: (events: TriedEvents): void => void (tried = events),
    addFailure({ source, eventId, type, code, error, at }: JobFailure): void {
      list({ source, eventId, type }, code, error, at);
    },
    groupOf(event: Looked, handler: string | null): JobGroup {
      const key = keyOf(event);
      let group = groups.get(key);
      if (group === undefined) {
        const { destination, source, type, outcome } = event;
        group = { destination, source, type, outcome, handler, ...NOTHING };
        groups.set(key, group);
      }
      return group;
    },
    skip,
    leaveOut,
    /** `forget` has left something as it is. */
    leave: (event: Omit<Looked, "outcome">, { code, message }: HookonceError): void =>
      list(event, code, message),
    /** Adds to what `forget` has erased. */
    erased({ log, ...counts }: Partial<ErasedCounts>): void {
      const { rows, messages, texts, requests } = erased ?? NOTHING_ERASED;
      erased = {
        rows: rows + (counts.rows ?? 0),
        messages: messages + (counts.messages ?? 0),
        texts: texts + (counts.texts ?? 0),
        requests: requests + (counts.requests ?? 0),
        log: log ?? null,
      };
    },
    count(group: JobGroup, event: Looked, { outcome, error }: Result): void {
      const code = error instanceof HookonceError ? error.code : "handler_error";
      if (outcome === "processed") group.processed++;
      else if (outcome === "discarded") group.discarded++;
      else if (outcome === "stale") group.stale++;
      else if (outcome === "held") group.held++;
      else if (outcome === "failed") {
        // Quarantined since the list was read.
        if ((QUARANTINE_CODES as readonly string[]).includes(code)) skip(group, event, code);
        else {
          group.failed++;
          list(event, code, messageOf(error), placeOf(error));
        }
      } else if (outcome === "unhandled") group.noHandler++;
      else group.alreadyDone++;
    },
    /** An event was to be sent to a destination. */
    countSent(group: JobGroup, event: Looked, { outcome, error }: Pick<Result, "outcome" | "error">): void {
      if (outcome === "processed") group.resent++;
      else if (error instanceof HookonceError) leaveOut(group, event, error);
      else
        leaveOut(
          group,
          event,
          new HookonceError(
            "event_not_stored",
            `The payload of the event "${event.eventId}" is not stored, so it cannot be sent.`,
          ),
        );
    },
    /** A message was to be sent again or discarded. */
    countMessage(
      group: JobGroup,
      message: Looked,
      action: "resend" | "discard",
      { changed, isRedacted = false }: ChangedMessage,
    ): void {
      if (isRedacted) leaveOut(group, message, eventRedacted(message.eventId));
      else if (!changed) group.alreadyDone++;
      else if (action === "resend") group.resent++;
      else group.discarded++;
    },
  };
}

function keyOf({ destination, source, type, outcome }: Omit<Looked, "eventId">): string {
  return JSON.stringify([destination, source, type, outcome]);
}
