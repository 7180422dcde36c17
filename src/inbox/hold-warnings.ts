import { formatDuration } from "../config/duration.ts";
import type { HealthWarning } from "../engines/engine.ts";
import { MAX_HELD_COUNTED, type PausedSource } from "../engines/source-states.ts";
import { counted } from "../logging/counted.ts";

/** In milliseconds. Somebody may have forgotten a source that has been paused for longer. */
const LONG_MS = 24 * 3_600_000;

/** With more events, a resume takes minutes. */
const MANY = 10_000;

export interface HoldWarning extends HealthWarning {
  readonly source: string;
}

/** What somebody should look after: a source that has been paused for more than a day, or a long backlog. */
export function holdWarnings(paused: readonly PausedSource[], now: number): readonly HoldWarning[] {
  return paused.flatMap((one) => [...longPause(one, now), ...longBacklog(one)]);
}

function longPause({ name: source, state, since, oldestAt }: PausedSource, now: number): HoldWarning[] {
  const ms = now - Math.min(since, oldestAt ?? since);
  if (ms <= LONG_MS) return [];
  const time = formatDuration(Math.floor(ms / 3_600_000) * 3_600_000);
  const message =
    state === "refusing"
      ? `The source ${source} has refused its deliveries for ${time}, and its provider may give up on them. To go on: hookonce resume ${source}`
      : state === "resuming"
        ? `The source ${source} resumes, and events have been held for ${time}`
        : `The source ${source} has held events for ${time}. To run them: hookonce resume ${source}`;
  return [{ source, code: "long_pause", message }];
}

function longBacklog({ name: source, held, isCapped }: PausedSource): HoldWarning[] {
  if (held <= MANY) return [];
  const events = isCapped ? `More than ${counted(MAX_HELD_COUNTED, "event")}` : counted(held, "event");
  return [{ source, code: "held_backlog", message: `${events} of the source ${source} are held` }];
}
