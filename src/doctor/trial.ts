import { HookonceError } from "../errors.ts";
import type { Delivery } from "../event.ts";
import type { Fetch, VerifyContext } from "../providers/context.ts";
import { parseBody } from "../providers/body/payload.ts";
import type { Provider } from "../providers/provider.ts";
import { kindOf, type Scheme } from "../providers/schemes.ts";
import { createUrlOf, createVerifyContext, maxBodyOf, type SourceSettings } from "../providers/source.ts";
import type { DoctorContext } from "./diagnosis.ts";

/** Everything that a verdict depends on, except the time. A hypothesis changes some of it. */
export interface Trial {
  readonly delivery: Delivery;
  readonly scheme: Scheme;
  readonly secrets: readonly string[];
  readonly urlOf: VerifyContext["urlOf"];
  readonly settings: SourceSettings;
  readonly provider: Provider;
}

/** The request, and everything in which the doctor looks for causes. */
export interface Examined extends Trial {
  readonly context: DoctorContext;
}

/** The secret that a provider hands out with this delivery, and the name of its field. */
export function secretIn(
  delivery: Delivery,
  { handshakes = [] }: Provider,
): { name: string; secret: string } | undefined {
  for (const { answer, onlyKeys: [name, ...others] = [] } of handshakes) {
    if (!("show" in answer) || name === undefined || others.length > 0) continue;
    const payload = parseBody(delivery).payload as Record<string, unknown> | null;
    const secret = payload?.[name];
    if (typeof secret === "string" && secret !== "" && Object.keys(payload ?? {}).length === 1)
      return { name, secret };
  }
  return undefined;
}

export function examine(delivery: Delivery, settings: SourceSettings, context: DoctorContext): Examined {
  return {
    delivery: withWholeUrl(delivery),
    ...takenFor(settings),
    context: { ...context, fetch: once(context.fetch) },
  };
}

/** A refused delivery is kept with its path alone, and a saved request may have no host or an invalid one. */
function withWholeUrl(delivery: Delivery): Delivery {
  const { url, headers } = delivery;
  if (URL.canParse(url)) return delivery;
  const path = `/${url.replace(/^(?:https?:\/\/[^/?#]*)?\/?/i, "")}`;
  const named = `http://${headers["host"] ?? ""}${path}`;
  return { ...delivery, url: URL.canParse(named) ? named : `http://localhost${path}` };
}

/** How a source verifies any delivery. */
export function takenFor(settings: SourceSettings): Omit<Trial, "delivery"> {
  const scheme = settings.scheme ?? settings.provider.scheme;
  return {
    scheme,
    secrets: settings.secrets,
    // If public_url is missing, this throws only when the URL is needed, because there may be more to say.
    urlOf: (one) => createUrlOf(scheme, settings.publicUrl)(one),
    settings,
    provider: settings.provider,
  };
}

/** Fetches each URL only once, however many trials need it. */
function once(fetch: Fetch): Fetch {
  const fetched = new Map<string, ReturnType<Fetch>>();
  return async (url, init) => {
    const key = JSON.stringify([url, init.method, init.body]);
    const response = fetched.get(key) ?? fetch(url, init);
    fetched.set(key, response);
    return (await response).clone() as Awaited<ReturnType<Fetch>>;
  };
}

/** Returns the refusal of a body that is too large, or undefined if it fits. This is checked first. */
export function tooLarge({ delivery: { body }, settings }: Examined): HookonceError | undefined {
  const limit = maxBodyOf(settings);
  if (body.byteLength <= limit) return undefined;
  return new HookonceError(
    "body_too_large",
    `The body is larger than ${limit} bytes, the limit of this source (max_body).`,
  );
}

/** What a source like this verifies with. */
export function contextOf({
  settings,
  scheme,
  secrets,
  urlOf,
  context: { nowMs, fetch },
}: Examined): VerifyContext {
  return createVerifyContext({ ...settings, scheme }, { secrets, clock: () => nowMs, fetch, urlOf });
}

/** @returns why the delivery is refused; undefined if it is not */
export async function refusalOf(examined: Examined): Promise<HookonceError | undefined> {
  const { scheme, delivery } = examined;
  try {
    await kindOf(scheme).createVerifier(scheme, contextOf(examined))(delivery);
    return undefined;
  } catch (error) {
    if (error instanceof HookonceError) return error;
    throw error;
  }
}

/** Whether the signature is right, however old it is. */
export async function fits(examined: Examined): Promise<boolean> {
  const { scheme } = examined;
  const ageless = kindOf(scheme).withTolerance(scheme, Number.POSITIVE_INFINITY);
  return (await refusalOf({ ...examined, scheme: ageless })) === undefined;
}

export function isAge({ code }: HookonceError): boolean {
  return code === "timestamp_stale" || code === "timestamp_in_future";
}
