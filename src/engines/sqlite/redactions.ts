import type { Database } from "bun:sqlite";
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
  ): { readonly row: number; readonly isElement: boolean } | undefined;
  /** What would be stored of a delivery without the values. Undefined if it has none of them. */
  redacted(incoming: Incoming): StoredDelivery | undefined;
  /** An event has another outcome now, or a message of it has been sent, discarded or removed. */
  settle(source: string, event: number): void;
  /** Another body of an event was stored that was done before. */
  settleChanged(source: string, event: number): void;
  /** Whether stored bytes were rewritten since the last call, so that the log still has what they were. */
  takeRewritten(): boolean;
}

/** If no source has `redact`. */
export const nothingRedacted: Redactions = {
  storeNew: () => undefined,
  redacted: () => undefined,
  settle: () => {},
  settleChanged: () => {},
  takeRewritten: () => false,
};

export function createRedactions(
  db: Database,
  redactionOf: NonNullable<EngineOptions["redactionOf"]>,
  marker: Pick<Marker, "blank">,
): Redactions {
  const needed = createNeededBodies(db);
  const rewriting = createBodyRewriting(db);
  const find = db.query(
    `select event_id, changed_bodies, body, redacted, element
     from hookonce_events as events
     left join hookonce_results on event = events.id left join hookonce_bodies as bodies on bodies.id = body
     where events.id = ?1`,
  );
  let isRewritten = false;

  const replaceIn = ({ source, batch }: Incoming, own: StoredDelivery) =>
    redactionOf(source.name)?.replace(own, batch !== undefined);

  return {
    storeNew(incoming, event, outcome) {
      if (redactionOf(incoming.source.name) === undefined) return undefined;
      if (outcome === "unhandled" || outcome === "held" || needed.byEvent(event)) return undefined;
      const isElement = incoming.batch !== undefined;
      const own = ownDelivery(incoming);
      const redacted = replaceIn(incoming, own);
      // The other events of a batch have values, too, so they cannot share its body.
      if (redacted === undefined && !isElement) return undefined;
      if (redacted !== undefined) marker.blank();
      const { receivedAt } = incoming.input;
      return {
        row: rewriting.insert(event, receivedAt, redacted ?? { ...own, replaced: 0 }, own.body),
        isElement,
      };
    },

    redacted: (incoming) => replaceIn(incoming, ownDelivery(incoming)),

    settle(source, event) {
      const redaction = redactionOf(source);
      if (redaction === undefined || needed.byEvent(event)) return;
      const found = find.values(event)[0];
      if (found === undefined) return;
      const [eventId, changed, body, redacted, element] = found as [
        string,
        number,
        number | null,
        number | null,
        number | null,
      ];
      const { replace, partsOf } = redaction;
      let isChanged = rewriting.emptyFailure(source, eventId);
      if (changed > 0) isChanged = rewriting.changedBody(event, replace, partsOf !== undefined) || isChanged;
      if (body !== null && body !== 0 && redacted === null && !needed.byAny(body)) {
        if (partsOf === undefined || element === 1)
          isChanged = rewriting.body(body, source, replace, element === 1) || isChanged;
        else {
          rewriting.splitAll(body, source, partsOf, replace);
          isChanged = true;
        }
      }
      if (!isChanged) return;
      isRewritten = true;
      marker.blank();
    },

    settleChanged(source, event) {
      const redaction = redactionOf(source);
      if (redaction === undefined || needed.byEvent(event)) return;
      if (rewriting.changedBody(event, redaction.replace, redaction.partsOf !== undefined)) marker.blank();
    },

    takeRewritten() {
      const was = isRewritten;
      isRewritten = false;
      return was;
    },
  };
}

/** What belongs to the event alone. */
function ownDelivery(incoming: Incoming): StoredDelivery {
  return { headers: JSON.parse(incoming.input.headersJson) as Headers, body: ownBytes(incoming) };
}
