import { resolve } from "node:path";
import {
  CONFIG_FILE,
  readConfig,
  sourceInvalid,
  type ConfiguredSource,
  type ReadConfig,
} from "../config/load.ts";
import { readDotEnv, type Environment } from "../config/secrets.ts";
import type { Finding } from "../doctor/diagnosis.ts";
import { diagnoseInInbox, noSource, type InboxDiagnosis, type InboxToDiagnose } from "../doctor/in-inbox.ts";
import { diagnoseUnread } from "../doctor/unread.ts";
import { HookonceError } from "../errors.ts";
import type { Delivery } from "../event.ts";
import type { OutdatedJson } from "../http/admin/shapes.ts";
import { deliveryOf, type Refused } from "../http/refused.ts";
import { statuses } from "../http/statuses.ts";
import { providers } from "../providers/presets.ts";
import type { SourceSettings } from "../providers/source.ts";
import { secretNeeds, settingsOf } from "./sources.ts";

export interface FolderToDiagnose extends Omit<InboxToDiagnose, "sources" | "dotEnv"> {
  readonly folder: string;
  readonly environment: Environment;
}

export interface RefusedToDiagnose extends Omit<FolderToDiagnose, "source"> {
  /** What of a source has changed in the folder since `serve` read it. */
  readonly outdated: (source: ConfiguredSource) => Promise<readonly OutdatedJson[]> | readonly OutdatedJson[];
  /** When `serve` read it last, in Unix milliseconds. Undefined if that is not known. */
  readonly loadedAt?: number | undefined;
}

/**
 * Diagnoses a delivery with the config of an inbox folder. The other sources may have errors.
 *
 * @throws HookonceError `config_invalid`, `unknown_source`
 */
export async function diagnoseInFolder(
  delivery: Delivery,
  { folder, environment, ...options }: FolderToDiagnose,
): Promise<InboxDiagnosis> {
  const { sources, dotEnv } = readFolder(folder, environment, options.source);
  return diagnoseInInbox(delivery, { ...options, sources, dotEnv });
}

/**
 * Diagnoses a delivery that the running `serve` has refused, also if little of it was kept.
 *
 * @throws HookonceError `config_invalid`, `unknown_source`
 */
export async function diagnoseRefused(
  refused: Omit<Refused, "id">,
  { folder, environment, outdated, loadedAt = 0, ...options }: RefusedToDiagnose,
): Promise<InboxDiagnosis> {
  const { source } = refused;
  const { sources, dotEnv, configured, settings } = readFolder(folder, environment, source);
  const delivery = deliveryOf(refused);
  const read =
    delivery === undefined
      ? undefined
      : await diagnoseInInbox(delivery, { ...options, source, sources, dotEnv, refused });
  // Without its body, only what the headers refuse can be refused again.
  const isUnread = read === undefined || (refused.body === "not_read" && read.refusal?.code !== refused.code);
  const diagnosis = isUnread ? diagnoseUnread(refused, settings) : read;
  const { verified, findings } = diagnosis;
  const changed = (await outdated(configured)).map((part) => outdatedFinding(part, configured, verified));
  const isReloaded = changed.length === 0 && verified && loadedAt > refused.receivedAt;
  const old = isReloaded && statuses[refused.code] === 401 ? [reloadedFinding(loadedAt)] : changed;
  const isExplained = findings.some(({ proven }) => proven);
  return { ...diagnosis, findings: isExplained ? [...findings, ...old] : [...old, ...findings] };
}

function outdatedFinding(part: OutdatedJson, source: ConfiguredSource, verified: boolean): Finding {
  const { name, secretNames } = source;
  const what = {
    secret: `serve still has the old secret: the secret of the source ${name} has changed since serve started.`,
    verify_token: `serve still has the old verify token: that of the source ${name} has changed since serve started.`,
    settings: `serve still has the old settings: [sources.${name}] in ${CONFIG_FILE} has changed since serve started.`,
  }[part];
  const variables = secretNames
    .filter((one) => one.startsWith("env:"))
    .map((one) => one.slice("env:".length));
  const remedy =
    part === "secret" && variables.length > 0
      ? `Run hookonce reload. If that has not helped, then ${variables.join(" or ")} has another value in the environment of serve, which comes before .env.`
      : "Run hookonce reload.";
  return { cause: "outdated", proven: verified, what, remedy };
}

function reloadedFinding(loadedAt: number): Finding {
  return {
    cause: "reloaded",
    proven: true,
    what: `it was refused before the reload at ${new Date(loadedAt).toISOString()}. What verifies it, such as the secret, was loaded then.`,
    remedy: "Nothing is to be done: the next delivery is verified with what is loaded now.",
  };
}

interface ReadFolder extends Pick<InboxToDiagnose, "sources" | "dotEnv"> {
  readonly configured: ConfiguredSource;
  readonly settings: SourceSettings;
}

/** @throws HookonceError `config_invalid` with the errors of this source alone, `unknown_source` */
function readFolder(folder: string, environment: Environment, name: string): ReadFolder {
  const inboxFolder = resolve(folder);
  const read = readConfig(inboxFolder, secretNeeds, environment);
  const names = read.written.map(([one]) => one);
  if (!names.includes(name)) throw noSource(name, names);
  const configured = read.sources.find((one) => one.name === name);
  const settings = configured === undefined ? undefined : settingsIn(configured, read);
  if (configured === undefined || settings === undefined) throw sourceInvalid(name, read);
  const others = read.sources.filter((one) => one !== configured);
  const sources = [settings, ...others.flatMap((one) => settingsIn(one, read) ?? [])];
  return { sources, dotEnv: readDotEnv(inboxFolder), configured, settings };
}

/** Undefined if the source has an error. */
function settingsIn(source: ConfiguredSource, { sources }: ReadConfig): SourceSettings | undefined {
  const provider = providers.get(source.provider);
  if (provider === undefined) return undefined;
  try {
    return settingsOf(source, provider, sources);
  } catch (error) {
    if (error instanceof HookonceError) return undefined;
    throw error;
  }
}
