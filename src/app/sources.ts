import { CONFIG_FILE, type ConfiguredSource, type SecretNeeds } from "../config/load.ts";
import { HookonceError, messageOf, type Problem } from "../errors.ts";
import type { Clock, Fetch } from "../providers/context.ts";
import { providers } from "../providers/presets.ts";
import { signerOf, type Provider } from "../providers/provider.ts";
import { kindOf } from "../providers/schemes.ts";
import { createSource, learnsSecret, type Source, type SourceSettings } from "../providers/source.ts";
import { handshakeProblems, withHandshakes } from "./handshakes.ts";
import { heldReplyOf, heldReplyProblems } from "./held-replies.ts";
import { standsIn } from "./missing-keys.ts";
import { pointlessKeys, type KeyedMessage } from "./pointless-keys.ts";
import { weakSecrets } from "./weak-secrets.ts";

/** What the config must know about each provider. */
export const secretNeeds: ReadonlyMap<string, SecretNeeds> = new Map(
  [...providers].map(([name, provider]) => [
    name,
    {
      secret: !kindOf(provider.scheme).needsSecret ? "never" : learnsSecret(provider) ? "later" : "always",
      isSigned: kindOf(provider.scheme).proof !== "none",
      isPublicKey: kindOf(provider.scheme).proof === "key-pair",
      aliases: provider.aliases ?? [],
    },
  ]),
);

/** Creates the sources of the config. Problems are collected instead of thrown. */
export function createSources(
  configured: readonly ConfiguredSource[],
  clock: Clock,
  fetch?: Fetch,
  /** False if the sources only read what is stored. They then need no secrets. */
  receives = true,
): { sources: Map<string, Source>; problems: Problem[] } {
  const sources = new Map<string, Source>();
  const problems: Problem[] = [];
  for (const source of configured) {
    const provider = providers.get(source.provider);
    if (provider === undefined) continue; // config/source-checks.ts has reported it
    const settings = settingsOf(source, provider, configured);
    const scheme = settings.scheme ?? provider.scheme;
    const pointless = pointlessKeys(source, settings.provider, scheme);
    const untold = untoldTests(source, settings.provider);
    const wrong = handshakeProblems(source.handshake, source.verifyToken);
    const held = heldReplyProblems(source, settings.provider);
    const weak = receives ? weakSecrets(source, scheme) : [];
    for (const { key, message } of weak)
      problems.push({
        file: CONFIG_FILE,
        line: source.lineOf(key),
        message: `sources.${source.name}.${key}: ${message}`,
      });
    for (const { key, message } of [...pointless, ...untold, ...wrong, ...held])
      problems.push(problemOf(source, message, key));
    try {
      const heldReply = held.length === 0 ? heldReplyOf(source) : undefined;
      sources.set(source.name, createSource({ ...settings, heldReply, receives }, clock, fetch));
    } catch (error) {
      if (!(error instanceof HookonceError)) throw error;
      problems.push(problemOf(source, messageOf(error), keyAtFault(source, error)));
    }
  }
  return { sources, problems };
}

/** `test_events` for a provider that does not mark tests. */
function untoldTests({ test_events: tests }: ConfiguredSource, provider: Provider): KeyedMessage[] {
  if (tests === undefined || provider.testMarks !== undefined) return [];
  const names = [...providers.values()].filter(({ testMarks }) => testMarks !== undefined);
  const message = `test_events = "${tests}" has no effect: hookonce does not know how ${signerOf(provider)} marks a test. It knows this for ${names.map(({ name }) => name).join(", ")}. Remove test_events, and use a source with another secret for tests`;
  return [{ key: "test_events", message }];
}

/** A public key may be in the table that describes the signature. */
function keyAtFault({ secretNames }: ConfiguredSource, { key }: HookonceError): string | undefined {
  return key === "secret" && secretNames.length === 0 ? "signature.public_key" : key;
}

function problemOf({ name, lineOf }: ConfiguredSource, message: string, key?: string): Problem {
  const line = lineOf(...(key?.split(".") ?? []));
  return { file: CONFIG_FILE, line, message: `sources.${name}: ${message}` };
}

/**
 * Returns the settings of a source: its provider's preset, changed by the config.
 *
 * @param all the sources of the config, this one included
 */
export function settingsOf(
  source: ConfiguredSource,
  preset: Provider,
  all: readonly ConfiguredSource[],
): SourceSettings {
  const provider = withHandshakes(preset, source.handshake);
  return {
    name: source.name,
    provider,
    secrets: source.secrets,
    scheme: kindOf(provider.scheme).configure(provider.scheme, source),
    eventId: source.event_id,
    type: source.type,
    batch: source.batch === undefined ? undefined : [source.batch].flat(),
    maxBody: source.max_body,
    allowPublic: source.allow_public,
    unhandled: source.unhandled,
    requireChange: source.require_change,
    sameBody: source.same_body,
    dedupWindow: source.dedup_window,
    newestWins: source.newest_wins,
    forward: source.forward,
    redact: source.redact,
    testEvents: source.test_events,
    retryFor: source.retry_for,
    holdAfter: source.hold_after,
    maxFailedAnswers: source.max_failed_answers,
    handlers: source.handlers,
    publicUrl: source.public_url,
    verifyToken: source.verifyToken,
    environment: source.environment,
    ...readsLike(source, provider, all),
  };
}

/**
 * A source that replaces another one during development reads ids, types and batches as the other one does.
 * Otherwise the shared handlers would not receive their events.
 */
function readsLike(
  source: ConfiguredSource,
  own: Provider,
  all: readonly ConfiguredSource[],
): Partial<SourceSettings> {
  if (!standsIn(source)) return {};
  const other = all.find(({ name }) => name === source.handlers);
  const preset = other === undefined ? undefined : providers.get(other.provider);
  if (other === undefined || preset === undefined) return {};
  const { scheme, eventId, type, batch, maxBody } = settingsOf(other, preset, all);
  const { formField, earlierEventIds = [], testMarks } = preset;
  return {
    provider: {
      ...own,
      ...(formField === undefined ? {} : { formField }),
      ...(testMarks === undefined ? {} : { testMarks }),
      eventId: preset.eventId,
      earlierEventIds,
    },
    readAs: scheme,
    eventId,
    type: type ?? preset.type,
    batch: batch ?? preset.batch,
    maxBody: source.max_body ?? maxBody ?? preset.maxBody,
  };
}
