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
import { sign } from "../../src/providers/verifier.ts";
import { exampleFor, seedOf } from "../../src/simulator/example.ts";
import { examples } from "../../src/simulator/examples.ts";
import { requestOf } from "../../src/simulator/request.ts";
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

/** The preset's examples, signed by the provider: each type, and what it delivers without one. */
export async function* deliveriesOf({ signer }: Sending): AsyncGenerator<OutgoingRequest> {
  const example = examples.get(signer.provider.name);
  if (example === undefined) return;
  let n = 0;
  for (const word of [...example.types, ...Object.keys(example.untyped ?? {})]) {
    const made = exampleFor(example, word);
    const seed = () => seedOf((++n).toString(16).padStart(24, "0"), made.type, NOW);
    const seeds = made.example.wrap === undefined ? ([seed()] as const) : ([seed(), seed()] as const);
    const request = requestOf(made.example, seeds, URL_OF_IT);
    yield await sign(signer.provider, request, signer.keys, NOW);
  }
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

export const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
export const textOf = ({ body }: Pick<OutgoingRequest, "body">): string => Buffer.from(body).toString();
export const valueOf = (request: Pick<OutgoingRequest, "body">): unknown => JSON.parse(textOf(request));

/** A delivery of this body, signed by the provider. */
export function deliver(
  { signer, settings }: Sending,
  body: Uint8Array,
  headers: Record<string, string> = {},
  url = URL_OF_IT,
): Promise<MessageToSign[]> {
  const { scheme = signer.provider.scheme } = settings;
  const request = { method: "POST", url, headers: { "content-type": "application/json", ...headers }, body };
  const signed = sign({ ...signer.provider, scheme }, request, signer.keys, NOW);
  return signed.then((one) => receivedBy(settings, { ...one, url: one.url }, NOW, signer.fetch));
}

export async function deliverOne(...delivery: Parameters<typeof deliver>): Promise<MessageToSign> {
  const [message, ...others] = await deliver(...delivery);
  if (message === undefined || others.length > 0) throw new Error("the delivery is not of one event");
  return message;
}

/** What the source reads of a request at the destination, if it has these secrets. */
export const arriving = (
  { signer, settings }: Sending,
  request: OutgoingRequest,
  secrets: readonly string[] = settings.secrets,
): Promise<MessageToSign[]> =>
  receivedBy({ ...receiverOf(settings), secrets }, request, TWO_DAYS_LATER, signer.fetch);

/** The error with which an attempt is refused. */
async function refused(attempt: Promise<unknown>): Promise<HookonceError> {
  try {
    await attempt;
  } catch (error) {
    if (error instanceof HookonceError) return error;
    throw error;
  }
  throw new Error("it is accepted");
}

export const refusal = async (attempt: Promise<unknown>): Promise<string> => (await refused(attempt)).code;
export const reason = async (attempt: Promise<unknown>): Promise<string> => (await refused(attempt)).message;
