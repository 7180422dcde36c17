import { HookonceError } from "../errors.ts";

/** Which column or key has an event's id, its type and its time. */
export interface Columns {
  readonly id: number;
  readonly type: number | undefined;
  readonly time: number | undefined;
}

/**
 * The names of each, in the order of preference. Case, spaces and punctuation do not count: `event_id`,
 * `eventId` and “Event ID” are one name, and “Created (UTC)” is how Stripe exports a time.
 */
const TYPES = ["type", "eventtype"];
const TIMES = [
  "receivedat",
  "time",
  "timestamp",
  "createdat",
  "created",
  "createdutc",
  "createddateutc",
  "processedat",
];

/**
 * `event_id` is the id. Without it, `id` or a name such as `stripe_event_id` is, but not if there are several:
 * in a table with both, `id` often counts the rows.
 *
 * @returns undefined if no name can be that of the ids
 * @throws HookonceError `file_unreadable` if more than one can be
 */
export function columnsOf(names: readonly string[]): Columns | undefined {
  const plain = names.map(plainName);
  const placesOf = (isMeant: (name: string) => boolean): number[] =>
    plain.flatMap((name, at) => (isMeant(name) ? [at] : []));
  const exact = placesOf((name) => name === "eventid");
  const ids = exact.length > 0 ? exact : placesOf((name) => name === "id" || name.endsWith("eventid"));
  const [id] = ids;
  if (id === undefined) return undefined;
  if (ids.length > 1)
    throw new HookonceError(
      "file_unreadable",
      `${quoted(ids.map((at) => names[at] ?? ""))} could each be the event id. Name the right column event_id, and no other.`,
    );
  const firstOf = (wanted: readonly string[]): number | undefined =>
    wanted.map((name) => plain.indexOf(name)).find((at) => at !== -1);
  return { id, type: firstOf(TYPES), time: firstOf(TIMES) };
}

const plainName = (name: string): string => name.toLowerCase().replaceAll(/[^\p{L}\p{N}]/gu, "");

/** How many names a message shows. */
const SHOWN = 8;

export function quoted(names: readonly string[]): string {
  const shown = names.slice(0, SHOWN).map((name) => `"${name.slice(0, 40)}"`);
  if (names.length > SHOWN) shown.push(`${names.length - SHOWN} more`);
  const last = shown.pop() ?? "";
  return shown.length === 0 ? last : `${shown.join(", ")} and ${last}`;
}
