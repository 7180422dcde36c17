import type { OwedCount } from "../engines/reader.ts";
import { visible } from "../logging/visible.ts";

/** What to do about what is owed: what for, and the commands. */
export type OwedStep = readonly [what: string, command: string, then?: string];

/** Nothing of a paused source runs before `resume`, which runs what has failed, too, and leaves what is unhandled. */
export function owedSteps(
  owed: readonly Pick<OwedCount, "source" | "outcome">[],
  paused: readonly string[],
  inFolder: string,
): readonly OwedStep[] {
  const apply = `hookonce apply${inFolder}`;
  const steps: OwedStep[] = [];
  const others = owed.filter(({ outcome }) => outcome !== "held");
  if (others.some(({ source }) => !paused.includes(source)))
    steps.push(["run the owed events that have a handler", apply]);
  for (const name of paused) {
    const resume = `hookonce resume ${visible(name)}${inFolder}`;
    const has = (wanted: OwedCount["outcome"]): boolean =>
      others.some(({ source, outcome }) => source === name && outcome === wanted);
    if (has("failed")) steps.push([`run what has failed of ${visible(name)}`, resume]);
    if (has("unhandled")) steps.push([`run what is unhandled of ${visible(name)}`, resume, apply]);
  }
  return steps;
}

/** The steps as sentences. */
export function owedLines(...about: Parameters<typeof owedSteps>): string[] {
  return owedSteps(...about).map(
    ([what, command, then]) => `To ${what}: ${command}${then === undefined ? "" : `, then ${then}`}`,
  );
}
