import { closest, distance } from "fastest-levenshtein";

/** Something to go by: the nearest name when there is a near one, else what there is. */
export function nearest(
  name: string,
  known: readonly string[],
  others = `there are ${known.join(", ")}`,
): string {
  const best = closest(name, [...known]);
  return distance(name, best) <= Math.max(2, name.length / 3) ? `did you mean ${best}?` : others;
}
