import { CONFIG_FILE, type Config } from "../config/load.ts";
import { nameOf } from "../config/location.ts";
import { nearest } from "../config/nearest.ts";
import type { OwedCount } from "../engines/reader.ts";
import type { Problem } from "../errors.ts";
import type { CheckFound } from "./check-process.ts";

export interface Compared {
  /** What runs. */
  readonly before: Config;
  /** Null if it cannot be read. */
  readonly config: Config | null;
  readonly found: Pick<CheckFound, "pending" | "problems">;
  /** Sources that may be gone although their events are stored. */
  readonly dropped: readonly string[];
  readonly owed: readonly OwedCount[];
}

/** The sources that a reload would remove although events of them are owed. */
export function removedWithOwed({
  before,
  config,
  owed,
}: Pick<Compared, "before" | "config" | "owed">): string[] {
  if (config === null) return [];
  const isThere = (name: string): boolean =>
    config.sources.some((one) => one.name === name || one.renamed_from === name);
  return before.sources
    .map(({ name }) => name)
    .filter((name) => !isThere(name) && owed.some(({ source }) => source === name));
}

const RESTART = "A reload cannot change it: restart hookonce serve, or restore it";

/** What a start would accept, but a reload does not. */
export function whatCannotChange({ before, config, found, dropped, owed }: Compared): Problem[] {
  const pending = found.pending
    .map((name) => `migrations/${name}`)
    .filter((file) => found.problems.every((problem) => problem.file !== file))
    .map((file) => ({
      file,
      message: "is not applied yet, and only a start applies migrations: restart hookonce serve",
    }));
  if (config === null) return pending;
  const places = [
    ["database", nameOf(before.database), nameOf(config.database)],
    ["listen", addressOf(before.listen), addressOf(config.listen)],
    ["admin.listen", addressOf(before.admin.listen), addressOf(config.admin.listen)],
  ] as const;
  const moved = places.flatMap(([key, was, is]) =>
    was === is ? [] : [inConfig(`${key} is now ${is}, and hookonce runs with ${was}. ${RESTART}`)],
  );
  const isServed = (name: string): boolean => before.sources.some((one) => one.name === name);
  const isKept = (name: string): boolean => config.sources.some((one) => one.name === name);
  // Deliveries in flight are stored under the old name, and their retries would come under the new one.
  const renamed = config.sources.flatMap(({ name, renamed_from: from, lineOf }) =>
    from === undefined || !isServed(from) || isKept(from)
      ? []
      : [
          {
            file: CONFIG_FILE,
            line: lineOf("renamed_from"),
            message: `sources.${name}: only a start renames a source, here from "${from}": restart hookonce serve`,
          },
        ],
  );
  const withOwed = removedWithOwed({ before, config, owed }).flatMap((name) => {
    if (dropped.includes(name)) return [];
    const counts = owed.filter(({ source }) => source === name);
    const events = counts.reduce((sum, { count }) => sum + count, 0);
    const more = counts.some(({ capped }) => capped) ? " or more" : "";
    return [
      inConfig(
        `source "${name}" is gone, and events of it are owed (${events}${more}): leave them behind with hookonce reload --drop-source ${name}. They stay stored and listed. Or put the source back, and apply or discard them first`,
      ),
    ];
  });
  const notGone = dropped
    .filter(isKept)
    .map((name) =>
      inConfig(`--drop-source ${name}: the source is still there. Delete [sources.${name}] first`),
    );
  const served = before.sources.map(({ name }) => name);
  const unknown = dropped
    .filter((name) => !isKept(name) && !isServed(name))
    .map((name) =>
      inConfig(`--drop-source ${name}: there is no source of this name; ${nearest(name, served)}`),
    );
  return [...pending, ...moved, ...renamed, ...withOwed, ...notGone, ...unknown];
}

function inConfig(message: string): Problem {
  return { file: CONFIG_FILE, message };
}

function addressOf(address: Config["admin"]["listen"]): string {
  return address === null ? '"off"' : `"${address.hostname}:${address.port}"`;
}
