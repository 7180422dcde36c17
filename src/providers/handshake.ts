import type { Delivery, Head, Reply } from "../event.ts";
import { HookonceError } from "../errors.ts";
import { isSecret } from "./schemes/comparison.ts";
import type { VerifyContext } from "./context.ts";
import { NO_HANDSHAKE } from "./refused-handshake.ts";
import { isGzip, type ParsedBody } from "./body/payload.ts";
import { checkPinned, fetchPinned } from "./schemes/pinned-fetch.ts";
import { parameterIn, parameterOf } from "./body/path.ts";
import { compileSelector, type Part } from "./body/selector.ts";

/** `query:hub.mode`, or a part that a selector can read. */
export type Place = Part;

/** A request with which a provider checks an endpoint before or while it delivers. It carries no event. */
export interface Handshake {
  /** In words. */
  readonly name: string;
  /**
   * A method other than POST, or a POST. `signed`: answered after the signature has been verified.
   * `unsigned`: answered without, because it has none.
   */
  readonly on: HandshakeMethod | "unsigned" | "signed";
  /** All of them hold. A POST has at least one, because other POST requests are events. */
  readonly when: readonly Condition[];
  /** The payload has these keys and no others. */
  readonly onlyKeys?: readonly string[];
  readonly answer: HandshakeAnswer;
}

export type HandshakeMethod = "GET" | "HEAD" | "OPTIONS";

export interface Condition {
  readonly at: Place;
  /** Without any condition, every value fits. */
  readonly is?: string | number;
  readonly absent?: true;
  /** It is the source's `verify_token`. */
  readonly isVerifyToken?: true;
}

export type HandshakeAnswer =
  /**
   * Send back the value at this place: as text, as `{"name": value}` with `json:name`, or as the response
   * header `name` with `header:name`.
   */
  | { readonly echo: Place; readonly as?: EchoForm }
  | { readonly status: number; readonly json?: unknown; readonly contentType?: string }
  /**
   * Send back the token at this place, and its HMAC-SHA256 in hex, keyed with the secret that signed the
   * request.
   */
  | { readonly hashed: Place; readonly as: readonly [plain: string, hashed: string] }
  /** Send back what the scheme answers to the challenge at this place. */
  | { readonly signed: Place }
  /**
   * The secret is at this place, but nothing proves that the provider sent it, even if the request is signed
   * with it. Each one is shown to the user once, and only while no secret is configured.
   */
  | { readonly show: Place }
  /** Fetch the URL at this place, from this host only. */
  | { readonly confirm: Place; readonly host: RegExp };

export type EchoForm = "text" | `json:${string}` | `header:${string}`;

export interface HandshakeDone {
  readonly handshake: string;
  readonly reply: Reply;
  /** To be logged. `last` means that no more will be logged, because too many have come. */
  readonly secret?: { readonly text: string; readonly last: boolean };
}

/** Returns undefined if it is not a handshake. */
export type Answer = (
  delivery: Delivery,
  parse: () => ParsedBody,
) => HandshakeDone | Promise<HandshakeDone> | undefined;

export interface Handshakes extends Readonly<Record<Handshake["on"], Answer | undefined>> {
  /** The methods of its handshakes besides POST. */
  readonly methods: readonly HandshakeMethod[];
  /** Says why no handshake of this method matches the request. It repeats no value that was sent. */
  readonly whyNone: (delivery: Delivery, method: HandshakeMethod) => string;
  /** The latest secrets that have arrived in handshakes, the latest one last. A reload adds the earlier ones. */
  readonly shown: Set<string>;
  /** Whether the headers are those of a handshake without a signature, so that its body is worth reading. */
  readonly mayBeUnsigned: (head: Head) => boolean;
}

/** In bytes. The body of a handshake without a signature holds one token, and it is not compressed. */
export const MAX_UNSIGNED_HANDSHAKE = 4096;

/** What the answers to handshakes need. */
export interface HandshakeContext extends Pick<VerifyContext, "secrets" | "fetch"> {
  readonly verifyToken: string | undefined;
  /** If there are several secrets (rotation), the one that signed the delivery. */
  readonly secretOf: (delivery: Delivery) => Promise<string | undefined>;
  /** What the scheme answers to a challenge. Undefined if it must not be answered. */
  readonly answerChallenge: (challenge: string) => string | undefined;
  /** Why the delivery would be refused if this were the source's secret. */
  readonly refusalWith: (secret: string, delivery: Delivery) => Promise<HookonceError | undefined>;
}

/** The parameters of the query in which the provider sends the verify token. */
export function tokenParametersOf({
  handshakes = [],
}: {
  readonly handshakes?: readonly Handshake[];
}): string[] {
  return handshakes
    .flatMap(({ when }) => when)
    .map(({ at, isVerifyToken }) => (isVerifyToken === true ? parameterOf(at) : undefined))
    .filter((one) => one !== undefined);
}

export function compileHandshakes(
  handshakes: readonly Handshake[] | undefined,
  context: HandshakeContext,
): Handshakes | undefined {
  if (handshakes === undefined) return undefined;
  const shown = new Set<string>();
  const hasSecret = context.secrets.length > 0;
  const of = (on: Handshake["on"]): readonly Handshake[] =>
    handshakes.filter((one) => one.on === on && !(hasSecret && "show" in one.answer));
  const at = (
    on: Handshake["on"],
    mayBe: (delivery: Delivery) => boolean = () => true,
  ): Answer | undefined => {
    const compiled = of(on).map((one) => compileHandshake(one, context, shown));
    if (compiled.length === 0) return undefined;
    return (delivery, parse) => {
      if (!mayBe(delivery)) return undefined;
      for (const answer of compiled) {
        const done = answer(delivery, parse);
        if (done !== undefined) return done;
      }
      return undefined;
    };
  };
  const unsigned = of("unsigned").map(({ when }) =>
    when.filter(isInHead).map((condition) => compileCondition(condition, context.verifyToken)),
  );
  const GET = at("GET");
  // A server that answers GET answers HEAD in the same way, without the body (RFC 9110, 9.3.2).
  return {
    GET,
    HEAD: at("HEAD") ?? GET,
    OPTIONS: at("OPTIONS"),
    whyNone: (delivery, method) => {
      const own = of(method);
      return whyNone(own.length === 0 && method === "HEAD" ? of("GET") : own, delivery, context.verifyToken);
    },
    shown,
    methods: (["GET", "HEAD", "OPTIONS"] as const).filter((method) => of(method).length > 0),
    unsigned: at("unsigned", isSmall),
    signed: at("signed"),
    mayBeUnsigned: ({ url, headers }) =>
      unsigned.some((conditions) =>
        conditions.every((holds) => holds({ url, headers, body: NO_BODY }, notYetRead)),
      ),
  };
}

/** Whether the body may be parsed before anything is verified. */
function isSmall({ headers, body }: Delivery): boolean {
  return body.byteLength <= MAX_UNSIGNED_HANDSHAKE && !isGzip(headers);
}

const NO_BODY = new Uint8Array();

function notYetRead(): never {
  throw new Error("Only conditions on headers and query are checked before the body is read.");
}

function isInHead({ at }: Condition): boolean {
  return at.startsWith("header:") || at.startsWith("query:");
}

type ReadPlace = (delivery: Readable, parse: () => ParsedBody) => unknown;

type Readable = Pick<Delivery, "url" | "headers" | "body">;

/** @throws HookonceError `config_invalid` */
export function compilePlace(place: Place): ReadPlace {
  const parameter = parameterOf(place);
  if (parameter !== undefined) return ({ url }) => parameterIn(url, parameter);
  const read = compileSelector(place, "absent");
  const inBody = place.startsWith("body:");
  return ({ headers, body }, parse) => read({ headers, payload: inBody ? parse().payload : null, body });
}

function compileHandshake(
  { name, when, onlyKeys, answer }: Handshake,
  context: HandshakeContext,
  shown: Set<string>,
): Answer {
  const conditions = when.map((condition) => compileCondition(condition, context.verifyToken));
  const respond = compileAnswer(name, answer, context, shown);
  return (delivery, parse) => {
    if (!conditions.every((holds) => holds(delivery, parse))) return undefined;
    if (onlyKeys !== undefined && !hasOnlyKeys(parse().payload, onlyKeys)) return undefined;
    return respond(delivery, parse);
  };
}

function compileCondition(
  { at, is, absent, isVerifyToken }: Condition,
  verifyToken: string | undefined,
): (delivery: Readable, parse: () => ParsedBody) => boolean {
  const read = compilePlace(at);
  return (delivery, parse) => {
    const value = read(delivery, parse);
    if (absent === true) return value === undefined;
    if (isVerifyToken === true)
      return verifyToken !== undefined && typeof value === "string" && isSecret(value, verifyToken);
    return is === undefined ? value !== undefined : value === is;
  };
}

/** Names the conditions that do not hold, of the handshake that is nearest to the request. */
function whyNone(
  handshakes: readonly Handshake[],
  delivery: Delivery,
  verifyToken: string | undefined,
): string {
  const failed = handshakes
    .map(({ when }) =>
      when.filter((condition) => !compileCondition(condition, verifyToken)(delivery, notYetRead)),
    )
    .sort((a, b) => a.length - b.length);
  const reasons = (failed[0] ?? []).map((condition) => {
    const { at, is, absent, isVerifyToken } = condition;
    if (absent === true) return `${at} is there`;
    if (compilePlace(at)(delivery, notYetRead) === undefined) return `${at} is missing`;
    if (isVerifyToken === true && verifyToken === undefined) return "the source has no verify_token";
    return isVerifyToken === true
      ? `the verify token in ${at} is not that of the source`
      : `${at} is not ${JSON.stringify(is)}`;
  });
  return reasons.length === 0
    ? NO_HANDSHAKE
    : `The request is no handshake that this source answers: ${reasons.join(", and ")}.`;
}

function hasOnlyKeys(payload: unknown, keys: readonly string[]): boolean {
  if (typeof payload !== "object" || payload === null) return false;
  const found = Object.keys(payload);
  return found.length === keys.length && found.every((key) => keys.includes(key));
}

/** In UTF-16 units. Challenges are short. Longer texts are not echoed. */
const MAX_ECHO = 1000;

/** Anyone can send tokens. The limit keeps them from filling the log; the latest are shown on request. */
const MAX_SHOWN = 20;

/** For text that goes to a terminal or into a header. */
const PRINTABLE = /^[\u0021-\u007e]+$/;

// A browser must not render the echoed text as a page.
const TEXT = { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" };
const JSON_TYPE = { "content-type": "application/json" };

function compileAnswer(
  name: string,
  answer: HandshakeAnswer,
  context: HandshakeContext,
  shown: Set<string>,
): Answer {
  const done = (status: number, headers: Record<string, string>, body: string): HandshakeDone => ({
    handshake: name,
    reply: { status, headers, body },
  });
  if ("echo" in answer) {
    const read = compilePlace(answer.echo);
    const { as = "text" } = answer;
    return (delivery, parse) => {
      const text = textOf(name, read(delivery, parse));
      if (as === "text") return done(200, TEXT, text);
      const field = as.slice(as.indexOf(":") + 1);
      if (as.startsWith("json:")) return done(200, JSON_TYPE, JSON.stringify({ [field]: text }));
      return done(200, { ...TEXT, [field.toLowerCase()]: printableOf(name, text) }, "");
    };
  }
  if ("hashed" in answer) {
    const read = compilePlace(answer.hashed);
    const [plain, hashed] = answer.as;
    return async (delivery, parse) => {
      const token = textOf(name, read(delivery, parse));
      const secret = await context.secretOf(delivery);
      if (secret === undefined)
        throw new HookonceError("handshake_refused", `The ${name} is not signed with any of the secrets.`);
      const hash = new Bun.CryptoHasher("sha256", secret).update(token).digest("hex");
      return done(200, JSON_TYPE, JSON.stringify({ [plain]: token, [hashed]: hash }));
    };
  }
  if ("signed" in answer) {
    const read = compilePlace(answer.signed);
    return (delivery, parse) => {
      const text = context.answerChallenge(textOf(name, read(delivery, parse)));
      if (text !== undefined) return done(200, TEXT, text);
      throw new HookonceError("handshake_refused", `The ${name} is not one that the provider sends.`);
    };
  }
  if ("show" in answer) {
    const read = compilePlace(answer.show);
    let logged = 0;
    return async (delivery, parse) => {
      const text = printableOf(name, textOf(name, read(delivery, parse)));
      const refusal = await context.refusalWith(text, delivery);
      // Without a signature it is accepted, too.
      if (refusal !== undefined && refusal.code !== "signature_missing") throw refusal;
      const isKnown = shown.delete(text);
      shown.add(text);
      const [oldest] = shown;
      if (oldest !== undefined && shown.size > MAX_SHOWN) shown.delete(oldest);
      if (isKnown || logged === MAX_SHOWN) return done(200, TEXT, "");
      return { ...done(200, TEXT, ""), secret: { text, last: ++logged === MAX_SHOWN } };
    };
  }
  if ("confirm" in answer) {
    const read = compilePlace(answer.confirm);
    return async (delivery, parse) => {
      const url = checkPinned(read(delivery, parse), answer.host, name);
      await fetchPinned(context.fetch, url.href, name);
      return done(200, TEXT, "");
    };
  }
  const { status, json, contentType } = answer;
  const headers = contentType === undefined ? JSON_TYPE : { "content-type": contentType };
  const body = json === undefined ? "" : JSON.stringify(json);
  return () => done(status, headers, body);
}

function printableOf(name: string, text: string): string {
  if (PRINTABLE.test(text)) return text;
  throw new HookonceError(
    "handshake_refused",
    `The ${name} is refused: it contains more than printable ASCII characters.`,
  );
}

function textOf(name: string, value: unknown): string {
  if (typeof value === "string" && value.length <= MAX_ECHO) return value;
  throw new HookonceError(
    "handshake_refused",
    `The ${name} has no text, or too long a text, in the expected place.`,
  );
}
