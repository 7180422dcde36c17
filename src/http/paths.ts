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
  const names = segments.map((one) => /^[\w-]+/.exec(one)?.[0] ?? "");
  const at = names.findIndex((name) => sources.get(name.toLowerCase())?.redactBody !== undefined);
  // What follows the name may be a secret: `/webhook/figma/SECRET`, `/webhook/figma&key=SECRET`.
  const before = [...segments.slice(0, at), names[at] ?? ""].join("/");
  const isLonger = at !== -1 && /[^/]/.test(path.slice(before.length));
  const separator = segments[at] === names[at] ? "/" : "";
  const shown = isLonger ? `${before}${separator}[redacted]` : path;
  return [...sources.values()].reduce((rest, { hideSecrets }) => hideSecrets(rest), shown);
}
