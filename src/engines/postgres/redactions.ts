import type { Tx } from "./tx.ts";
import type { Headers } from "../../event.ts";
import type { EngineOptions, Incoming } from "../engine.ts";
import type { Marker } from "../marker.ts";
import type { RecordedOutcome, StoredDelivery } from "../reader.ts";
import { ownBytes } from "../event-bytes.ts";
import { createNeededBodies } from "./needed-bodies.ts";
import { createBodyRewriting } from "./rewrite-bodies.ts";

/**
 * `redact`: replaces values in what is stored of an event, in the transaction after which nothing needs them any more.
 * While the event is owed, or a message of it is unsent, they stay. Every call belongs to the caller's open
 * transaction, except `takeRewritten`.
 */
export interface Redactions {
  /**
   * Stores the body of a new event without the values, if nothing needs them. Then the database never has them.
   *
   * @returns its row and whether it is the event's own part of a batch; undefined if the body is to be stored as it is
   */
  storeNew(
    incoming: Incoming,
    event: number,
    outcome: RecordedOutcome,
  ): Promise<{ readonly row: number; readonly isElement: boolean } | undefined>;
  /** What would be stored of a delivery without the values. Undefined if it has none of them. */
  redacted(incoming: Incoming): StoredDelivery | undefined;
  /** An event has another outcome now, or a message of it has been sent, discarded or removed. */
  settle(source: string, event: number): Promise<void>;
  /** Another body of an event was stored that was done before. */
  settleChanged(source: string, event: number): Promise<void>;
}

export function createRedactions(
  tx: Tx,
  redactionOf: NonNullable<EngineOptions["redactionOf"]>,
  marker: Pick<Marker, "blank">,
): Redactions {
  const needed = createNeededBodies(tx);
  const rewriting = createBodyRewriting(tx);
  const find = tx.query(
    `select event_id, changed_bodies, body, redacted, element
     from hookonce.events as events
     left join hookonce.results on event = events.id left join hookonce.bodies as bodies on bodies.id = body
     where events.id = $1`,
  );

  const replaceIn = ({ source, batch }: Incoming, own: StoredDelivery) =>
    redactionOf(source.name)?.replace(own, batch !== undefined);

  return {
    async storeNew(incoming, event, outcome) {
      if (redactionOf(incoming.source.name) === undefined) return undefined;
      if (outcome === "unhandled" || outcome === "held" || (await needed.byEvent(event))) return undefined;
      const isElement = incoming.batch !== undefined;
      const own = ownDelivery(incoming);
      const redacted = replaceIn(incoming, own);
      // The other events of a batch have values, too, so they cannot share its body.
      if (redacted === undefined && !isElement) return undefined;
      if (redacted !== undefined) marker.blank();
      const { receivedAt } = incoming.input;
      return {
        row: await rewriting.insert(event, receivedAt, redacted ?? { ...own, replaced: 0 }, own.body),
        isElement,
      };
    },

    redacted: (incoming) => replaceIn(incoming, ownDelivery(incoming)),

    async settle(source, event) {
      const redaction = redactionOf(source);
      if (redaction === undefined || (await needed.byEvent(event))) return;
      const found = await find.row(event);
      if (found === undefined) return;
      const [eventId, changed, body, redacted, element] = found as [
        string,
        number,
        number | null,
        number | null,
        boolean | null,
      ];
      const { replace, partsOf } = redaction;
      let isChanged = await rewriting.emptyFailure(source, eventId);
      if (changed > 0)
        isChanged = (await rewriting.changedBody(event, replace, partsOf !== undefined)) || isChanged;
      if (body !== null && body !== 0 && redacted === null && !(await needed.byAny(body))) {
        if (partsOf === undefined || element === true)
          isChanged = (await rewriting.body(body, source, replace, element === true)) || isChanged;
        else {
          await rewriting.splitAll(body, source, partsOf, replace);
          isChanged = true;
        }
      }
      if (!isChanged) return;
      marker.blank();
    },

    async settleChanged(source, event) {
      const redaction = redactionOf(source);
      if (redaction === undefined || (await needed.byEvent(event))) return;
      if (await rewriting.changedBody(event, redaction.replace, redaction.partsOf !== undefined))
        marker.blank();
    },
  };
}

/** What belongs to the event alone. */
function ownDelivery(incoming: Incoming): StoredDelivery {
  return { headers: JSON.parse(incoming.input.headersJson) as Headers, body: ownBytes(incoming) };
}
