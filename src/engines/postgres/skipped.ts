import type { Incoming, LoadedHandler, Policy } from "../engine.ts";
import type { OpenFailure } from "../event-rows.ts";
import { quarantined, withoutItsHandler } from "../results.ts";

/** The result of a delivery whose event has failed and is not run now; undefined if it is run. */
export function skippedOf(
  policy: Policy,
  { source, isIgnored = false }: Incoming,
  failure: OpenFailure | undefined,
  handler: LoadedHandler | null,
  isOnlyRecorded: boolean,
): ReturnType<typeof quarantined> | ReturnType<typeof withoutItsHandler> {
  if (failure === undefined) return undefined;
  if (handler !== null)
    return policy.isQuarantined(failure, handler) ? quarantined(failure, handler) : undefined;
  return isOnlyRecorded && policy.sendsOn(source) && !isIgnored ? withoutItsHandler(failure) : undefined;
}
