import type { Headers } from "../../event.ts";
import { isMultipart } from "../../providers/body/multipart.ts";
import { isSameButReplaced } from "../../providers/redact.ts";
import type { Incoming } from "../engine.ts";
import { ownBytes } from "../event-bytes.ts";
import type { RecordedEvent } from "../event-rows.ts";
import type { EventStore } from "./event-store.ts";

/**
 * Whether a delivery has the body that is stored of its event. A retry may carry the same event in another batch. Then
 * only the event's own element is compared. And it may carry the same form with another boundary.
 */
export function createComparison(
  store: Pick<EventStore, "sameBytes" | "stored" | "isRedacted">,
): (incoming: Incoming, known: RecordedEvent) => boolean {
  return (incoming, known) => {
    const { source, input, batch } = incoming;
    if (store.sameBytes(known.id, input.body)) return true;
    if (batch === undefined && !isMultipart(JSON.parse(input.headersJson) as Headers)) return false;
    // An event that failed at first was stored with only its own bytes.
    if (store.sameBytes(known.id, ownBytes(incoming))) return true;
    const stored = store.stored(source, known)?.payloadJson;
    if (stored === input.payloadJson) return true;
    return store.isRedacted(known.id) && isSameButReplaced(stored ?? null, input.payloadJson);
  };
}
