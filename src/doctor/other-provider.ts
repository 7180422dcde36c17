import type { Delivery } from "../event.ts";
import { providers } from "../providers/presets.ts";
import type { Provider } from "../providers/provider.ts";
import { kindOf } from "../providers/schemes.ts";
import type { SourceSettings } from "../providers/source.ts";
import type { Finding } from "./diagnosis.ts";
import { signatureHeaderOf } from "./headers.ts";
import type { Hypothesis } from "./hypothesis.ts";
import { takenFor, type Examined } from "./trial.ts";

/** The headers by which a preset's deliveries can be recognized. */
function namesOf({ scheme, eventId, type }: Provider): Set<string> {
  const text = JSON.stringify([eventId, type]);
  const names = new Set([...text.matchAll(/header:([\w-]+)/g)].map(([, name]) => (name ?? "").toLowerCase()));
  const header = signatureHeaderOf(scheme);
  if (header !== undefined) names.add(header.replace(/\*$/, "1"));
  const timestamp = kindOf(scheme).timestampHeader(scheme);
  if (timestamp !== undefined) names.add(timestamp);
  for (const name of COMMON_NAMES) names.delete(name);
  return names;
}

/** Many senders use these, so they identify none. */
const COMMON_NAMES = [
  "authorization",
  "request-id",
  "x-request-id",
  "idempotency-key",
  "signature",
  "x-signature",
  "x-webhook-signature",
  "",
];

/** How many of a preset's own headers the delivery has. */
function signsOf(provider: Provider, { headers }: Delivery): number {
  return [...namesOf(provider)].filter((name) => headers[name] !== undefined).length;
}

/** The presets whose headers the delivery has; several if they share a scheme. */
function bestOf(delivery: Delivery): Provider[] {
  const others = [...providers.values()].filter(({ needs }) => needs === undefined);
  const best = Math.max(...others.map((one) => signsOf(one, delivery)));
  return best === 0 ? [] : others.filter((one) => signsOf(one, delivery) === best);
}

/** The other presets that the headers point to. */
function looksLike({ delivery, provider, scheme, settings }: Examined): Provider[] {
  const { eventId = provider.eventId, type = provider.type } = settings;
  // The config may name the same headers as another preset.
  const own = namesOf({ ...provider, scheme, eventId, type });
  const headers = Object.fromEntries(Object.entries(delivery.headers).filter(([name]) => !own.has(name)));
  const fits = signsOf(provider, delivery) > 0 ? delivery.headers : headers;
  const best = bestOf({ ...delivery, headers: fits });
  // If the source's own preset fits as well, the headers do not point to another one.
  return best.some(({ name }) => name === provider.name) ? [] : best;
}

/** A delivery that was meant for another source of the inbox. */
export function* otherSources({ settings, scheme, delivery, context }: Examined): Generator<Hypothesis> {
  const best = bestOf(delivery);
  const isUnlikely = ({ provider }: SourceSettings): boolean =>
    best.length > 0 && namesOf(provider).size > 0 && best.every(({ name }) => name !== provider.name);
  for (const other of [...context.sources].sort((a, b) => Number(isUnlikely(a)) - Number(isUnlikely(b)))) {
    const taken = takenFor(other);
    // If both sign alike, only the secret differs, and otherSecrets tries that.
    if (
      other.name === settings.name ||
      kindOf(taken.scheme).proof === "none" ||
      Bun.deepEquals(taken.scheme, scheme)
    )
      continue;
    const what = `This is a delivery for the source ${other.name} (${other.provider.title})`;
    yield {
      change: taken,
      cause: "other_source",
      what: `${what}: with that source its signature is right.`,
      remedy: `At the provider, enter the URL of /webhook/${other.name} instead of /webhook/${settings.name}.`,
      half: { what: `${what}.` },
      unlikely: isUnlikely(other),
    };
  }
}

/** A delivery of another provider, by its headers. Tried with this source's secrets. */
export function* otherProviders(examined: Examined): Generator<Hypothesis> {
  const likely = looksLike(examined);
  const others = ofTheSameSender(examined).filter((one) => !likely.includes(one));
  for (const one of [...likely, ...others]) {
    const { name, title, scheme } = one;
    const { proof } = kindOf(scheme);
    if (proof === "none" || proof === "secret-sent" || Bun.deepEquals(scheme, examined.scheme)) continue;
    yield {
      change: { scheme },
      cause: "other_provider",
      what: `This is a delivery of ${title}: verified as one, its signature is right.`,
      remedy: `Set provider = "${name}" for this source.`,
      half: { what: `This is a delivery of ${title}.` },
      unlikely: others.includes(one),
    };
  }
}

/** Other presets of the same sender: HubSpot has two older signatures in one header. */
function ofTheSameSender({ provider }: Examined): Provider[] {
  const [sender] = provider.name.split("-");
  return [...providers.values()].filter(
    (one) => one.name !== provider.name && one.needs === undefined && one.name.split("-")[0] === sender,
  );
}

export function otherProviderFinding(examined: Examined): Finding | undefined {
  const alike = looksLike(examined);
  const [first] = alike;
  if (first === undefined) return undefined;
  const others = examined.context.sources.filter(({ provider }) =>
    alike.some(({ name }) => name === provider.name),
  );
  const titles = alike.map(({ title }) => title);
  const many = titles.length > 3 ? [...titles.slice(0, 3), "others that sign the same way"] : titles;
  const names = [...namesOf(first)].filter((name) => examined.delivery.headers[name] !== undefined);
  return {
    cause: "other_provider",
    proven: false,
    what: `This looks like a delivery of ${many.join(" or ")}: it carries ${names.join(", ")}. The source ${examined.settings.name} is for ${examined.provider.title}.`,
    remedy:
      others.length > 0
        ? `Make the provider deliver to ${others.map(({ name }) => `/webhook/${name}`).join(" or ")} instead.`
        : `Add a source with provider = "${first.name}" for it.`,
  };
}
