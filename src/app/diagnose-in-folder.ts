import { resolve } from "node:path";
import { loadConfig } from "../config/load.ts";
import { readDotEnv, type Environment } from "../config/secrets.ts";
import { diagnoseInInbox, type InboxDiagnosis, type InboxToDiagnose } from "../doctor/in-inbox.ts";
import type { Delivery } from "../event.ts";
import { providers } from "../providers/presets.ts";
import { secretNeeds, settingsOf } from "./sources.ts";

export interface FolderToDiagnose extends Omit<InboxToDiagnose, "sources" | "dotEnv"> {
  readonly folder: string;
  readonly environment: Environment;
}

/**
 * Diagnoses a delivery with the config of an inbox folder.
 *
 * @throws HookonceError `config_invalid`, `unknown_source`
 */
export async function diagnoseInFolder(
  delivery: Delivery,
  { folder, environment, ...options }: FolderToDiagnose,
): Promise<InboxDiagnosis> {
  const inboxFolder = resolve(folder);
  const config = loadConfig(inboxFolder, secretNeeds, environment);
  const sources = config.sources.flatMap((source) => {
    const provider = providers.get(source.provider);
    return provider === undefined ? [] : [settingsOf(source, provider, config.sources)];
  });
  return diagnoseInInbox(delivery, { ...options, sources, dotEnv: readDotEnv(inboxFolder) });
}
