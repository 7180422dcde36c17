import type { LoadedHandler } from "../engines/engine.ts";
import type { JobFailure, TriedEvents } from "./job-progress.ts";
import type { EventAction, Selected } from "./job-selection.ts";

/** What a dry run tries of a job, beside counting its events. */

/** An event whose handler a dry run runs and rolls back. */
export interface EventToTry {
  readonly source: string;
  readonly eventId: string;
  readonly type: string;
  /** The version of the handler that the job would run. */
  readonly handler: Pick<LoadedHandler, "file" | "hash">;
}

export interface EventsToTry {
  readonly action: Extract<EventAction, "apply" | "replay">;
  readonly events: readonly EventToTry[];
}

export type TryEvents = (
  events: EventsToTry,
  onFailure: (failure: JobFailure) => void,
  signal: AbortSignal,
) => Promise<TriedEvents>;

/** At most this many events are tried, and of each type and outcome fewer, so that all of them have a turn. */
const MAX_TRIED = 100;
const MAX_OF_GROUP = 10;

/** Collects the events that a dry run tries. */
export function createSample() {
  const events: EventToTry[] = [];
  const ofGroup = new Map<object, number>();
  return {
    events: events as readonly EventToTry[],
    add(group: object, { source, eventId, type }: Selected, { file, hash }: LoadedHandler): void {
      const count = ofGroup.get(group) ?? 0;
      if (count === MAX_OF_GROUP || events.length === MAX_TRIED) return;
      ofGroup.set(group, count + 1);
      events.push({ source, eventId, type, handler: { file, hash } });
    },
  };
}
