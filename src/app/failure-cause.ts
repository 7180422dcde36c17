import type { DatabaseLocation } from "../config/location.ts";
import type { StackedFailure } from "../engines/reader.ts";
import { HookonceError } from "../errors.ts";
import { storeOf } from "./store.ts";

/**
 * Reads why an event failed, from a database that a `serve` may be using.
 *
 * @returns undefined if the database does not know, because the event was delivered elsewhere
 */
export async function failureCause(
  database: DatabaseLocation,
  source: string,
  eventId: string,
): Promise<StackedFailure | undefined> {
  try {
    const reader = await (await storeOf(database)).openForReading();
    const cause = await reader?.failure(source, eventId);
    reader?.close();
    return cause;
  } catch (error) {
    if (error instanceof HookonceError) return undefined;
    throw error;
  }
}
