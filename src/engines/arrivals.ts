import type { MaybePromise } from "./outbox.ts";

/** How far somebody has read the events in the order received. Only a commit adds to the end of this order. */
export interface ReceivedUpTo {
  /** The row id of an event, or the highest event id at a failure's first attempt. */
  readonly position: number;
  /** The row id of the last failure before it. */
  readonly failure: number;
  /** Says which event has that row id, so that a place in another database is noticed. */
  readonly mark: string;
  /** Says which failure has that row id. The id of a row that was removed may be given again. */
  readonly failureMark: string;
}

export interface Arrivals<Event> {
  /** Each with the place after it. */
  readonly items: readonly { readonly event: Event; readonly upTo: ReceivedUpTo }[];
  /** How far this look has come, whatever the filter has left out. */
  readonly upTo: ReceivedUpTo;
  /** Whether more were received by now. */
  readonly isMore: boolean;
}

/** Reads each event once, in the order in which they were received at first, whatever has become of them. */
export interface ArrivalReader<Filter, Event> {
  /** After the last event. */
  lastPlace(): MaybePromise<ReceivedUpTo>;
  /** Before the first event that was received at this time or later, in Unix milliseconds. */
  placeBefore(since: number): MaybePromise<ReceivedUpTo>;
  /** Whether this database has such a place. */
  hasPlace(place: ReceivedUpTo): MaybePromise<boolean>;
  /** Looks at rows for about 10 ms at most. An event is here as it is now. */
  arrivals(filter: Filter, after: ReceivedUpTo, limit: number): MaybePromise<Arrivals<Event>>;
}
