import { closest } from "fastest-levenshtein";
import { resolve } from "node:path";
import { loadConfig } from "../config/load.ts";
import { readDotEnv, type Environment } from "../config/secrets.ts";
import { ageIn } from "../doctor/age.ts";
import { diagnose } from "../doctor/diagnose.ts";
import type { Diagnosis, NamedSecret, Rejection } from "../doctor/diagnosis.ts";
import { HookonceError, messageOf } from "../errors.ts";
import type { Delivery } from "../event.ts";
import type { Fetch } from "../providers/context.ts";
import { providers } from "../providers/presets.ts";
import { noHandshake, type Handshakes } from "../providers/handshake.ts";
import { createSource, type Source, type SourceSettings } from "../providers/source.ts";
import { secretNeeds, settingsOf } from "./sources.ts";

export interface DiagnosisOptions {
  readonly folder: string;
  /** The source's name. */
  readonly source: string;
  readonly environment: Environment;
  /** The time to verify at, in Unix milliseconds. */
  readonly nowMs: number;
  readonly fetch: Fetch;
  /** hookonce's own JSON lines. */
  readonly log?: string | undefined;
}

export interface InboxDiagnosis extends Diagnosis {
  /** What it is when it brings no event because it is a handshake: `URL verification`. */
  readonly handshake: string | undefined;
  /** What a verified delivery brings, or why that cannot be told. */
  readonly events: readonly string[];
}

/**
 * Looks at a delivery with the config of an inbox folder.
 *
 * @throws HookonceError `config_invalid`, `unknown_source`
 */
export async function diagnoseInInbox(
  delivery: Delivery,
  options: DiagnosisOptions,
): Promise<InboxDiagnosis> {
  const inboxFolder = resolve(options.folder);
  const config = loadConfig(inboxFolder, secretNeeds, options.environment);
  const sources = config.sources.flatMap((source) => {
    const provider = providers.get(source.provider);
    return provider === undefined ? [] : [settingsOf(source, provider, config.sources)];
  });
  const source = sources.find(({ name }) => name === options.source);
  if (source === undefined) throw noSource(options.source, sources);
  const ready = startedSource(source, options);
  const unsigned = await handshakeIn(delivery, ready, delivery.method === "GET" ? "GET" : "unsigned");
  const used = new Set(sources.flatMap(({ secrets }) => secrets));
  const diagnosis = await diagnose(delivery, source, {
    nowMs: options.nowMs,
    fetch: options.fetch,
    sources,
    otherSecrets: unusedSecrets(inboxFolder, used),
    rejections: options.log === undefined ? [] : readRejections(options.log, source.name),
    handshake: unsigned,
    refused: unsigned === undefined && asksByGet(delivery, ready) ? noHandshake() : undefined,
  });
  if (unsigned !== undefined || !diagnosis.verified) return { ...diagnosis, handshake: unsigned, events: [] };
  const kept = ready instanceof HookonceError ? delivery : (ready.redactBody?.(delivery) ?? delivery);
  const signed = await handshakeIn(kept, ready, "signed");
  return { ...diagnosis, handshake: signed, events: signed === undefined ? eventsIn(kept, ready) : [] };
}

/** As serve has it; the error where serve would not start with it. It fetches nothing: what is only looked at confirms nothing. */
function startedSource(settings: SourceSettings, { nowMs }: DiagnosisOptions): Source | HookonceError {
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

/** The name of the handshake that serve would answer; undefined where it is none, or none that would be answered. */
async function handshakeIn(
  delivery: Delivery,
  source: Source | HookonceError,
  on: keyof Handshakes,
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

/** Whether serve would take it for a handshake, good or bad, and look for no signature. */
function asksByGet({ method }: Delivery, source: Source | HookonceError): boolean {
  return method === "GET" && !(source instanceof HookonceError) && source.handshakes?.GET !== undefined;
}

function noSource(name: string, sources: readonly SourceSettings[]): HookonceError {
  const names = sources.map((source) => source.name);
  const hint =
    names.length === 0
      ? "there is none"
      : `did you mean ${closest(name, names)}? There are ${names.join(", ")}`;
  return new HookonceError("unknown_source", `There is no source "${name}" in hookonce.toml: ${hint}.`);
}

/** What stands in `.env` and no source names: an old secret, or that of `stripe listen`. */
function unusedSecrets(inboxFolder: string, used: ReadonlySet<string>): NamedSecret[] {
  return Object.entries(readDotEnv(inboxFolder)).flatMap(([name, secret]) =>
    secret === undefined || secret === "" || used.has(secret) ? [] : [{ name: `${name} in .env`, secret }],
  );
}

/** The rejections of one source among a log's lines, the oldest first. Lines that are none of hookonce's are passed over. */
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

/** Verified is not yet taken: it also needs an event id. */
function eventsIn(delivery: Delivery, source: Source | HookonceError): string[] {
  try {
    if (source instanceof HookonceError) throw source;
    const identified = source.split?.(delivery) ?? [source.identify(delivery)];
    return identified.map((one) =>
      one instanceof HookonceError
        ? `none: ${one.message} [${one.code}]`
        : `${one.id}${one.type === "" ? "" : `, ${one.type}`}`,
    );
  } catch (error) {
    if (error instanceof HookonceError) return [`none: ${messageOf(error)} [${error.code}]`];
    throw error;
  }
}
