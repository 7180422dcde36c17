import { closest, distance } from "fastest-levenshtein";

/** What there is, by its name. */
type Known = readonly string[] | ReadonlyMap<string, { readonly aliases?: readonly string[] }>;

/** Something to go by: the name that was meant, as far as that can be told, else what there is. */
export function nearest(
  name: string,
  known: Known,
  others = `there are ${namesOf(known).join(", ")}`,
): string {
  const meant = meantBy(name, known);
  return meant.length === 0 ? others : `did you mean ${meant.join(" or ")}?`;
}

function meantBy(name: string, known: Known): string[] {
  const written = name.toLowerCase();
  const names = namesOf(known);
  const called = new Map(names.map((one) => [one, one]));
  if (known instanceof Map) {
    for (const [one, { aliases = [] }] of known) for (const alias of aliases) called.set(alias, one);
  }
  const other = called.get(written);
  if (other !== undefined) return [other];
  // "cloudflare" is none, but cloudflare-stream is.
  const longer = names.filter((one) => one.startsWith(`${written}-`));
  if (longer.length > 0) return longer;
  const best = closest(written, [...called.keys()]);
  return distance(written, best) <= Math.max(2, written.length / 3) ? [called.get(best) ?? best] : [];
}

function namesOf(known: Known): string[] {
  return known instanceof Map ? [...known.keys()] : [...(known as readonly string[])];
}
