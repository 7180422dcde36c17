import { closest, distance } from "fastest-levenshtein";
import type { Source } from "../providers/source.ts";

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

/**
 * An unknown path as it may be logged. Somebody may have put a secret into it: a source's own, or a wrong one
 * after the name of a source whose provider sends its secret.
 */
export function shownPath(
  path: string,
  sources: ReadonlyMap<string, Pick<Source, "hideSecrets" | "redactBody">>,
): string {
  const segments = path.split("/");
  const name = segments.findIndex((one) => sources.get(one.toLowerCase())?.redactBody !== undefined);
  const isLonger = name !== -1 && segments.slice(name + 1).some((one) => one !== "");
  const shown = isLonger ? [...segments.slice(0, name + 1), "[redacted]"].join("/") : path;
  return [...sources.values()].reduce((rest, { hideSecrets }) => hideSecrets(rest), shown);
}
