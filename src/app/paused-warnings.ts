import { CONFIG_FILE, type ConfiguredSource } from "../config/load.ts";
import type { PausedSource } from "../engines/source-states.ts";
import type { Problem } from "../errors.ts";
import { holdWarnings } from "../inbox/hold-warnings.ts";
import { counted } from "../logging/counted.ts";
import type { Source } from "../providers/source.ts";
import { HELD_REPLY_EXAMPLE, whyNotHeld } from "./held-replies.ts";

/** Warns of sources that are paused, and of pauses and backlogs that are long. */
export function warnOfPausedSources(
  sources: readonly ConfiguredSource[],
  created: ReadonlyMap<string, Source>,
  paused: readonly PausedSource[],
  now: number,
): Problem[] {
  const placed = (name: string, message: string): Problem => {
    const line = sources.find((one) => one.name === name)?.lineOf();
    return {
      file: CONFIG_FILE,
      ...(line === undefined ? {} : { line }),
      message: `sources.${name}: ${message}`,
    };
  };
  const isGone = (name: string): boolean => sources.every((one) => one.name !== name);
  return [
    ...paused.map((one) => placed(one.name, textOf(one, isGone(one.name)))),
    ...paused.flatMap(({ name, state }) => {
      const source = created.get(name);
      if (state === "refusing" || source === undefined || whyNotHeld(source) === undefined) return [];
      const message = `it is paused, and has no held_reply any more, although ${source.provider.usesAnswer}. Set it, as in ${HELD_REPLY_EXAMPLE}`;
      return placed(name, message);
    }),
    ...holdWarnings(paused, now).map(({ source, message }) => placed(source, message)),
  ];
}

function textOf({ name, state, reason, held, isCapped }: PausedSource, isGone: boolean): string {
  const why = reason === null ? "" : ` (${reason})`;
  const events = `${isCapped ? "more than " : ""}${counted(held, "event")} ${held === 1 ? "is" : "are"} held`;
  if (isGone)
    return `it is no longer in hookonce.toml, and it is paused: ${events}. Add it again, and resume it`;
  if (state === "resuming") return `it resumes: ${events}`;
  const what = state === "refusing" ? "it refuses its deliveries" : "it is paused";
  return `${what}${why}${held === 0 ? "" : `: ${events}`}. To go on, run hookonce resume ${name}`;
}
