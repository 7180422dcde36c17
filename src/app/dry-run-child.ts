import { placeOf } from "../engines/error-place.ts";
import type { Handlers, Job } from "../engines/engine.ts";
import type { ChangedTable } from "../engines/trial.ts";
import { HookonceError, messageOf } from "../errors.ts";
import { bindHandlers } from "../handlers/load.ts";
import type { EventsToTry, EventToTry } from "../inbox/dry-run.ts";
import type { JobFailure } from "../inbox/job-progress.ts";
import type { Source } from "../providers/source.ts";
import { openTrialOf, withLock } from "./trial.ts";
import type { TrialLine, TrialOrder } from "./trial-process.ts";

/** The child's input, as JSON on standard input. */
export interface DryRunOrder extends TrialOrder, EventsToTry {}

/** What an event did. It was done already if nothing is here. */
export interface RanEvent {
  readonly tables?: readonly ChangedTable[];
  readonly failure?: Omit<JobFailure, "source" | "eventId" | "type">;
}

export type DryRunLine = TrialLine<EventToTry, RanEvent>;

/** Runs the events of a dry run, each on its own, and rolls each back. */
export async function runEvents(order: DryRunOrder, say: (line: DryRunLine) => void): Promise<void> {
  const opened = await openTrialOf(order);
  if (opened === "copy") return say({ is: "copy" });
  if ("why" in opened) return say({ is: "refused", why: opened.why });
  const { trial, read, storedSources: sources } = opened;
  const { handlers } = await bindHandlers(read, trial);
  for (const event of order.events) {
    const source = sources.get(event.source);
    const why = source === undefined ? otherConfig(event.source) : whyNot(event, source, handlers);
    if (why !== undefined || source === undefined) return say({ is: "refused", why: why ?? "" });
    const job = jobFor(order.action, source, event.eventId);
    const ran = await withLock(order, async () => {
      say({ is: "begin", ...event });
      try {
        return await trial.dryRun(job, handlers);
      } catch (error) {
        const code = error instanceof HookonceError ? error.code : "handler_error";
        return { failure: { code, error: messageOf(error), at: placeOf(error) } };
      }
    });
    if (ran === undefined) return say({ is: "copy" });
    say({ is: "end", ran });
  }
}

const otherConfig = (source: string): string =>
  `hookonce.toml has no source "${source}" any more; run hookonce reload first`;

/** The job runs the handlers that are loaded, and this process the ones in the folder. */
function whyNot({ type, handler }: EventToTry, source: Source, handlers: Handlers): string | undefined {
  const { file, hash } = handlers.for(source.handlersOf, type) ?? {};
  return file === handler.file && hash === handler.hash
    ? undefined
    : `${handler.file} was changed after hookonce serve had loaded it; run hookonce reload first`;
}

/** Everything that is processed now. */
const NOW = { event: Number.MAX_SAFE_INTEGER, change: Number.MAX_SAFE_INTEGER };

function jobFor(
  action: EventsToTry["action"],
  source: Source,
  eventId: string,
): Extract<Job, { kind: "apply" | "replay" }> {
  const event = { source, eventId, at: Date.now() };
  return action === "replay"
    ? { kind: "replay", ...event, reason: "dry run", job: "dry run", ordered: NOW, evenStale: true }
    : { kind: "apply", ...event, isNamed: true, reason: "dry run" };
}
