import type { Handlers, Incoming, LoadedHandler, NewEvent, Policy } from "../engine.ts";
import type { Place } from "../../providers/newest.ts";
import type { OpenFailure } from "../event-rows.ts";
import type { HandlerRuns } from "./handler-runs.ts";
import type { Positions } from "./positions.ts";
import { quarantined, withoutItsHandler } from "../results.ts";
import type { SourceStates } from "./source-states.ts";

type Decided =
  | {
      readonly run: LoadedHandler | null;
      readonly place: Place | undefined;
      readonly destinations: Destinations;
    }
  | { readonly record: "unhandled" | "ignored" }
  /** By the hash of the handler that is to run it, if there is one. */
  | { readonly record: "held"; readonly heldFor: string | null }
  | { readonly stale: string }
  | { readonly fail: unknown }
  /** It has failed before and stays failed, and nothing runs. */
  | { readonly skip: ReturnType<typeof quarantined> };

type Destinations = readonly string[] | undefined;

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
  ): Decided => {
    if (isIgnored) return { record: "ignored" };
    const handler = handlers.for(source.handlersOf, input.type);
    // Whatever is to be judged is judged when the event runs.
    if (states.of(source) !== undefined) return { record: "held", heldFor: handler?.hash ?? null };
    let destinations: Destinations;
    if (handler === null && policy.sendsOn(source)) {
      try {
        destinations = runs.destinationsOf(source, input);
      } catch (error) {
        return skippedOf(failure, handler, { fail: error }) ?? { fail: error };
      }
    }
    const isSentOn = destinations !== undefined && destinations.length > 0;
    const decided = policy.decideNew(source, input.type, handler, isSentOn);
    if (!("run" in decided)) return skippedOf(failure, handler, decided) ?? decided;
    const judged = positions.judge(source, input, { isNamed: false });
    if ("stale" in judged) return judged;
    const next = "place" in judged ? { ...decided, ...judged, destinations } : judged;
    // If it failed with the code of the judgement, its quarantine would end.
    return skippedOf(failure, handler, decided) ?? next;
  };

  function skippedOf(
    failure: OpenFailure | undefined,
    handler: LoadedHandler | null,
    decided: NewEvent | { readonly fail: unknown },
  ) {
    if (failure === undefined) return undefined;
    if (handler !== null)
      return policy.isQuarantined(failure, handler) ? { skip: quarantined(failure, handler) } : undefined;
    // As an unhandled event it is still owed, and the provider's retries end. But hookonce would not retry it.
    const isRetried = failure.acceptedAt !== null || failure.nextAt !== null;
    if ("record" in decided && decided.record === "unhandled" && !isRetried) return undefined;
    const skip = withoutItsHandler(failure);
    return skip && { skip };
  }
}
