import type { Database } from "bun:sqlite";
import { HookonceError } from "../../errors.ts";
import type { Place } from "../../providers/newest.ts";
import type { EventSource, HandlerInput, Policy } from "../engine.ts";
import type { Newest, PlacedRun, Verdict } from "../order.ts";
import { prepareDeliveryStatements } from "./delivery-statements.ts";

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
  const sql = prepareDeliveryStatements(db);

  function newestOf({ name }: EventSource, { rule, key }: Place): Newest | undefined {
    const row = sql.findPosition.row(name, rule, key);
    if (row === undefined) return undefined;
    const [version, eventId] = row as [string, string];
    return { version, eventId };
  }

  function judge(source: EventSource, input: HandlerInput, { isNamed }: { isNamed: boolean }): Judged {
    if (source.placeOf === undefined) return UNORDERED;
    const place = source.placeOf(input);
    if (place === undefined) return UNORDERED;
    if (place instanceof HookonceError) return { fail: place };
    const verdict = policy.judge(place, newestOf(source, place), { eventId: input.id, isNamed });
    return verdict === "newest" ? { place } : verdict;
  }

  return {
    judge,
    move({ name }, eventId, place) {
      if (place !== undefined) sql.movePosition.run(name, place.rule, place.key, place.version, eventId);
    },
    placeToMoveTo(source, input) {
      const judged = judge(source, input, { isNamed: true });
      return "place" in judged ? judged.place : undefined;
    },
  };
}
