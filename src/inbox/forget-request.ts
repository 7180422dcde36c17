import { TEXT_PLACES } from "../engines/forget.ts";
import type { EventFilter } from "../engines/reader.ts";
import { HookonceError } from "../errors.ts";
import type { JobPosition } from "./job-selection.ts";
import { createTextMatch, type TextMatch } from "./text-match.ts";

/** Erases what is stored of events. Their ids, types, times and outcomes stay. */
export interface ForgetRequest {
  readonly action: "forget";
  /**
   * Everything that contains this text. It is in the record of the job only as long as the job needs it. Null: the
   * job needs it no more.
   */
  readonly match?: string | null | undefined;
  /** Otherwise certain events, or all that match. */
  readonly filter: EventFilter;
  /** Also events that are owed. They become `discarded`. */
  readonly owed: boolean;
  readonly reason?: string | undefined;
  readonly dryRun: boolean;
}

/** How far it has come. A place is an index of TEXT_PLACES; after the last one, only the log is left to be erased. */
export interface ForgetPosition extends JobPosition {
  readonly place: number;
  /** The row after which it goes on. */
  readonly row: number;
  /** The second round looks through what has been written since the first one. */
  readonly round: number;
}

/** What holds texts in the memory of this process. */
export interface RefusedMemory {
  /** @returns how many refused deliveries were removed */
  forget(matches: TextMatch): Promise<number>;
}

/** A shorter text is in almost everything. */
const MIN_MATCH = 4;

export const beginning = (position: JobPosition): ForgetPosition => ({
  ...position,
  place: 0,
  row: 0,
  round: 1,
});

/** Whether only the log is left to be erased. */
export const isLookedThrough = (position: object | undefined): boolean =>
  position !== undefined && "place" in position && position.place === TEXT_PLACES.length;

/** @throws HookonceError `invalid_request`, `reason_missing` */
export async function refuseForget({ match, reason, dryRun }: ForgetRequest): Promise<void> {
  if (typeof match === "string" && match.trim().length < MIN_MATCH)
    throw new HookonceError(
      "invalid_request",
      `The text to forget has fewer than ${MIN_MATCH} characters, so it would match too much. Give a longer one, or the ids of the events.`,
    );
  if (reason === undefined && !dryRun)
    throw new HookonceError("reason_missing", "forget needs a reason: add --reason TEXT.");
  if (typeof match === "string" && reason !== undefined && (await createTextMatch(match)(reason)))
    throw new HookonceError(
      "invalid_request",
      "The reason contains the text that is to be forgotten, and the reason is kept. Give another reason.",
    );
}
