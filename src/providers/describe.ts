import { parametersIn } from "./body/kept-query.ts";
import { isList, type Selector } from "./body/selector.ts";
import type { Provider } from "./provider.ts";
import { kindOf, type Scheme } from "./schemes.ts";
import { describeTestMarks } from "./test-marks.ts";

/** Everything to know about a provider, in lines of `name: text`. */
export function describeProvider(provider: Provider): [name: string, text: string][] {
  const { scheme, handshakes = [], answer, usesAnswer, timeoutMs, retryWindowMs, retries } = provider;
  const kind = kindOf(scheme);
  const lines: [string, string | undefined][] = [
    ["signature", describeSignature(scheme)],
    ["secret", !kind.needsSecret ? "none" : (provider.secretIs ?? "the webhook's secret")],
    ["key", kind.describeKey(scheme)],
    ["tolerance", kind.proof === "none" ? undefined : describeTolerance(provider)],
    ["needs", kind.coversUrl(scheme) ? "public_url, because the signature covers the URL" : undefined],
    ["event id", describeTrust(provider)],
    ["type", describeType(provider)],
    ["payload", describePayload(provider)],
    ["test events", provider.testMarks === undefined ? undefined : describeTestMarks(provider.testMarks)],
    ["batch", provider.batch?.join(", ")],
    [
      "largest body",
      provider.maxBody === undefined ? "1 MiB (max_body)" : `${provider.maxBody / 1024 ** 2} MiB`,
    ],
    ["waits", duration(timeoutMs)],
    ["retries", `${retries ?? "not known"} (counted as ${duration(retryWindowMs)})`],
    [
      "handshakes",
      handshakes.length === 0 ? undefined : [...new Set(handshakes.map(({ name }) => name))].join(", "),
    ],
    ["sent on", describeSigning(provider)],
    ["answer", answer === undefined ? undefined : `${answer.status} ${answer.body ?? "without a body"}`],
    ["pause", usesAnswer === undefined ? undefined : `needs held_reply, because ${usesAnswer}`],
    ["beware", provider.caution],
    ["checked", provider.checkedAgainst === undefined ? undefined : `against ${provider.checkedAgainst}`],
    ["unsure", provider.unverified],
    ["documentation", provider.docs],
  ];
  return lines.filter((line): line is [string, string] => line[1] !== undefined);
}

/** What handlers need to know of a payload that is not the JSON of the body. */
function describePayload({ formField, deliversByGet, untyped }: Provider): string | undefined {
  const notes = [
    formField === undefined
      ? undefined
      : `if the body is a form, the JSON in its field ${formField}: $ begins there; its files are event.files of a TypeScript handler`,
    deliversByGet === undefined ? undefined : "a form's fields; if it delivers by GET, those of the query",
    untyped,
  ];
  return notes.filter((one) => one !== undefined).join("; ") || undefined;
}

/** How a provider signs, in one line. */
export function describeSignature(scheme: Scheme): string {
  const kind = kindOf(scheme);
  const text = kind.describe(scheme);
  if (kind.proof === "none") return text;
  if (kind.proof === "secret-sent") return `none; ${text}`;
  const header = kind.signatureHeader(scheme)?.header ?? "in the body";
  return `${header === "" ? "a header" : header}: ${text}`;
}

function describeTolerance({ scheme, signsRetries }: Provider): string {
  const kind = kindOf(scheme);
  const tolerance = kind.tolerance(scheme);
  if (tolerance === undefined) return `none: ${kind.whyNoTolerance(scheme)}`;
  const why =
    signsRetries === true
      ? "each attempt is signed again"
      : "so that a retry may carry the time of the first attempt";
  return `${duration(tolerance * 1000)} either way; ${why}`;
}

/** How its deliveries are sent on, if they cannot be signed again. */
function describeSigning({ scheme, eventId, type }: Provider): string | undefined {
  const why = kindOf(scheme).whyNotSignedAgain(scheme, parametersIn([eventId, type]));
  return why === undefined ? undefined : `with sign = "standard-webhooks" or "none", because it ${why}`;
}

function describeTrust(provider: Provider): string {
  const { eventId, eventIdSigned } = provider;
  const id = describeId(provider);
  if (eventId === "new:delivery" || isRequired(provider)) return id;
  return `${id}; ${eventIdSigned ? "covered by the signature" : "not covered by the signature"}`;
}

/** Where a provider's event ids come from, in words. It says so if the provider sends no id. */
export function describeId(provider: Pick<Provider, "eventId" | "needs">): string {
  const selector = provider.eventId;
  if (isRequired(provider)) return "event_id is required";
  if (selector === "new:delivery") return "a new one for every delivery";
  if (selector === "sha256:body") return "the SHA-256 of the body, because the provider sends no id";
  return describeSelector(selector);
}

function describeType({ type, needs }: Provider): string {
  if (needs?.["type"] !== undefined) return "type is required";
  const isNone = type === "" || (typeof type !== "string" && isList(type) && type.length === 0);
  return isNone ? "none: the handler _any runs every event" : describeSelector(type);
}

function isRequired({ needs }: Pick<Provider, "needs">): boolean {
  return needs?.["event_id"] !== undefined;
}

function describeSelector(selector: Selector): string {
  if (typeof selector === "string") return selector;
  if ("key_beside" in selector)
    return `the first key of ${selector.of ?? "the body"}${selector.key_beside.length === 0 ? "" : ` besides ${selector.key_beside.join(", ")}`}`;
  if ("hash_without" in selector)
    return `the SHA-256 of the body without ${selector.hash_without.join(", ")}`;
  if (isList(selector)) return selector.map(describeSelector).join(", or ");
  return selector.join.join(` ${selector.with} `);
}

function duration(ms: number): string {
  const units: [number, string][] = [
    [24 * 3600 * 1000, "days"],
    [3600 * 1000, "h"],
    [60 * 1000, "min"],
  ];
  const [size, unit] = units.find(([size]) => ms >= 2 * size && ms % size === 0) ?? [1000, "s"];
  return `${ms / size} ${unit}`;
}
