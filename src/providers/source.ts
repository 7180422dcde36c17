import type { Delivery, Head, Headers, Reply } from "../event.ts";
import { HookonceError } from "../errors.ts";
import { createQueryKeeping, parametersIn } from "./body/kept-query.ts";
import { createAdmission, maxUnverified, type Admission } from "./admission.ts";
import type { BatchPath } from "./body/batch.ts";
import type { Clock, Fetch, Verify, VerifyContext } from "./context.ts";
import { compileHandshakes, tokenParametersOf, type Handshakes } from "./handshake.ts";
import { decompress, parseBody, type Reading } from "./body/payload.ts";
import { fetchFound } from "./host-lookup.ts";
import { createIdentifier, type Identify } from "./identify.ts";
import type { Provider } from "./provider.ts";
import {
  createBodyRedaction,
  createHeaderRedaction,
  createRefusedHeaderRedaction,
  createRefusedUrlRedaction,
  createSecretHiding,
  createUrlRedaction,
} from "./body/redaction.ts";
import {
  createBatchSplit,
  createTypeOf,
  createPayloadOf,
  type BatchSplit,
  type StoredReads,
} from "./batch-split.ts";
import { compileTestMarks, type IsTest } from "./test-marks.ts";
import { dedupWindowOf } from "./dedup-window.ts";
import { compileForwards, type Forward, type ForwardRule } from "./forward.ts";
import { compileNewest, type NewestRule, type PlaceOf } from "./newest.ts";
import { canonical, compileSelector, inWords, type Selector } from "./body/selector.ts";
import { createRedaction, type Redaction } from "./redact.ts";
import { kindOf, type Scheme } from "./schemes.ts";
import { coversUrl, refusalWith, secretOf, signsInBody } from "./verifier.ts";

/**
 * A source as the config has it, with its secrets looked up. The provider's preset is the default for every
 * key.
 */
export interface SourceSettings {
  readonly name: string;
  readonly provider: Provider;
  readonly secrets: readonly string[];
  /** False for a source that only reads what is stored. It needs no secret, and verifies no delivery. */
  readonly receives?: boolean | undefined;
  /** The preset's scheme, changed by the config. */
  readonly scheme?: Scheme | undefined;
  /** The scheme of the source that this one replaces during development. It reads bodies in the same way. */
  readonly readAs?: Scheme | undefined;
  readonly eventId?: Selector | undefined;
  readonly type?: Selector | undefined;
  readonly batch?: readonly BatchPath[] | undefined;
  readonly maxBody?: number | undefined;
  readonly allowPublic?: boolean | undefined;
  readonly unhandled?: "record" | "ignore" | "fail" | undefined;
  readonly requireChange?: boolean | undefined;
  readonly sameBody?: "duplicate" | undefined;
  /** In milliseconds. */
  readonly dedupWindow?: number | undefined;
  readonly newestWins?: readonly NewestRule[] | undefined;
  readonly forward?: readonly ForwardRule[] | undefined;
  /** Paths of values that are replaced once they are not needed any more. */
  readonly redact?: readonly string[] | undefined;
  /** In milliseconds. */
  readonly retryFor?: number | undefined;
  readonly holdAfter?: number | undefined;
  readonly maxFailedAnswers?: number | undefined;
  /** The source whose handlers this one shares. */
  readonly handlers?: string | undefined;
  /** The URL that the provider was given. */
  readonly publicUrl?: string | undefined;
  /** Looked up like a secret. */
  readonly verifyToken?: string | undefined;
  readonly testEvents?: TestEvents | undefined;
  readonly heldReply?: Reply | undefined;
  readonly environment?: "production" | "sandbox" | undefined;
}

/** What to do with test events. */
export type TestEvents = "accept" | "ignore" | "refuse";

/** A source that is ready to receive. */
export interface Source extends StoredReads {
  readonly name: string;
  readonly provider: Provider;
  /** The source whose handlers run; usually its own name. */
  readonly handlersOf: string;
  /** In bytes. */
  readonly maxBody: number;
  readonly testEvents: TestEvents;
  /** The answer to a delivery of an event that is held. Undefined: the provider's own. */
  readonly heldReply: Reply | undefined;
  /** Undefined if the provider does not mark tests. */
  readonly isTest: IsTest | undefined;
  /** An unsigned source that answers everyone, even without `serve --dev`. */
  readonly allowPublic: boolean;
  readonly unhandled: "record" | "ignore" | "fail";
  readonly requireChange: boolean;
  readonly sameBody: boolean;
  /**
   * How long an id that is made from the body means the same event, in milliseconds. Undefined: for ever.
   */
  readonly dedupWindowMs: number | undefined;
  /** The event's key and version. Undefined if the source has no `newest_wins`. */
  readonly placeOf: PlaceOf | undefined;
  /** Where its events are sent on. */
  readonly forwards: readonly Forward[];
  /** How long hookonce runs a failed event again by itself, in milliseconds. */
  readonly retryForMs: number;
  /** How many failures in a row pause the source. Undefined: none do. */
  readonly holdAfter: number | undefined;
  /** How many deliveries of one event are answered 500. Undefined: any number. */
  readonly maxFailedAnswers: number | undefined;
  /** How long the provider may retry a delivery, in milliseconds. */
  readonly retryWindowMs: number;
  /**
   * Two sources have the same text here if and only if they have the same rule for event ids. How parts are
   * joined is not in it: that changes with hookonce, not with the config, and must not refuse a start.
   */
  readonly eventIdRule: string;
  /** What the config has instead of the preset's rules. */
  readonly ownRules: Pick<SourceSettings, "eventId" | "type" | "batch">;
  /** Where the config says that the type is, in words. Undefined if the preset's rule is used. */
  readonly typePlace: string | undefined;
  /** The rules that earlier versions of its preset had, in the same form. */
  readonly earlierRules: readonly string[];
  /**
   * Refuses what the headers alone can refuse: the size, the type and the missing or malformed signature.
   *
   * @throws HookonceError
   */
  readonly admit: (head: Head) => Admission;
  /** Throws or rejects unless the provider sent the delivery. The error's code says why. */
  readonly verify: Verify;
  /**
   * Which of its secrets a verified delivery is signed with, by its index. With several, it is verified once
   * more. Undefined if that cannot be known.
   */
  readonly matchedSecret: (delivery: Delivery) => Promise<number | undefined>;
  readonly parse: Reading;
  readonly identify: Identify;
  /**
   * Takes a delivery apart, if the source's deliveries carry several events. An event that cannot be
   * identified is returned as the error that says why.
   */
  readonly split: BatchSplit | undefined;
  readonly handshakes: Handshakes | undefined;
  /**
   * Keeps the parameters of the query that ids and types are read from. Identify and split what it returns.
   * Undefined if there are none.
   */
  readonly keepQuery: ((delivery: Delivery) => Delivery) | undefined;
  /** Replaces secrets in the body, before it is stored or passed on. Undefined if there can be none. */
  readonly redactBody: ((delivery: Delivery) => Delivery) | undefined;
  /** Replaces the values that `redact` names in what is stored. Undefined if it names none. */
  readonly redaction: Redaction | undefined;
  /** The headers as they may be stored: names in lower case, secrets replaced. */
  readonly keepableHeaders: (headers: Headers) => Headers;
  /** The same with what the doctor needs. They are kept only in memory. */
  readonly headersForDoctor: (headers: Headers) => Headers;
  /** The path and query of a refused delivery as they may be shown. */
  readonly urlForDoctor: (url: string) => string;
  /** Replaces the source's secrets in text that is shown, such as the path of another request. */
  readonly hideSecrets: (text: string) => string;
}

const MIB = 1024 * 1024;

/** Fails closed: nothing is routed to a source without secrets. */
function refuseAll(): never {
  throw new HookonceError("signature_mismatch", "This source receives no deliveries.");
}

/**
 * @param fetch for the keys and certificates of the few providers that publish theirs
 * @throws HookonceError `config_invalid`
 */
export function createSource(settings: SourceSettings, clock: Clock, fetch: Fetch = fetchFound): Source {
  const { provider, secrets, receives = true } = settings;
  const scheme = settings.scheme ?? provider.scheme;
  const maxBody = maxBodyOf(settings);
  const eventId = settings.eventId ?? provider.eventId;
  const batch = settings.batch ?? provider.batch;
  const type = settings.type ?? provider.type;
  const kind = kindOf(scheme);
  const parse = readingOf(settings);
  const signatureInBody = signsInBody(scheme);
  const { newestWins = [] } = settings;
  const parameters = keptParameters(settings);
  const secretIn = kind.signatureParameter(scheme);
  if (secretIn !== undefined && parameters.includes(secretIn)) {
    throw new HookonceError(
      "config_invalid",
      `event_id or type is query:${secretIn}, which holds the secret and is never stored: read it from elsewhere.`,
      { key: parametersIn([eventId]).includes(secretIn) ? "event_id" : "type" },
    );
  }
  // An id rule in the config replaces all of the preset's.
  const earlier = settings.eventId === undefined ? (provider.earlierEventIds ?? []) : [];
  const identify = createIdentifier(eventId, earlier, compileSelector(type, "skip"), parse);
  if (receives && secrets.length === 0 && kind.needsSecret && !learnsSecret(provider))
    throw new HookonceError("config_invalid", "A signed source needs a secret.");
  const urlOf = createUrlOf(scheme, settings.publicUrl);
  const context = createVerifyContext(settings, { secrets, clock, fetch, urlOf });
  const handshakes = compileHandshakes(provider.handshakes, {
    secrets,
    fetch,
    verifyToken: settings.verifyToken,
    // While a secret is replaced, the first one is the current one.
    answerChallenge: (challenge) =>
      secrets[0] === undefined ? undefined : kind.answerChallenge(scheme, challenge, secrets[0]),
    secretOf: (delivery) => secretOf(delivery, scheme, context),
    refusalWith: (secret, delivery) => refusalWith(secret, delivery, scheme, context),
  });
  const split = batch === undefined ? undefined : createBatchSplit(batch, identify, parse);
  const hidden = [...secrets, ...(settings.verifyToken === undefined ? [] : [settings.verifyToken])];
  return {
    name: settings.name,
    provider,
    handlersOf: settings.handlers ?? settings.name,
    maxBody,
    testEvents: settings.testEvents ?? "accept",
    isTest: provider.testMarks === undefined ? undefined : compileTestMarks(provider.testMarks),
    allowPublic: settings.allowPublic === true,
    unhandled: settings.unhandled ?? "record",
    requireChange: settings.requireChange ?? false,
    sameBody: settings.sameBody === "duplicate",
    dedupWindowMs: dedupWindowOf(settings, scheme),
    placeOf: newestWins.length === 0 ? undefined : compileNewest(newestWins),
    forwards: compileForwards(settings.forward ?? []),
    retryForMs: settings.retryFor ?? provider.retryForMs ?? 0,
    holdAfter: settings.holdAfter,
    maxFailedAnswers: settings.maxFailedAnswers,
    heldReply: settings.heldReply,
    retryWindowMs: provider.retryWindowMs,
    eventIdRule: ruleOf(eventId, batch),
    ownRules: { eventId: settings.eventId, type: settings.type, batch: settings.batch },
    typePlace: settings.type === undefined ? undefined : inWords(settings.type),
    earlierRules: earlier.map((rule) => ruleOf(rule, batch)),
    admit: createAdmission({
      maxBody,
      maxOther: settings.maxBody ?? (signatureInBody ? Math.min(maxBody, MIB) : maxBody),
      checkHeaders: receives ? kind.createHeaderCheck(scheme, context) : refuseAll,
      signatureInBody,
      handshakes,
    }),
    verify: receives ? kind.createVerifier(scheme, context) : refuseAll,
    async matchedSecret(delivery) {
      if (secrets.length <= 1) return secrets.length === 1 ? 0 : undefined;
      const index = secrets.indexOf((await secretOf(delivery, scheme, context)) ?? "");
      return index === -1 ? undefined : index;
    },
    parse,
    identify,
    split,
    payloadOf: createPayloadOf(parse, split),
    typeOf: createTypeOf(identify, split),
    handshakes,
    keepQuery: createQueryKeeping(parameters, createUrlRedaction(scheme, secrets)),
    redactBody:
      kind.proof === "secret-sent" ? createBodyRedaction(secrets, provider.formField, maxBody) : undefined,
    redaction: createRedaction(settings, parse, split),
    keepableHeaders: createHeaderRedaction(provider, scheme, secrets),
    headersForDoctor: createRefusedHeaderRedaction(provider, scheme, hidden),
    urlForDoctor: createRefusedUrlRedaction(scheme, hidden, tokenParametersOf(provider)),
    hideSecrets: createSecretHiding(scheme, hidden),
  };
}

/** In bytes. */
export function maxBodyOf({ maxBody, provider }: Pick<SourceSettings, "maxBody" | "provider">): number {
  return maxBody ?? provider.maxBody ?? MIB;
}

/** How a source reads bodies that are verified. */
export function readingOf(settings: SourceSettings): Reading {
  const { provider, scheme = provider.scheme, readAs = scheme } = settings;
  const maxBody = maxBodyOf(settings);
  return kindOf(readAs).reading(readAs, (delivery) => parseBody(delivery, provider.formField, maxBody));
}

/** The parameters of the query that are stored, because an id, a type, a key or a version is read from them. */
export function keptParameters({ provider, eventId, type, newestWins = [] }: SourceSettings): string[] {
  const places = newestWins.flatMap(({ key, version }) => [key, version]);
  return parametersIn([eventId ?? provider.eventId, type ?? provider.type, ...places]);
}

/** What a source verifies with. The doctor verifies with the same, so that its verdict is that of `serve`. */
export function createVerifyContext(
  settings: SourceSettings,
  given: Pick<VerifyContext, "secrets" | "clock" | "fetch" | "urlOf">,
): VerifyContext {
  const { provider, scheme = provider.scheme, readAs = scheme } = settings;
  const limit = (body: Uint8Array): number => Math.min(maxBodyOf(settings), maxUnverified(body));
  return {
    ...given,
    parse: kindOf(readAs).reading(readAs, (delivery) =>
      parseBody(delivery, provider.formField, limit(delivery.body), false),
    ),
    decompress: (delivery) => decompress(delivery, limit(delivery.body)),
    batch: settings.batch ?? provider.batch,
    environment: settings.environment ?? "production",
    allowPublic: settings.allowPublic === true,
  };
}

function ruleOf(eventId: Selector, batch: readonly BatchPath[] | undefined): string {
  return JSON.stringify(batch === undefined ? canonical(eventId) : { batch, eventId: canonical(eventId) });
}

/**
 * Whether the provider sends its secret with its first request, so that the source must start without one.
 */
export function learnsSecret({ handshakes = [] }: Provider): boolean {
  return handshakes.some(({ answer }) => "show" in answer);
}

/** @throws HookonceError `config_invalid` if the signature covers the URL and public_url is missing */
export function createUrlOf(scheme: Scheme, publicUrl: string | undefined): VerifyContext["urlOf"] {
  if (publicUrl === undefined) {
    if (coversUrl(scheme)) {
      throw new HookonceError(
        "config_invalid",
        'public_url is missing: this provider signs the URL that it was given, and hookonce cannot know it. Write that URL, as in public_url = "https://your.host/webhook/NAME".',
      );
    }
    return ({ url }) => url;
  }
  // The query is taken from the request, because some providers add to it.
  const base = publicUrl.replace(/[?#].*$/, "");
  return ({ url }) => {
    const query = url.indexOf("?");
    return query === -1 ? base : base + url.slice(query);
  };
}
