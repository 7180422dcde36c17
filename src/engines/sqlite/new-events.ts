import { skippedOf, type DecidedEvent, type Destinations } from "../decided-events.ts";
import type { Handlers, Incoming, Policy } from "../engine.ts";
import type { OpenFailure } from "../event-rows.ts";
import type { HandlerRuns } from "./handler-runs.ts";
import type { Positions } from "./positions.ts";
import type { SourceStates } from "./source-states.ts";

/** Decides what to do with an event that is not recorded yet. Nothing is written before that is known. */
export function createNewEvents(
  policy: Policy,
  positions: Positions,
  runs: Pick<HandlerRuns, "destinationsOf">,
  states: SourceStates,
) {
  return (
    { source, input, isIgnored = false }: Incoming,
    failure: OpenFailure | undefined,
    handlers: Handlers,
  ): DecidedEvent => {
    if (isIgnored) return { record: "ignored" };
    const handler = handlers.for(source.handlersOf, input.type);
    // Whatever is to be judged is judged when the event runs.
    if (states.of(source) !== undefined) return { record: "held", heldFor: handler?.hash ?? null };
    let destinations: Destinations;
    if (handler === null && policy.sendsOn(source)) {
      try {
        destinations = runs.destinationsOf(source, input);
      } catch (error) {
        return skippedOf(policy, failure, handler, { fail: error }) ?? { fail: error };
      }
    }
    const isSentOn = destinations !== undefined && destinations.length > 0;
    const decided = policy.decideNew(source, input.type, handler, isSentOn);
    if (!("run" in decided)) return skippedOf(policy, failure, handler, decided) ?? decided;
    const judged = positions.judge(source, input, { isNamed: false });
    if ("stale" in judged) return judged;
    const next = "place" in judged ? { ...decided, ...judged, destinations } : judged;
    // If it failed with the code of the judgement, its quarantine would end.
    return skippedOf(policy, failure, handler, decided) ?? next;
  };
}
