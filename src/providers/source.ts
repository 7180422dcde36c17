import type { Delivery, Headers, Identity } from "../event.ts";
import { HookonceError } from "../errors.ts";
import { createHmacVerifier, type Clock } from "./hmac.ts";
import { parseBody, type ParsedBody } from "./payload.ts";
import type { HmacScheme, Provider, Scheme } from "./provider.ts";
import {
  canonical,
  compileSelector,
  NumberLiteral,
  parseWithExactNumbers,
  type Read,
  type Selector,
} from "./selector.ts";
import { createLoopbackCheck } from "./unsigned.ts";

/** What the config says of a source, its secrets looked up. What it leaves out, the provider's preset says. */
export interface SourceSettings {
  readonly name: string;
  readonly provider: Provider;
  readonly secrets: readonly string[];
  readonly scheme?: Partial<HmacScheme> | undefined;
  readonly eventId?: Selector | undefined;
  readonly type?: Selector | undefined;
  readonly maxBody?: number | undefined;
  readonly allowPublic?: boolean | undefined;
  readonly unhandled?: "record" | "ignore" | "fail" | undefined;
  readonly requireChange?: boolean | undefined;
  readonly sameBody?: "duplicate" | undefined;
}

export interface Identified extends Identity {
  readonly body: ParsedBody;
}

/** A source, ready to receive. */
export interface Source {
  readonly name: string;
  readonly provider: Provider;
  /** In bytes. */
  readonly maxBody: number;
  readonly unhandled: "record" | "ignore" | "fail";
  readonly requireChange: boolean;
  readonly sameBody: boolean;
  /** Equal exactly when the rule for event ids is. */
  readonly eventIdRule: string;
  /** Throws unless the delivery is the provider's, with a code that says why not. */
  readonly verify: (delivery: Delivery) => void;
  /** Throws when there is no event id, or none that can be one. */
  readonly identify: (delivery: Delivery) => Identified;
  /** The headers as they may be kept: lower-case names, secrets replaced. */
  readonly keepableHeaders: (headers: Headers) => Headers;
}

const MIB = 1024 * 1024;

/** @throws HookonceError `config_invalid` */
export function createSource(settings: SourceSettings, clock: Clock): Source {
  const { provider } = settings;
  const eventId = settings.eventId ?? provider.eventId;
  return {
    name: settings.name,
    provider,
    maxBody: settings.maxBody ?? provider.maxBody ?? MIB,
    unhandled: settings.unhandled ?? "record",
    requireChange: settings.requireChange ?? false,
    sameBody: settings.sameBody === "duplicate",
    eventIdRule: JSON.stringify(canonical(eventId)),
    verify: createVerifier(settings, clock),
    identify: createIdentifier(
      compileSelector(eventId, "absent"),
      compileSelector(settings.type ?? provider.type, "skip"),
      provider.formField,
    ),
    keepableHeaders,
  };
}

function createVerifier(settings: SourceSettings, clock: Clock): (delivery: Delivery) => void {
  const scheme: Scheme = settings.provider.scheme;
  switch (scheme.kind) {
    case "hmac":
      return createHmacVerifier({ ...scheme, ...settings.scheme }, settings.secrets, clock);
    case "unsigned":
      return settings.allowPublic === true ? () => {} : createLoopbackCheck();
  }
}

function createIdentifier(readId: Read, readType: Read, formField: string | undefined): Source["identify"] {
  return (delivery) => {
    const body = parseBody(delivery, formField);
    const from = { headers: delivery.headers, payload: body.payload };
    let id = readId(from);
    if (typeof id === "number") {
      // Digit for digit: 9007199254740993 and …992 are two ids, and one JavaScript number.
      id = readId({ headers: delivery.headers, payload: parseWithExactNumbers(body.json ?? "null") });
    }
    const type = readType(from);
    if ((id === undefined || type === undefined) && body.problem !== null) throw body.problem;
    return { id: checkId(id), type: checkType(type), body };
  };
}

const MAX_BYTES = 255;
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

function checkId(id: unknown): string {
  if (id === undefined) {
    throw new HookonceError(
      "missing_event_id",
      "The delivery holds no event id where this source's event_id says it stands.",
    );
  }
  if (id instanceof NumberLiteral) {
    if (/^-?(?:0|[1-9]\d*)$/.test(id.digits) && id.digits.length <= MAX_BYTES) return id.digits;
    throw new HookonceError("invalid_event_id", "The event id is a number, but not a whole one.");
  }
  if (typeof id !== "string")
    throw new HookonceError("invalid_event_id", "The event id is neither text nor a whole number.");
  const why = unfit(id);
  if (why !== undefined) throw new HookonceError("invalid_event_id", `The event id ${why}.`);
  return id;
}

function checkType(type: unknown): string {
  if (type === undefined) return "";
  const text = typeof type === "number" ? String(type) : type;
  if (typeof text !== "string")
    throw new HookonceError("invalid_event_type", "The event type is neither text nor a number.");
  const why = text === "" ? undefined : unfit(text);
  if (why !== undefined) throw new HookonceError("invalid_event_type", `The event type ${why}.`);
  return text;
}

function unfit(text: string): string | undefined {
  if (text === "") return "is empty";
  // UTF-8 takes at most three bytes for a UTF-16 unit: most are short enough without counting.
  if (text.length * 3 > MAX_BYTES && Buffer.byteLength(text) > MAX_BYTES)
    return `is longer than ${MAX_BYTES} bytes`;
  if (CONTROL.test(text)) return "holds a control character";
  // Two different lone surrogates would be stored as one and the same replacement character.
  if (!text.isWellFormed()) return "is not well-formed Unicode";
  return undefined;
}

const SECRET_HEADERS = ["authorization", "proxy-authorization", "cookie"];

function keepableHeaders(headers: Headers): Headers {
  const secret = SECRET_HEADERS.filter((name) => Object.hasOwn(headers, name));
  if (secret.length === 0) return headers;
  return { ...headers, ...Object.fromEntries(secret.map((name) => [name, "[redacted]"])) };
}
