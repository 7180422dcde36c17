import { closest, distance } from "fastest-levenshtein";

/** The paths of a source. The source `default` also answers `/webhook`. */
export function pathsOf({ name }: { readonly name: string }): string[] {
  const path = `/webhook/${name}`;
  return name === "default" ? ["/webhook", path] : [path];
}

/** The longest path that is compared, in characters: anybody may ask for any path. */
const MAX_COMPARED = 100;

/** How many characters may differ. */
const MAX_DISTANCE = 3;

/**
 * The path of a source that was probably meant: `/webhooks/stripe`, `/stripe`, `/webhook/Stripe/events` and
 * `/webhook/strpe` are near `/webhook/stripe`.
 */
export function nearPath(path: string, paths: readonly string[]): string | undefined {
  if (path.length > MAX_COMPARED || paths.length === 0) return undefined;
  const written = path.toLowerCase().replaceAll(/\/+/g, "/");
  const words = written.split("/");
  const named = paths.find(
    (one) => words.includes(one.slice(one.lastIndexOf("/") + 1)) && one !== "/webhook",
  );
  if (named !== undefined) return named;
  const best = closest(written, paths);
  return distance(written, best) <= MAX_DISTANCE ? best : undefined;
}
