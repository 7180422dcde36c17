import { and, isNull, sql } from "drizzle-orm";
import type { FoundEvent } from "../reader.ts";
import { events, failures } from "./schema.ts";

/**
 * What has become of an event. Every list, count and look-up uses these conditions, so that all of them say the
 * same: an event that was unhandled and has failed since is in both tables, and is owed once, as failed. A held
 * event has no open failure.
 */

// Constants, so that SQLite uses the partial indexes of owed events.
export const isUnhandled = sql`${events.outcome} = 'unhandled'`;
export const isHeld = sql`${events.outcome} = 'held'`;
export const isUnhandledOrHeld = sql`(${isUnhandled} or ${isHeld})`;

export const isOpen = isNull(failures.settledAt);

/** Matches an event with its failure. */
export const isItsFailure = and(
  sql`${failures.source} = ${events.source}`,
  sql`${failures.eventId} = ${events.eventId}`,
  sql`${events.era} = 0`,
  isOpen,
);

/** Whether an unhandled event has failed since. */
export const hasFailed = sql`exists (select 1 from ${failures} where ${isItsFailure})`;

export const outcomeNow = sql<
  FoundEvent["outcome"]
>`iif(${isUnhandled} and ${hasFailed}, 'failed', ${events.outcome})`;

/** The handler that ran last, even if it failed. */
export const handlerNow = sql<string | null>`iif(${isUnhandled},
  (select ${sql`${failures.handler}`} from ${failures} where ${isItsFailure}), ${events.handler})`;

/** A failure that has no row in the table of events. */
export const isOnlyFailed = and(
  isOpen,
  sql`not exists (select 1 from ${events}
    where ${events.source} = ${failures.source} and ${events.eventId} = ${failures.eventId}
      and ${events.era} = 0)`,
);
