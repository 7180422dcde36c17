import { HookonceError } from "../../errors.ts";
import type { Place } from "../../providers/newest.ts";
import type { EventSource, HandlerInput, Policy } from "../engine.ts";
import type { Newest, PlacedRun, Verdict } from "../order.ts";
import { namesOf } from "./hidden-ids.ts";
import { prepareStatements } from "./statements.ts";
import type { Tx } from "./tx.ts";

/** Judges runs by `newest_wins`. */
export interface Positions {
  /** Called before anything is written for the run. */
  judge(source: EventSource, input: HandlerInput, run: Omit<PlacedRun, "eventId">): Promise<Judged>;
  /** The event was applied. The position moves back if the run is undone. */
  move(source: Pick<EventSource, "name">, eventId: string, place: Place | undefined): Promise<void>;
  /** The place of an event that is replayed, if it is newer than the position or as new. */
  placeToMoveTo(source: EventSource, input: HandlerInput): Promise<Place | undefined>;
}

export type Judged =
  /** `place` is undefined if no rule is for the event. */
  { readonly place: Place | undefined } | Exclude<Verdict, "newest">;

const UNORDERED: Judged = { place: undefined };

export function createPositions(tx: Tx, policy: Policy): Positions {
  const sql = prepareStatements(tx);

  /** The position, and the key under which it is stored. */
  async function find(
    source: string,
    { rule, key }: Place,
  ): Promise<(Newest & { readonly key: string }) | undefined> {
    for (const name of namesOf(tx, key)) {
      const [version, eventId] = ((await sql.findPosition.row(source, rule, name)) ?? []) as [
        string?,
        string?,
      ];
      if (version !== undefined && eventId !== undefined) return { version, eventId, key: name };
    }
    return undefined;
  }

  async function judge(
    source: EventSource,
    input: HandlerInput,
    { isNamed }: { isNamed: boolean },
  ): Promise<Judged> {
    if (source.placeOf === undefined) return UNORDERED;
    const place = source.placeOf(input);
    if (place === undefined) return UNORDERED;
    if (place instanceof HookonceError) return { fail: place };
    const newest = await find(source.name, place);
    const verdict = policy.judge(place, newest, { eventId: input.id, isNamed });
    return verdict === "newest" ? { place } : verdict;
  }

  return {
    judge,
    async move({ name }, eventId, place) {
      if (place === undefined) return;
      const key = (await find(name, place))?.key ?? place.key;
      sql.movePosition.run(name, place.rule, key, place.version, eventId);
    },
    async placeToMoveTo(source, input) {
      const judged = await judge(source, input, { isNamed: true });
      return "place" in judged ? judged.place : undefined;
    },
  };
}
