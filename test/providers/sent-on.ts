import { HookonceError } from "../../src/errors.ts";
import type { Delivery, Headers } from "../../src/event.ts";
import { incomingOf } from "../../src/inbox/receive.ts";
import { readable } from "../../src/providers/body/form.ts";
import type { Fetch, OutgoingRequest } from "../../src/providers/context.ts";
import {
  createForwardSigner,
  type MessageToSign,
  type SignedDestination,
} from "../../src/providers/sign-again.ts";
import { createSource, type SourceSettings } from "../../src/providers/source.ts";
import { certificateFor } from "../../src/providers/schemes/self-signed.ts";
import { signerFor, URL_OF_IT, type Signer } from "./preset-samples.ts";
import { NOW } from "./signed-inbox.ts";

/** A destination that is not where the provider sends. */
export const DESTINATION = "http://10.0.0.7:3000/webhooks/it";

/** The provider signs with a time that no receiver accepts two days later. */
export const TWO_DAYS_LATER = NOW + 2 * 24 * 3600 * 1000;

/** A source of a preset. */
export interface Sending {
  readonly signer: Signer;
  readonly settings: SourceSettings;
}

export function sendingFor(name: string, changed: Partial<SourceSettings> = {}): Sending {
  const signer = signerFor(name, certificateFor);
  const { provider, keys } = signer;
  const settings = {
    name,
    provider,
    secrets: provider.scheme.kind === "unsigned" ? [] : [keys.secret],
    publicUrl: URL_OF_IT,
    allowPublic: true,
    ...changed,
  };
  return { signer, settings };
}

/**
 * The events of a delivery, as they are stored and as the outbox reads them.
 *
 * @throws HookonceError if the source refuses the delivery
 */
export async function receivedBy(
  settings: SourceSettings,
  { method, url, headers, body }: OutgoingRequest,
  nowMs: number,
  fetch: Fetch,
): Promise<MessageToSign[]> {
  const source = createSource(settings, () => nowMs, fetch);
  const delivery: Delivery = {
    method,
    url: url.slice(new URL(url).origin.length),
    headers: new Headers({ ...headers }).toJSON(),
    body,
    receivedAt: nowMs,
    remoteAddress: () => null,
  };
  source.admit(delivery);
  await source.verify(delivery);
  const read = readable(delivery);
  const redacted = source.redactBody?.(read) ?? read;
  const kept = source.keepQuery?.(redacted) ?? redacted;
  const whole = source.parse(kept);
  const found = source.split?.(kept, whole) ?? [source.identify(kept, whole)];
  return found.map((one) => {
    if (one instanceof HookonceError) throw one;
    const { input } = incomingOf(one, kept, source, source.split === undefined ? undefined : whole);
    return {
      id: `msg_${input.id}`,
      attempt: 1,
      kind: "event",
      source: settings.name,
      eventId: input.id,
      type: input.type,
      receivedAt: input.receivedAt,
      headers: JSON.parse(input.headersJson) as Headers,
      body: input.body,
      payloadJson: input.payloadJson,
    };
  });
}

/** Makes the request in which a message is sent on. */
export function sendOn(
  settings: SourceSettings,
  message: MessageToSign,
  {
    url = DESTINATION,
    nowMs = TWO_DAYS_LATER,
    ...destination
  }: Partial<SignedDestination> & { url?: string; nowMs?: number } = {},
): Promise<OutgoingRequest> {
  const signer = createForwardSigner(
    { sign: "provider", secret: undefined, headers: {}, ...destination },
    (name) => (name === settings.name ? settings : undefined),
  );
  return signer(message, url, nowMs);
}

/** The same source where the destination is. */
export function receiverOf(settings: SourceSettings): SourceSettings {
  return { ...settings, publicUrl: DESTINATION };
}
