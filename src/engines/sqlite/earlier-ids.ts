import type { Database } from "bun:sqlite";
import type { Headers } from "../../event.ts";
import type { Incoming, Policy } from "../engine.ts";
import { ownBytes } from "../event-bytes.ts";
import type { RecordedEvent } from "../event-rows.ts";
import type { EventStore } from "./event-store.ts";
import { hashed } from "../forget.ts";
import { createHiddenIds, namesOf } from "./hidden-ids.ts";
import type { Redactions } from "./redactions.ts";

/**
 * Gives an event the id under which it is recorded or has failed, if that is one of its earlier ids, or the hash of
 * its id because that contained a text that was forgotten.
 *
 * Two events may have had the same id under the earlier rule, so what is stored tells whether the recorded
 * one is this one. That is exact however old the record is, and needs neither the time of the upgrade nor a
 * window. Only if no body is stored, the policy decides by the type and the time.
 */
export function createEarlierIds(
  db: Database,
  store: EventStore,
  policy: Policy,
  redactions: Pick<Redactions, "redacted">,
): (incoming: Incoming) => Incoming {
  const hidden = createHiddenIds(db);

  function isRecorded(incoming: Incoming, earlierId: string): boolean {
    const { source, input } = incoming;
    const event = store.find(source, earlierId);
    const stored = event === undefined ? store.findFailure(source, earlierId) : store.bodyOf(event.id);
    if (stored === undefined) return event !== undefined && policy.isLikelyRetry(source, event, input);
    const headers = JSON.parse(stored.headersJson) as Headers;
    if (source.typeOf({ headers, body: stored.body }, input.id) !== undefined) return true;
    return event !== undefined && store.isRedacted(event.id) && wasLikely(incoming, event);
  }

  /** The id of an event may be made of values that were replaced in what is stored of it. */
  function wasLikely(incoming: Incoming, event: RecordedEvent): boolean {
    const { source, input } = incoming;
    if ([input.body, ownBytes(incoming)].some((bytes) => store.sameBytes(event.id, bytes))) return true;
    const redacted = redactions.redacted(incoming);
    if (redacted === undefined || source.typeOf(redacted, input.id) !== undefined) return false;
    return policy.isLikelyRetry(source, event, input);
  }

  return (incoming) => {
    const { source, input, earlierIds = [] } = incoming;
    if (earlierIds.length === 0 && !hidden.any) return incoming;
    const id =
      hidden.any && store.find(source, hashed(input.id)) !== undefined
        ? hashed(input.id)
        : earlierIds
            .flatMap((earlier) => namesOf(hidden, earlier))
            .find((earlier) => isRecorded(incoming, earlier));
    return id === undefined ? incoming : { ...incoming, input: { ...input, id } };
  };
}
