import { closest, distance } from "fastest-levenshtein";

/** Known names, or a map from each name to its aliases. */
type Known = readonly string[] | ReadonlyMap<string, { readonly aliases?: readonly string[] }>;

/** Returns a remedy for an unknown name: the name that was probably meant, or else `others`. */
export function nearest(
  name: string,
  known: Known,
  others = `choose from ${namesOf(known).join(", ")}`,
): string {
  const meant = meantBy(name, known);
  return meant.length === 0 ? others : `did you mean ${meant.join(" or ")}?`;
}

function meantBy(name: string, known: Known): string[] {
  const written = name.toLowerCase();
  const names = namesOf(known);
  const nameByAlias = new Map(names.map((one) => [one, one]));
  if (known instanceof Map) {
    for (const [one, { aliases = [] }] of known) for (const alias of aliases) nameByAlias.set(alias, one);
  }
  const exact = nameByAlias.get(written);
  if (exact !== undefined) return [exact];
  // There is no "cloudflare", but there is "cloudflare-stream".
  const longer = names.filter((one) => one.startsWith(`${written}-`));
  if (longer.length > 0) return longer;
  const best = closest(written, [...nameByAlias.keys()]);
  return distance(written, best) <= Math.max(2, written.length / 3) ? [nameByAlias.get(best) ?? best] : [];
}

function namesOf(known: Known): string[] {
  return known instanceof Map ? [...known.keys()] : [...(known as readonly string[])];
}
