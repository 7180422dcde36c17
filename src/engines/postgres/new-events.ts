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
  return async (
    { source, input, isIgnored = false }: Incoming,
    failure: OpenFailure | undefined,
    handlers: Handlers,
  ) => {
    if (isIgnored) return { record: "ignored" } as const;
    // Whatever is to be judged is judged when the event runs.
    if (states.of(source) !== undefined) return { record: "held" } as const;
    const handler = handlers.for(source.handlersOf, input.type);
    let destinations: readonly string[] | undefined;
    if (handler === null && policy.sendsOn(source)) {
      try {
        destinations = await runs.destinationsOf(source, input);
      } catch (error) {
        return { fail: error };
      }
    }
    const isSentOn = destinations !== undefined && destinations.length > 0;
    const decided = policy.decideNew(source, input.type, handler, isSentOn);
    if (!("run" in decided)) return decided;
    const judged = await positions.judge(source, input, { isNamed: false });
    if ("place" in judged) return { ...decided, ...judged, destinations };
    // It is not run either way, and another code would end its quarantine.
    const isSkipped = failure !== undefined && handler !== null && policy.isQuarantined(failure, handler);
    return "fail" in judged && isSkipped ? { ...decided, place: undefined, destinations } : judged;
  };
}
