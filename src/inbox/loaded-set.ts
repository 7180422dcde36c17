import type { EventSource, Handlers, Incoming, Job } from "../engines/engine.ts";
import type { Headers } from "../event.ts";
import { HookonceError } from "../errors.ts";

/**
 * What a reload replaces at once. A batch takes its sources and its handlers from one set: the handlers of one and the
 * `handlers`, `unhandled` or `forward` of another could ignore an event that either set applies.
 */
export interface LoadedSet {
  readonly sources: ReadonlyMap<string, EventSource>;
  readonly handlers: Handlers;
}

/**
 * Returns a job as it is to be run now: a reload may have replaced its source while it waited. What was verified stays
 * verified, and an event keeps its id, because a reload changes no rule for ids.
 *
 * @returns `unknown_source` if the source is gone
 */
export function jobNow(job: Job, { sources }: Pick<LoadedSet, "sources">): Job | HookonceError {
  switch (job.kind) {
    case "delivery": {
      const { source } = job.event;
      const now = sources.get(source.name);
      if (now === source) return job;
      return now === undefined ? gone(source) : { ...job, event: readBy(now, job.event) };
    }
    case "apply":
    case "replay":
    case "resume":
    case "import":
    case "forward": {
      const now = sources.get(job.source.name);
      if (now === job.source) return job;
      return now === undefined ? gone(job.source) : { ...job, source: now };
    }
    // What is owed of a source that is gone can be given up.
    case "discard":
    case "message":
    case "record":
    case "forget":
    case "retention":
      return job;
  }
}

/** The rule for types may have changed together with the names of the handlers. */
function readBy(source: EventSource, event: Incoming): Incoming {
  const { input } = event;
  const headers = JSON.parse(input.headersJson) as Headers;
  const type = source.typeOf({ headers, body: input.body }, input.id) ?? input.type;
  return { ...event, source, input: { ...input, type } };
}

function gone({ name }: EventSource): HookonceError {
  return new HookonceError(
    "unknown_source",
    `There is no source "${name}" any more: a reload has removed it from hookonce.toml.`,
  );
}
