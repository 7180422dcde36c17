import { HookonceError } from "../errors.ts";
import { parseDuration } from "../config/duration.ts";
import type { OutgoingRequest } from "../providers/context.ts";
import type { Source } from "../providers/source.ts";
import { sign } from "../providers/verifier.ts";
import type { Example } from "../simulator/example.ts";
import { examples } from "../simulator/examples.ts";
import { fitExample } from "../simulator/fitted-example.ts";
import { contentTypeOf, requestOf, staleAge, tampered, whyNotTampered } from "../simulator/request.ts";
import { madeFrom, newSeed, remember, type Made } from "./fixtures.ts";
import type { SigningSource } from "./keys.ts";

export interface DeliverOptions {
  /** How many deliveries of the event. Each is signed again, as a provider's retry is. */
  readonly times?: number;
  /** Sends them all at the same time, instead of one after the other. */
  readonly concurrently?: boolean;
  /** Changes a value of the body after it was signed. */
  readonly tamper?: boolean;
  /** How long ago it was signed, as in "10m"; true for longer than the source accepts. */
  readonly late?: boolean | string;
  /** Added before it is signed. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The event's type. Needed for your own payload if the provider sends the type in a header. */
  readonly type?: string;
}

interface Target extends SigningSource {
  readonly source: Source;
}

/**
 * Prepares the deliveries of one event. Each call of the function that is returned signs one.
 *
 * @param payload of a fixture or of the test's own, as its handler gets it; or a whole body, as text or bytes
 * @param clock Unix milliseconds
 */
export function requestFor(
  target: Target,
  payload: unknown,
  options: DeliverOptions,
  clock: () => number,
): () => Promise<OutgoingRequest> {
  const { settings, scheme, keys } = target;
  const provider = { ...settings.provider, scheme };
  const { title } = provider;
  const age = ageOf(options.late, target);
  if (options.tamper === true) {
    const why = whyNotTampered(scheme);
    if (why !== undefined) throw new TypeError(`tamper has no effect for ${title}: ${why}`);
  }
  const unsigned = unsignedRequest(target, payload, options, clock());
  return async () => {
    const signed = await sign(provider, unsigned, keys, clock() - age);
    const sent = options.tamper === true ? tampered(signed, scheme, provider) : signed;
    return { ...sent, headers: { ...sent.headers, "content-length": String(sent.body.byteLength) } };
  };
}

/** In milliseconds. */
function ageOf(late: DeliverOptions["late"], { scheme, settings }: Target): number {
  if (late === undefined || late === false) return 0;
  const age = staleAge(scheme);
  if (age === undefined)
    throw new TypeError(
      `late has no effect for ${settings.provider.title}: hookonce checks no time in its signature`,
    );
  if (late === true) return age;
  const given = parseDuration(late);
  if (given === undefined) throw new TypeError(`late: "${late}" is not a duration, as in "10m"`);
  return given;
}

function unsignedRequest(
  target: Target,
  payload: unknown,
  options: DeliverOptions,
  now: number,
): OutgoingRequest {
  const { settings, source } = target;
  const url = settings.publicUrl ?? `http://localhost/webhook/${source.name}`;
  const own = examples.get(settings.provider.name) as Example;
  if (typeof payload === "string" || payload instanceof Uint8Array) {
    const body = Buffer.from(payload as Uint8Array);
    const made = withHeaders(requestOf(own, [newSeed(options.type ?? own.types[0], now)], url), options);
    const type = contentTypeOf(body, made.headers["content-type"] ?? "");
    return { ...made, headers: { ...made.headers, "content-type": type }, body };
  }
  const known = madeFrom(payload);
  const build = ({ example, seed }: Made, fit: boolean): OutgoingRequest => {
    const whole = { ...(example as Example), event: () => payload };
    return withHeaders(requestOf(fit ? fitExample(whole, settings) : whole, [seed], url), options);
  };
  if (known !== undefined && (options.type === undefined || options.type === known.type)) {
    const request = build(known, false);
    // The config may read id and type from elsewhere than the preset.
    const isRead = (typeIn(source, request) ?? "") !== "" || known.type === "";
    return isRead ? request : build(known, true);
  }
  const made = (type: string): Made => ({ example: own, type, seed: newSeed(type, now) });
  const [type] = own.types;
  if (options.type === undefined) {
    const [one, other] = [type, `${type}-other`].map((word) => typeIn(source, build(made(word), false)));
    if (one !== other)
      throw new TypeError(
        `${settings.provider.title} names the type of an event in a header. Say which it is: box.deliver("${source.name}", payload, { type: "${type}" })`,
      );
  }
  return build(remember(payload, made(options.type ?? type)), false);
}

function withHeaders(request: OutgoingRequest, { headers = {} }: DeliverOptions): OutgoingRequest {
  const given = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  return { ...request, headers: { ...request.headers, ...(Object.fromEntries(given) as typeof headers) } };
}

/** The type that the source reads; undefined if it refuses the delivery. */
function typeIn(source: Source, request: OutgoingRequest): string | undefined {
  try {
    const delivery = { ...request, receivedAt: 0, remoteAddress: () => null };
    const kept = source.keepQuery?.(delivery) ?? delivery;
    if (source.split === undefined) return source.identify(kept).type;
    const [first] = source.split(kept);
    if (first === undefined || first instanceof HookonceError) return undefined;
    return first.type;
  } catch (error) {
    if (error instanceof HookonceError) return undefined;
    throw error;
  }
}
