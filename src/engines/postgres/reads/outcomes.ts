import { sql } from "../sql.ts";

/**
 * What has become of an event. Every list, count and look-up uses these conditions, so that all of them say the
 * same: an event that was unhandled and has failed since is in both tables, and is owed once, as failed. A held
 * event has no open failure.
 *
 * In these conditions, `e` is a row of hookonce.events and `f` one of hookonce.failures.
 */

export const isUnhandledOrHeld = sql`e.outcome in ('unhandled', 'held')`;

export const isOpen = sql`f.settled_at is null`;

/** Matches an event with its failure. */
export const isItsFailure = sql`f.source = e.source and f.event_id = e.event_id and e.era = 0 and ${isOpen}`;

/** Whether an unhandled event has failed since. */
export const hasFailed = sql`exists (select from hookonce.failures f where ${isItsFailure})`;

export const outcomeNow = sql`case when e.outcome = 'unhandled' and ${hasFailed} then 'failed' else e.outcome end`;

/** The handler that ran last, even if it failed. */
export const handlerNow = sql`case when e.outcome = 'unhandled'
  then (select f.handler from hookonce.failures f where ${isItsFailure}) else e.handler end`;

/** A failure that has no row in the table of events. */
export const isOnlyFailed = sql`${isOpen} and not exists (
  select from hookonce.events e where e.source = f.source and e.event_id = f.event_id and e.era = 0)`;
