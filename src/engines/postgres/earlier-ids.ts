import type { Headers } from "../../event.ts";
import { ownBytes } from "../event-bytes.ts";
import type { Incoming, Policy } from "../engine.ts";
import type { RecordedEvent } from "../event-rows.ts";
import { hashed } from "../forget.ts";
import type { EventStore } from "./event-store.ts";
import { namesOf } from "./hidden-ids.ts";
import type { Redactions } from "./redactions.ts";
import type { Tx } from "./tx.ts";

/**
 * Gives an event the id under which it is recorded or has failed, if that is one of its earlier ids, or the hash of
 * its id because that contained a text that was forgotten.
 *
 * Two events may have had the same id under the earlier rule, so what is stored tells whether the recorded
 * one is this one. That is exact however old the record is, and needs neither the time of the upgrade nor a
 * window. Only if no body is stored, the policy decides by the type and the time.
 */
export function createEarlierIds(
  tx: Tx,
  store: EventStore,
  policy: Policy,
  redactions: Pick<Redactions, "redacted">,
): (incoming: Incoming) => Promise<Incoming> {
  async function isRecorded(incoming: Incoming, earlierId: string): Promise<boolean> {
    const { source, input } = incoming;
    const event = await store.find(source, earlierId);
    const stored =
      event === undefined ? await store.findFailure(source, earlierId) : await store.bodyOf(event.id);
    if (stored === undefined) return event !== undefined && policy.isLikelyRetry(source, event, input);
    const headers = JSON.parse(stored.headersJson) as Headers;
    if (source.typeOf({ headers, body: stored.body }, input.id) !== undefined) return true;
    return event !== undefined && (await store.isRedacted(event.id)) && wasLikely(incoming, event);
  }

  /** The id of an event may be made of values that were replaced in what is stored of it. */
  async function wasLikely(incoming: Incoming, event: RecordedEvent): Promise<boolean> {
    const { source, input } = incoming;
    for (const bytes of [input.body, ownBytes(incoming)])
      if (await store.sameBytes(event.id, bytes)) return true;
    const redacted = redactions.redacted(incoming);
    if (redacted === undefined || source.typeOf(redacted, input.id) !== undefined) return false;
    return policy.isLikelyRetry(source, event, input);
  }

  async function recordedId({ source, input, ...rest }: Incoming): Promise<string | undefined> {
    const hash = hashed(input.id);
    if (tx.facts.hidden && (await store.find(source, hash)) !== undefined) return hash;
    for (const earlier of (rest.earlierIds ?? []).flatMap((id) => namesOf(tx, id)))
      if (await isRecorded({ source, input, ...rest }, earlier)) return earlier;
    return undefined;
  }

  return async (incoming) => {
    const { input, earlierIds = [] } = incoming;
    if (earlierIds.length === 0 && !tx.facts.hidden) return incoming;
    const id = await recordedId(incoming);
    return id === undefined ? incoming : { ...incoming, input: { ...input, id } };
  };
}
