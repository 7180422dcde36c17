import type { Headers } from "../event.ts";
import { HookonceError } from "../errors.ts";
import { REDACTED } from "./body/secret-spellings.ts";
import type { OutgoingRequest } from "./context.ts";
import { createEventAlone, inflated, requireSource, type MessageToSend } from "./event-alone.ts";
import { STANDARD_WEBHOOKS } from "./presets/common.ts";
import { isAddedOnTheWay } from "./schemes/forwarded.ts";
import { decodeBase64, decodeKey } from "./schemes/keys.ts";
import { kindOf, type Scheme } from "./schemes.ts";
import { keptParameters, type SourceSettings } from "./source.ts";
import { signsInBody } from "./verifier.ts";

/** How a destination wants its messages. Header names are in lower case. */
export interface SignedDestination {
  readonly sign: "provider" | "standard-webhooks" | "none";
  /** For Standard Webhooks: base64 with or without `whsec_`, or any other text. */
  readonly secret: string | undefined;
  /** Added last. */
  readonly headers: Headers;
}

/** A stored delivery, or what a handler has enqueued. */
export interface MessageToSign extends MessageToSend {
  /** The same at each attempt. */
  readonly id: string;
  readonly attempt: number;
  readonly type: string;
  /** Unix milliseconds. */
  readonly receivedAt: number;
}

/**
 * Makes the request of one attempt.
 *
 * @param url of the destination; it is what is signed if the signature covers the URL
 * @param nowMs the time of signing, in Unix milliseconds
 * @throws HookonceError `config_invalid` if this source's deliveries cannot be signed again, and what
 *   {@link createEventAlone} throws
 */
export type SignForward = (message: MessageToSign, url: string, nowMs: number) => Promise<OutgoingRequest>;

/**
 * @param settingsOf the source's settings; undefined if it is no longer in the config
 * @throws HookonceError `config_invalid` for a secret of Standard Webhooks that cannot be used
 */
export function createForwardSigner(
  { sign, secret, headers: own }: SignedDestination,
  settingsOf: (source: string) => SourceSettings | undefined,
): SignForward {
  const standard = sign === "standard-webhooks" ? createStandardSigning(secret) : undefined;
  const alone = createEventAlone(settingsOf);
  const signers = new Map<string, SignAgain>();
  const signAgain = (source: string): SignAgain => {
    let signer = signers.get(source);
    if (signer === undefined)
      signers.set(source, (signer = createSignAgain(requireSource(settingsOf, source))));
    return signer;
  };
  return async (message, url, nowMs) => {
    const isEvent = message.kind === "event";
    const { headers, body } = alone(message);
    const carried = isEvent ? sentByProvider(endToEnd(headers)) : endToEnd(headers);
    const request = {
      method: "POST",
      url: withStoredQuery(url, headers),
      headers: { ...carried, ...headersAbout(message), ...own },
      body,
    };
    if (sign === "provider" && !isEvent)
      throw new HookonceError("config_invalid", NOT_A_DELIVERY, { key: "sign" });
    const signed =
      standard !== undefined
        ? await standard(request, message.id, nowMs)
        : sign === "provider"
          ? await signAgain(message.source)(request, nowMs)
          : request;
    return { ...signed, headers: { ...signed.headers, ...own } };
  };
}

const NOT_A_DELIVERY =
  'The destination has sign = "provider", and the message is not an event of a provider: write sign = "standard-webhooks" or sign = "none".';

/**
 * Why deliveries of a source cannot be sent on with `sign = "provider"`, and what to write instead. Undefined if
 * they can.
 */
export function whyNotSignedAgain(settings: SourceSettings): string | undefined {
  const { name, provider, scheme = provider.scheme } = settings;
  const why = kindOf(scheme).whyNotSignedAgain(scheme, keptParameters(settings));
  if (why === undefined) return undefined;
  return `Deliveries of source "${name}" cannot be signed again, because their provider ${why}. Write sign = "standard-webhooks" and a secret of your own for the destination, or sign = "none" to send them on with the signature that they came with.`;
}

type SignAgain = (request: OutgoingRequest, nowMs: number) => Promise<OutgoingRequest>;

function createSignAgain(settings: SourceSettings): SignAgain {
  const { name, provider, secrets, scheme = provider.scheme } = settings;
  const { formField } = provider;
  const kind = kindOf(scheme);
  const inBody = signsInBody(scheme);
  const why = whyNotSignedAgain(settings);
  return async (request, nowMs) => {
    if (why !== undefined) throw new HookonceError("config_invalid", why, { key: "sign" });
    const [secret = ""] = secrets;
    if (secrets.length === 0 && kind.needsSecret)
      throw new HookonceError(
        "config_invalid",
        `Source "${name}" has no secret yet, so its deliveries cannot be signed again: set its secret.`,
        { key: "secret" },
      );
    // What is written into a compressed body would be unreadable.
    const plain = inBody ? inflated(request) : request;
    return kind.sign(scheme, plain, { secret, secrets, nowMs, formField });
  };
}

/**
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 *
 * @throws HookonceError `config_invalid`
 */
function createStandardSigning(
  secret = "",
): (request: OutgoingRequest, id: string, nowMs: number) => Promise<OutgoingRequest> {
  const isText = !secret.startsWith("whsec_") && decodeBase64(secret) === undefined;
  const scheme: Scheme = { ...STANDARD_WEBHOOKS, key: isText ? "text" : "whsec" };
  decodeKey(secret, scheme.key);
  const { idHeader, timestamp, signature } = STANDARD_WEBHOOKS;
  const colliding = new Set<string>([idHeader, timestamp.from.header, signature.header]);
  return async (request, id, nowMs) => {
    // Receivers verify the text that their framework gives them, which is not compressed.
    const { headers, ...plain } = inflated(request);
    const renamed = Object.entries(headers).map(([name, value]) => [
      colliding.has(name) ? `x-original-${name}` : name,
      value,
    ]);
    const all = { ...Object.fromEntries(renamed), [idHeader]: headerText(id) } as Headers;
    return kindOf(scheme).sign(scheme, { ...plain, headers: all }, { secret, nowMs, formField: undefined });
  };
}

/** RFC 9110, 7.6.1, and what a client writes itself. */
const OF_THE_CONNECTION =
  /^(?:connection|keep-alive|proxy-.+|te|trailer|transfer-encoding|upgrade|expect|host|content-length|accept-encoding)$/;

function endToEnd(headers: Headers): Headers {
  const named = new Set(
    headers["connection"]
      ?.toLowerCase()
      .split(",")
      .map((name) => name.trim()),
  );
  return filtered(headers, (name) => !OF_THE_CONNECTION.test(name) && !named.has(name));
}

/**
 * The headers that the provider itself has sent, without secrets. A receiver would think that the headers of a proxy
 * before hookonce are about its own request: frameworks make the URL that they verify from X-Forwarded-Host.
 */
function sentByProvider(headers: Headers): Headers {
  return filtered(
    headers,
    (name, value) =>
      !value.includes(REDACTED) && !isAddedOnTheWay(name) && !OURS.test(name) && !name.startsWith(QUERY),
  );
}

function filtered(headers: Headers, keeps: (name: string, value: string) => boolean): Headers {
  return Object.fromEntries(Object.entries(headers).filter(([name, value]) => keeps(name, value)));
}

/** How the stored parameters of a query are named among the headers (kept-query.ts). */
const QUERY = "query:";

/** The URL with those parameters, unless it has its own. */
function withStoredQuery(url: string, headers: Headers): string {
  const stored = Object.entries(headers).filter(([name]) => name.startsWith(QUERY));
  if (stored.length === 0) return url;
  const made = new URL(url);
  for (const [header, value] of stored) {
    const name = header.slice(QUERY.length);
    if (!made.searchParams.has(name) && !value.includes(REDACTED)) made.searchParams.append(name, value);
  }
  return made.href;
}

const OURS = /^hookonce-/;

/** What every message says about itself. */
function headersAbout(message: MessageToSign): Record<string, string> {
  const { id, source, eventId, type, attempt, receivedAt } = message;
  const all = {
    "hookonce-message-id": id,
    "hookonce-source": source,
    "hookonce-event-id": eventId,
    "hookonce-type": type,
    "hookonce-attempt": String(attempt),
    "hookonce-received-at": String(receivedAt),
  };
  const known = Object.entries(all).filter(([, value]) => value !== "");
  return Object.fromEntries(known.map(([name, value]) => [name, headerText(value)]));
}

/** Percent-encodes `%`, characters outside ASCII, and spaces at the ends, which a header cannot have. */
function headerText(text: string): string {
  return text.toWellFormed().replaceAll(/^ +| +$|[^\x20-\x24\x26-\x7e]+/gu, encodeURIComponent);
}
