import type { Database } from "bun:sqlite";
import type { EventSource, Incoming } from "../engine.ts";
import { prepareDeliveryStatements } from "./delivery-statements.ts";
import { recorded, type RecordedEvent } from "../event-rows.ts";
import { ownBytes, sha256 } from "../event-bytes.ts";
import type { EventStore } from "./event-store.ts";
import type { InterruptedRuns } from "./interrupted-runs.ts";

/**
 * `same_body = "duplicate"`: the same bytes under another id are the same event. The event that was recorded
 * first counts. If another one had failed before, it becomes `ignored`, because it is found by its id
 * and must never run: neither apply nor replay runs an ignored event.
 */
export interface SameBody {
  /** The event that was recorded first with these bytes, if the source has `same_body = "duplicate"`. */
  find(source: EventSource, own: () => Uint8Array): RecordedEvent | undefined;
  /** The recorded event that a delivery repeats. An event that may still be owed counts before its bytes. */
  repeatedBy(incoming: Incoming): RecordedEvent | undefined;
  /** Closes the failure of an event, if there is one, because another event with these bytes is recorded. */
  close(source: EventSource, eventId: string, bytes: Uint8Array, at: number): void;
  /** An event whose bytes differ from those of the recorded event is a new event. */
  reopen(incoming: Incoming): void;
}

export function createSameBody(db: Database, store: EventStore, interrupted: InterruptedRuns): SameBody {
  const sql = prepareDeliveryStatements(db);

  function find(source: EventSource, own: () => Uint8Array): RecordedEvent | undefined {
    return source.sameBody ? recorded(sql.findSameBody.row(source.name, sha256(own()))) : undefined;
  }

  return {
    find,

    repeatedBy(incoming) {
      const { source, input } = incoming;
      const own = store.find(source, input.id);
      if (own !== undefined && own.outcome !== "ignored") return own;
      return find(source, () => ownBytes(incoming)) ?? own;
    },

    close(source, eventId, bytes, at) {
      const failure = store.findFailure(source, eventId);
      if (failure === undefined) return;
      const { type } = failure;
      store.insertSettled(source, { id: eventId, type }, "ignored", null, { ...failure, body: bytes });
      store.settleFailure(source, eventId, at);
      interrupted.settle(source, eventId);
    },

    reopen(incoming) {
      const { source, input } = incoming;
      if (source.sameBody) sql.dropSameBody.run(source.name, input.id, sha256(ownBytes(incoming)));
    },
  };
}
