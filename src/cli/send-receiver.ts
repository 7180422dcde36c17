import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { heldReplyOf, heldReplyProblems } from "../app/held-replies.ts";
import { secretNeeds, settingsOf } from "../app/sources.ts";
import {
  CONFIG_FILE,
  readConfig,
  sourceInvalid,
  type ConfiguredSource,
  type ReadConfig,
} from "../config/load.ts";
import type { DatabaseLocation } from "../config/location.ts";
import { nearest } from "../config/nearest.ts";
import { createSecretLookup } from "../config/secrets.ts";
import { usableSettings } from "../config/usable-settings.ts";
import { HookonceError } from "../errors.ts";
import { providers } from "../providers/presets.ts";
import type { Provider } from "../providers/provider.ts";
import { kindOf } from "../providers/schemes.ts";
import type { SourceSettings } from "../providers/source.ts";
import { UsageError } from "./usage-error.ts";

/** The flags of `send` that decide where it delivers. */
export interface ReceiverFlags {
  /** The inbox folder. */
  readonly folder: string;
  readonly to?: string;
  readonly source?: string;
  readonly secret?: string;
  readonly publicUrl?: string;
}

/** Where `send` delivers, and as which provider. */
export interface Receiver {
  /** The provider whose events are made up. */
  readonly provider: Provider;
  readonly settings: SourceSettings;
  readonly to: string;
  /** Undefined if the receiver is not a source of the inbox folder. */
  readonly inbox: { readonly source: string; readonly database: DatabaseLocation | null } | undefined;
}

/**
 * Finds the receiver: the source of this name, else the only source of the provider of this name, else the
 * provider's preset with --to. One source is enough, whatever is wrong with the others.
 *
 * @throws UsageError
 * @throws HookonceError `config_invalid`
 */
export function receiverOf(name: string, flags: ReceiverFlags): Receiver {
  const provider = providers.get(name);
  const read = readFolder(flags);
  const written = (read?.written ?? []).map(([one]) => one);
  if (flags.source !== undefined) {
    if (provider === undefined) throw new UsageError(unknown(name, [...providers.keys()]));
    return ofSource(existing(flags.source, read, flags), read, flags, provider);
  }
  if (written.includes(name)) return ofSource(name, read, flags);
  if (provider === undefined) throw new UsageError(unknown(name, [...written, ...providers.keys()]));
  const ofProvider = (read?.written ?? []).filter(([, source]) => source["provider"] === name);
  const [first, ...others] = ofProvider.map(([one]) => one);
  if (first !== undefined && others.length === 0) return ofSource(first, read, flags);
  if (first !== undefined)
    throw new UsageError(
      `several sources receive from ${provider.title}: ${[first, ...others].join(", ")}. Name one of them: hookonce send ${first}`,
    );
  if (flags.to === undefined)
    throw new UsageError(
      read === null
        ? "no receiver: use --to URL, or --folder for an inbox folder with a source"
        : `no receiver: no source receives from ${provider.title}. To add one: hookonce add ${name}. To deliver elsewhere: --to URL`,
    );
  const secrets = flags.secret === undefined ? [] : [lookUp(flags, flags.secret)];
  const settings = { name, provider, secrets, publicUrl: flags.publicUrl };
  return { provider, settings, to: flags.to, inbox: undefined };
}

/** Null if the folder is not an inbox folder. */
function readFolder(flags: ReceiverFlags): ReadConfig | null {
  const folder = resolve(flags.folder);
  if (flags.source === undefined && !existsSync(join(folder, CONFIG_FILE))) return null;
  return readConfig(folder, secretNeeds, process.env);
}

function existing(name: string, read: ReadConfig | null, { folder }: ReceiverFlags): string {
  const names = (read?.written ?? []).map(([one]) => one);
  if (names.includes(name)) return name;
  throw new HookonceError(
    "config_invalid",
    `There is no source "${name}" in ${join(folder, CONFIG_FILE)}. Its sources are ${names.join(", ")}.`,
  );
}

function ofSource(name: string, read: ReadConfig | null, flags: ReceiverFlags, as?: Provider): Receiver {
  const { config } = read as ReadConfig;
  // With --secret, the source's own one may be missing.
  const { sources, problems } =
    flags.secret === undefined ? (read as ReadConfig) : readConfig(resolve(flags.folder), secretNeeds, null);
  const source = sources.find((one) => one.name === name);
  const preset = source === undefined ? undefined : providers.get(source.provider);
  if (source === undefined || preset === undefined) throw sourceInvalid(name, { problems });
  const { listen, database } = config ?? usableSettings(resolve(flags.folder));
  const host = listen.hostname.includes(":") ? `[${listen.hostname}]` : listen.hostname;
  const to = flags.to ?? `http://${host}:${listen.port}/webhook/${name}`;
  const configured = settingsOf(source, preset, sources);
  const secrets = flags.secret === undefined ? configured.secrets : [lookUp(flags, flags.secret)];
  return {
    provider: as ?? standsFor(source, sources) ?? preset,
    settings: {
      ...configured,
      secrets,
      publicUrl: flags.publicUrl ?? configured.publicUrl,
      heldReply: heldReplyProblems(source, preset).length === 0 ? heldReplyOf(source) : undefined,
    },
    to,
    inbox: { source: name, database },
  };
}

/** An unsigned source that shares another one's handlers receives that one's events during development. */
function standsFor(
  { provider, handlers }: ConfiguredSource,
  sources: readonly ConfiguredSource[],
): Provider | undefined {
  const own = providers.get(provider);
  if (own === undefined || kindOf(own.scheme).proof !== "none") return undefined;
  return providers.get(sources.find(({ name }) => name === handlers)?.provider ?? "");
}

function unknown(name: string, known: readonly string[]): string {
  const byAlias = nearest(name, providers, "");
  const remedy = nearest(name, known, byAlias || "for the list of providers: hookonce providers");
  return `"${name}" is neither a source nor a provider; ${remedy}`;
}

/** @throws HookonceError `config_invalid` */
export function lookUp({ folder }: ReceiverFlags, reference: string): string {
  const looked = createSecretLookup(resolve(folder), process.env)(reference);
  if ("secret" in looked) return looked.secret;
  throw new HookonceError("config_invalid", `${looked.problem}.`);
}
