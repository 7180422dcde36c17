import type { Config } from "../config/load.ts";
import { HookonceError } from "../errors.ts";
import type { AdminInbox } from "../http/admin/inbox.ts";
import type { TryRequest as TryRequestJson } from "../http/admin/requests.ts";
import { tryHandler, type TryRequest } from "./try.ts";

/** A search for stored events takes a tenth of the time of this process, as the other searches do. */
const REST = 9;

/** Tries handlers for the API, one at a time: each try takes a processor, and may copy the database. */
export function createTryApi(config: () => Config, stopping: AbortSignal): AdminInbox["tryHandler"] {
  let isRunning = false;
  return async (request, signal) => {
    if (isRunning)
      throw new HookonceError("try_running", "Another handler is being tried. Wait until it has ended.");
    isRunning = true;
    try {
      const either = AbortSignal.any([signal, stopping]);
      return await tryHandler(config(), requestOf(request), { signal: either, rest: REST });
    } finally {
      isRunning = false;
    }
  };
}

function requestOf({ handler, source, event_id: eventId, last, sample, data }: TryRequestJson): TryRequest {
  const on: TryRequest["on"] =
    eventId !== undefined
      ? { from: "stored", eventId }
      : last !== undefined
        ? { from: "last", count: last }
        : sample !== undefined
          ? { from: "sample", type: sample }
          : data !== undefined
            ? { from: "data", body: Buffer.from(data).toString("base64") }
            : { from: "any" };
  return { handler, source, on };
}
