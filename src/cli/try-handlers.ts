import type { Checked } from "../app/check.ts";
import { triesOfLast } from "../app/try.ts";
import { runTries, type Try } from "../app/tries.ts";
import { reportTrial, type TrialReport } from "./trial-report.ts";

/**
 * Runs each handler that has no problem on a made-up event, and rolls back.
 *
 * @param events on how many of its newest stored events each one runs besides
 */
export async function tryHandlers(
  folder: string,
  { problems, failing, handlers, config, trial, compared }: Checked,
  events?: number,
): Promise<TrialReport> {
  const known = [...problems, ...failing];
  const files = handlers.code
    .map(({ code: { file } }) => file)
    .filter((file) => known.every((one) => one.file !== file));
  const tries = [
    ...files.map((file): Try => ({ file, event: { from: "sample" } })),
    ...(events === undefined || config === null || trial === null
      ? []
      : await triesOfLast({ ...config, database: trial.database }, files, events)),
  ];
  const isTried = trial !== null && tries.length > 0;
  return reportTrial(
    isTried ? await runTries({ folder, ...trial, tries }) : { tried: [], why: undefined },
    compared,
  );
}
