import type { Database } from "bun:sqlite";
import { HookonceError } from "../../errors.ts";
import type { Place } from "../../providers/newest.ts";
import type { EventSource, HandlerInput, Policy } from "../engine.ts";
import type { Newest, PlacedRun, Verdict } from "../order.ts";
import { prepareDeliveryStatements } from "./delivery-statements.ts";
import { createHiddenIds, namesOf } from "./hidden-ids.ts";

/** Judges runs by `newest_wins`. Every call belongs to a transaction that the caller has open. */
export interface Positions {
  /** Called before anything is written for the run. */
  judge(source: EventSource, input: HandlerInput, run: Omit<PlacedRun, "eventId">): Judged;
  /** The event was applied. The position moves back if the run is undone. */
  move(source: Pick<EventSource, "name">, eventId: string, place: Place | undefined): void;
  /** The place of an event that is replayed, if it is newer than the position or as new. */
  placeToMoveTo(source: EventSource, input: HandlerInput): Place | undefined;
}

export type Judged =
  /** `place` is undefined if no rule is for the event. */
  { readonly place: Place | undefined } | Exclude<Verdict, "newest">;

const UNORDERED: Judged = { place: undefined };

export function createPositions(db: Database, policy: Policy): Positions {
  const hidden = createHiddenIds(db);
  const sql = prepareDeliveryStatements(db);

  /** The position, and the key under which it is stored. */
  function find(source: string, { rule, key }: Place): (Newest & { readonly key: string }) | undefined {
    for (const name of namesOf(hidden, key)) {
      const [version, eventId] = (sql.findPosition.row(source, rule, name) ?? []) as [string?, string?];
      if (version !== undefined && eventId !== undefined) return { version, eventId, key: name };
    }
    return undefined;
  }

  function judge(source: EventSource, input: HandlerInput, { isNamed }: { isNamed: boolean }): Judged {
    if (source.placeOf === undefined) return UNORDERED;
    const place = source.placeOf(input);
    if (place === undefined) return UNORDERED;
    if (place instanceof HookonceError) return { fail: place };
    const verdict = policy.judge(place, find(source.name, place), { eventId: input.id, isNamed });
    return verdict === "newest" ? { place } : verdict;
  }

  return {
    judge,
    move({ name }, eventId, place) {
      if (place === undefined) return;
      const key = find(name, place)?.key ?? place.key;
      sql.movePosition.run(name, place.rule, key, place.version, eventId);
    },
    placeToMoveTo(source, input) {
      const judged = judge(source, input, { isNamed: true });
      return "place" in judged ? judged.place : undefined;
    },
  };
}
