import type { Event, EventFile, Headers } from "../event.ts";
import { filesOf } from "../providers/body/payload.ts";
import type { HandlerInput } from "./job.ts";
import { parsePayload } from "./payload.ts";

/** The event as a TypeScript handler gets it. */
export function handlerEvent(input: HandlerInput): Event {
  const { id, type, source, receivedAt, payloadJson, headersJson, body } = input;
  const headers = JSON.parse(headersJson) as Headers;
  let payload: { readonly value: unknown } | undefined;
  let files: EventFile[] | undefined;
  return {
    id,
    type,
    source,
    receivedAt,
    headers,
    // Parsed when it is first read: 20 MiB take a second at worst.
    get payload() {
      payload ??= { value: payloadJson === null ? null : parsePayload(payloadJson) };
      return payload.value;
    },
    get files() {
      return (files ??= filesOf({ headers, body }));
    },
    // Each read returns a copy, because the original bytes are stored after the handler has run.
    get body() {
      return body.slice();
    },
  };
}
