import { closest } from "fastest-levenshtein";
import type { Environment } from "../config/secrets.ts";
import { HookonceError, messageOf } from "../errors.ts";
import type { Delivery, Identity } from "../event.ts";
import type { Fetch } from "../providers/context.ts";
import { readable } from "../providers/body/form.ts";
import type { Handshake, HandshakeMethod } from "../providers/handshake.ts";
import { REDACTED } from "../providers/body/secret-spellings.ts";
import { kindOf } from "../providers/schemes.ts";
import { createSource, type Source, type SourceSettings } from "../providers/source.ts";
import { ageIn } from "./age.ts";
import { diagnose } from "./diagnose.ts";
import { contentFinding } from "./hints.ts";
import type { Diagnosis, NamedSecret, Rejection } from "./diagnosis.ts";

export interface InboxToDiagnose {
  /** Every source of the inbox. */
  readonly sources: readonly SourceSettings[];
  /** The name of the source that the delivery was sent to. */
  readonly source: string;
  /** What is in the inbox folder's `.env`. */
  readonly dotEnv: Environment;
  /** The time to verify at, in Unix milliseconds. */
  readonly nowMs: number;
  readonly fetch: Fetch;
  /** Why `serve` refused it. Some signatures are not kept, so that only `serve` could verify them. */
  readonly refused?: Pick<HookonceError, "code" | "message"> | undefined;
  /** Lines of hookonce's own JSON log. */
  readonly log?: string | undefined;
}

export interface InboxDiagnosis extends Diagnosis {
  /** The handshake's name, such as `URL verification`, if the delivery is one and so carries no event. */
  readonly handshake: string | undefined;
  /** The events that a verified delivery carries, or why they cannot be identified. */
  readonly events: readonly string[];
}

/**
 * Diagnoses a delivery that was sent to an inbox, including handshakes and the ids of its events.
 *
 * @throws HookonceError `unknown_source`
 */
export async function diagnoseInInbox(delivery: Delivery, inbox: InboxToDiagnose): Promise<InboxDiagnosis> {
  const { sources, nowMs, fetch, log } = inbox;
  const source = sources.find(({ name }) => name === inbox.source);
  if (source === undefined)
    throw noSource(
      inbox.source,
      sources.map(({ name }) => name),
    );
  const ready = startedSource(source, nowMs);
  const unsigned = await handshakeIn(delivery, ready, methodIn(delivery, ready) ?? "unsigned");
  const diagnosis = await diagnose(delivery, source, {
    nowMs,
    fetch,
    sources,
    otherSecrets: unusedSecrets(inbox),
    rejections: log === undefined ? [] : readRejections(log, source.name),
    handshake: unsigned,
    refused:
      unsigned === undefined
        ? (refusedHandshake(delivery, ready) ?? keptRefusal(delivery, source, inbox))
        : undefined,
  });
  if (unsigned !== undefined || !diagnosis.verified) return { ...diagnosis, handshake: unsigned, events: [] };
  const kept = ready instanceof HookonceError ? delivery : keptOf(delivery, ready);
  const signed = await handshakeIn(kept, ready, "signed");
  if (signed !== undefined) return { ...diagnosis, handshake: signed, events: [] };
  const events = eventsIn(kept, ready);
  const refusal = events.find((one) => one instanceof HookonceError);
  const finding = refusal === undefined ? undefined : contentFinding(refusal, shapeOf(kept, ready));
  return {
    ...diagnosis,
    findings: finding === undefined ? [] : [finding],
    handshake: undefined,
    events: events.map((event) => inWords(event, ready)),
  };
}

function refusedHandshake(delivery: Delivery, source: Source | HookonceError): HookonceError | undefined {
  const method = methodIn(delivery, source);
  if (method === undefined || source instanceof HookonceError) return undefined;
  return new HookonceError("handshake_refused", source.handshakes?.whyNone(delivery, method) ?? "");
}

/** The refusal that `serve` gave, if the signature was not kept. */
function keptRefusal(
  { headers }: Delivery,
  { scheme, provider }: SourceSettings,
  { refused }: InboxToDiagnose,
): HookonceError | undefined {
  const kind = kindOf(scheme ?? provider.scheme);
  const header = kind.signatureHeader(scheme ?? provider.scheme)?.header ?? "";
  const isKept = kind.redactSignature === undefined || headers[header]?.includes(REDACTED) !== true;
  return refused === undefined || isKept ? undefined : new HookonceError(refused.code, refused.message);
}

/**
 * The source as `serve` creates it, or the error with which `serve` would not start. It cannot fetch, so that
 * a diagnosis never confirms a handshake at the provider.
 */
function startedSource(settings: SourceSettings, nowMs: number): Source | HookonceError {
  try {
    return createSource(
      settings,
      () => nowMs,
      () => Promise.resolve(new Response()),
    );
  } catch (error) {
    if (error instanceof HookonceError) return error;
    throw error;
  }
}

/** Returns the name of the handshake that `serve` would answer, or undefined if it would answer none. */
async function handshakeIn(
  delivery: Delivery,
  source: Source | HookonceError,
  on: Handshake["on"],
): Promise<string | undefined> {
  if (source instanceof HookonceError) return undefined;
  try {
    const done = await source.handshakes?.[on]?.(delivery, () => source.parse(delivery));
    return done?.handshake;
  } catch (error) {
    if (error instanceof HookonceError) return undefined;
    throw error;
  }
}

/**
 * The method, if `serve` would treat the delivery as a handshake, valid or not, and not look for a signature.
 */
function methodIn({ method }: Delivery, source: Source | HookonceError): HandshakeMethod | undefined {
  if (source instanceof HookonceError) return undefined;
  return source.handshakes?.methods.find((one) => one === method);
}

export function noSource(name: string, names: readonly string[]): HookonceError {
  const hint =
    names.length === 0
      ? "it has no sources"
      : `did you mean ${closest(name, names)}? Its sources are ${names.join(", ")}`;
  return new HookonceError("unknown_source", `There is no source "${name}" in hookonce.toml: ${hint}.`);
}

/** Secrets in `.env` that no source uses, such as an old one or the one of `stripe listen`. */
function unusedSecrets({ sources, dotEnv }: InboxToDiagnose): NamedSecret[] {
  const used = new Set(sources.flatMap(({ secrets }) => secrets));
  return Object.entries(dotEnv).flatMap(([name, secret]) =>
    secret === undefined || secret === "" || used.has(secret) ? [] : [{ name: `${name} in .env`, secret }],
  );
}

/** The rejections of one source in a log, the oldest first. Lines that hookonce did not write are skipped. */
export function readRejections(log: string, source: string): Rejection[] {
  return log.split("\n").flatMap((line) => {
    if (!line.includes('"rejected"')) return [];
    const read = readLine(line);
    if (read?.["outcome"] !== "rejected" || read["source"] !== source) return [];
    return [{ code: String(read["code"]), ageS: ageIn(String(read["cause"])) }];
  });
}

function readLine(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** The delivery as its events are read from it. */
function keptOf(delivery: Delivery, source: Source): Delivery {
  const read = readable(delivery);
  const redacted = source.redactBody?.(read) ?? read;
  return source.keepQuery?.(redacted) ?? redacted;
}

/** The events of a delivery, or why it is refused although it is verified. */
function eventsIn(delivery: Delivery, source: Source | HookonceError): readonly (Identity | HookonceError)[] {
  try {
    if (source instanceof HookonceError) throw source;
    return source.split?.(delivery) ?? [source.identify(delivery)];
  } catch (error) {
    if (error instanceof HookonceError) return [error];
    throw error;
  }
}

/** How many keys of a body are named, and how many characters of each. */
const MAX_KEYS = 20;
const MAX_KEY = 40;

/** What is at the top of the body, in words. */
function shapeOf(delivery: Delivery, source: Source | HookonceError): string | undefined {
  if (source instanceof HookonceError) return undefined;
  const { payload } = source.parse(delivery);
  if (Array.isArray(payload)) return `The body is a list of ${payload.length}.`;
  if (typeof payload !== "object" || payload === null) return undefined;
  const keys = Object.keys(payload);
  if (keys.length === 0) return "The body has no keys.";
  const more = keys.length > MAX_KEYS ? `, and ${keys.length - MAX_KEYS} more` : "";
  const named = keys.slice(0, MAX_KEYS).map((key) => key.slice(0, MAX_KEY));
  return `The body has ${keys.length === 1 ? "the key" : "the keys"} ${named.join(", ")}${more}.`;
}

function inWords(event: Identity | HookonceError, source: Source | HookonceError): string {
  if (event instanceof HookonceError) return `none: ${messageOf(event)} [${event.code}]`;
  if (event.type !== "") return `${event.id}, ${event.type}`;
  const place = source instanceof HookonceError ? undefined : source.typePlace;
  return `${event.id}, ${place === undefined ? "no type" : `no type: this source looks for it at ${place}, but nothing is there`}`;
}
