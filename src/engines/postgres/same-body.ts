import { ownBytes, sha256 } from "../event-bytes.ts";
import { recorded, type RecordedEvent } from "../event-rows.ts";
import type { EventSource, Incoming } from "../engine.ts";
import type { EventStore } from "./event-store.ts";
import type { InterruptedRuns } from "./interrupted-runs.ts";
import { prepareStatements } from "./statements.ts";
import type { Tx } from "./tx.ts";

/**
 * `same_body = "duplicate"`: the same bytes under another id are the same event. The event that was recorded
 * first counts. If another one had failed before, it becomes `ignored`, because it is found by its id
 * and must never run: neither apply nor replay runs an ignored event.
 */
export interface SameBody {
  /** The event that was recorded first with these bytes, if the source has `same_body = "duplicate"`. */
  find(source: EventSource, own: () => Uint8Array): Promise<RecordedEvent | undefined>;
  /** The recorded event that a delivery repeats. An event that may still be owed counts before its bytes. */
  repeatedBy(incoming: Incoming): Promise<RecordedEvent | undefined>;
  /** Closes the failure of an event, if there is one, because another event with these bytes is recorded. */
  close(source: EventSource, eventId: string, bytes: Uint8Array, at: number): Promise<void>;
  /** An event whose bytes differ from those of the recorded event is a new event. */
  reopen(incoming: Incoming): void;
}

export function createSameBody(tx: Tx, store: EventStore, interrupted: InterruptedRuns): SameBody {
  const sql = prepareStatements(tx);

  async function find(source: EventSource, own: () => Uint8Array): Promise<RecordedEvent | undefined> {
    return source.sameBody ? recorded(await sql.findSameBody.row(source.name, sha256(own()))) : undefined;
  }

  return {
    find,

    async repeatedBy(incoming) {
      const { source, input } = incoming;
      const own = await store.find(source, input.id);
      if (own !== undefined && own.outcome !== "ignored") return own;
      return (await find(source, () => ownBytes(incoming))) ?? own;
    },

    async close(source, eventId, bytes, at) {
      const failure = await store.findFailure(source, eventId);
      if (failure === undefined) return;
      const { type } = failure;
      await store.insertSettled(source, { id: eventId, type }, "ignored", null, { ...failure, body: bytes });
      store.settleFailure(source, eventId, at);
      await interrupted.settle(source, eventId);
    },

    reopen(incoming) {
      const { source, input } = incoming;
      if (source.sameBody) sql.dropSameBody.run(source.name, input.id, sha256(ownBytes(incoming)));
    },
  };
}
