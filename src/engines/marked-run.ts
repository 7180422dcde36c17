import type { HandlerInput, LoadedHandler } from "./engine.ts";
import type { Run as Marked } from "./marker.ts";

/** What the marker says of a run. @param element whether the event is its own part of a batch */
export function markOf(handler: LoadedHandler, input: HandlerInput, element: boolean): Marked {
  return {
    source: input.source,
    eventId: input.id,
    type: input.type,
    handler: handler.file,
    handlerHash: handler.hash,
    receivedAt: input.receivedAt,
    headersJson: input.headersJson,
    body: element ? (input.payloadJson ?? "") : input.body,
  };
}
