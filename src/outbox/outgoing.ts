import type { StoredMessage } from "../engines/outbox.ts";
import { parseJson } from "../providers/body/payload.ts";
import type { StoredReads } from "../providers/batch-split.ts";
import type { OutgoingMessage } from "./sender.ts";

/** The sources of the config, as far as stored deliveries are read again. */
export type ReadsOf = (source: string) => Pick<StoredReads, "payloadOf"> | undefined;

/**
 * Makes the message of the next attempt.
 *
 * @returns undefined if nothing that could be sent is stored any more
 */
export function outgoingOf(stored: StoredMessage, readsOf: ReadsOf): OutgoingMessage | undefined {
  const { id, source, eventId, type, receivedAt, attempts, enqueued, delivery } = stored;
  const content = enqueued ?? delivery;
  if (content === null) return undefined;
  const { headers, body } = content;
  let json: { readonly text: string | null } | undefined;
  return {
    id,
    attempt: attempts + 1,
    kind: enqueued === null ? "event" : "enqueued",
    source,
    eventId,
    type,
    receivedAt,
    headers,
    body,
    // Few destinations need it, and it takes as long as everything else of a message.
    get payloadJson() {
      json ??= { text: enqueued === null ? payloadOf(stored, readsOf) : jsonOf(body) };
      return json.text;
    },
  };
}

function payloadOf({ source, eventId, delivery }: StoredMessage, readsOf: ReadsOf): string | null {
  if (delivery === null) return null;
  if (delivery.element) return jsonOf(delivery.body);
  return readsOf(source)?.payloadOf(delivery, eventId)?.json ?? null;
}

/** The text of a body, if it is JSON. */
function jsonOf(body: Uint8Array): string | null {
  try {
    return parseJson(new TextDecoder("utf-8", { fatal: true }).decode(body)).json;
  } catch {
    return null;
  }
}
