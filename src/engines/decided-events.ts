import type { Job, LoadedHandler, NewEvent, Policy } from "./engine.ts";
import type { Place } from "../providers/newest.ts";
import type { OpenFailure } from "./event-rows.ts";
import { quarantined, withoutItsHandler } from "./results.ts";

/** What is to become of an event that is not recorded yet. */
export type DecidedEvent =
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
  | Skipped;

/** The destinations that get an event, if they are known already. */
export type Destinations = readonly string[] | undefined;

/** An event has failed before and stays failed, and nothing runs. */
export interface Skipped {
  readonly skip: ReturnType<typeof quarantined>;
}

/** Whether a delivery of a failed event runs nothing. */
export function skippedOf(
  policy: Pick<Policy, "isQuarantined">,
  failure: OpenFailure | undefined,
  handler: LoadedHandler | null,
  decided: NewEvent | { readonly fail: unknown },
): Skipped | undefined {
  if (failure === undefined) return undefined;
  if (handler !== null)
    return policy.isQuarantined(failure, handler) ? { skip: quarantined(failure, handler) } : undefined;
  // As an unhandled event it is still owed, and the provider's retries end. But hookonce would not retry it.
  const isRetried = failure.acceptedAt !== null || failure.nextAt !== null;
  if ("record" in decided && decided.record === "unhandled" && !isRetried) return undefined;
  const skip = withoutItsHandler(failure);
  return skip && { skip };
}

/** The result if the handler of an event is gone. Somebody who names the event may send it on without one. */
export function goneFor(
  { isNamed }: Pick<Extract<Job, { kind: "apply" }>, "isNamed">,
  failure: OpenFailure | undefined,
  handler: LoadedHandler | null,
  destinations: readonly string[],
): ReturnType<typeof withoutItsHandler> {
  if (handler !== null || (isNamed === true && destinations.length > 0)) return undefined;
  return withoutItsHandler(failure);
}
