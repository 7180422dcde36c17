import type { Delivery } from "../event.ts";
import type { Handlers } from "../handlers/registry.ts";
import type { Source } from "../providers/source.ts";
import type { GroupCommit } from "./group-commit.ts";
import { nothingRun, type Result } from "./incoming.ts";

export interface Received extends Result {
  readonly eventId: string;
  readonly type: string;
}

/**
 * What a delivery goes through.
 *
 * @throws HookonceError when it is refused: nothing is recorded of it
 */
export async function receive(
  delivery: Delivery,
  source: Source,
  inbox: { readonly handlers: Handlers; readonly writer: Pick<GroupCommit, "commit"> },
): Promise<Received> {
  source.verify(delivery);
  const { id, type, body } = source.identify(delivery);

  const handler = inbox.handlers.for(source.name, type);
  if (handler === null && source.unhandled === "ignore") {
    return { ...nothingRun, eventId: id, type, outcome: "unhandled" };
  }
  const headers = source.keepableHeaders(delivery.headers);
  const result = await inbox.writer.commit({
    source,
    handler,
    input: {
      id,
      type,
      source: source.name,
      receivedAt: delivery.receivedAt,
      payload: body.payload,
      payloadJson: body.json,
      headers,
      headersJson: JSON.stringify(headers),
      body: delivery.body,
    },
  });
  return { ...result, eventId: id, type };
}
