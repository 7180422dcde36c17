import { isAbsolute } from "node:path";
import { readConfig } from "../config/load.ts";
import { nameOf, type FileLocation } from "../config/location.ts";
import { createSecretLookup } from "../config/secrets.ts";
import { usableSettings } from "../config/usable-settings.ts";
import { HookonceError } from "../errors.ts";
import { createJsonLogger } from "../logging/log.ts";
import { NOT_OPENED, type BackupOrder, type BackupStarted, type Opened } from "./backup-process.ts";
import { check } from "./check.ts";
import { openInbox } from "./open-inbox.ts";
import { attempt } from "./rehearse.ts";
import { createServices } from "./services.ts";
import { secretNeeds } from "./sources.ts";
import { storeOf } from "./store.ts";
import { unsignedSources, warnOfUnsigned } from "./unsigned-sources.ts";

/** Reads the whole database of an unpacked backup, and opens it as a start does. Nothing is received or sent. */
export async function startBackup({
  folder,
  database,
}: Pick<BackupOrder, "folder" | "database">): Promise<BackupStarted> {
  const examined = await (await storeOf(database)).examine();
  const opened = examined.problems.length > 0 ? NOT_OPENED : await open(folder, database);
  return { ...examined, ...opened };
}

async function open(folder: string, database: FileLocation): Promise<Opened> {
  const secrets = await secretsMissingIn(folder);
  const checked = await check(folder, {
    // Without all of them, no secret is looked at: the sources can then still read what is stored.
    environment: secrets.length === 0 ? {} : null,
    clock: Date.now,
    database,
    forStart: true,
  });
  const { config, sources, handlers, pending } = checked;
  const known = new Set(warnOfUnsigned(sources).map(({ message }) => message));
  const named = usableSettings(folder).database;
  const about = {
    warnings: checked.warnings.filter(({ message }) => !known.has(message)),
    pending,
    sources: [...sources.keys()],
    needs: {
      secrets,
      unsigned: unsignedSources(sources),
      database: named !== null && nameOf(named) !== nameOf(database),
    },
  };
  if (config === null || checked.problems.length > 0) return { ...about, startProblems: checked.problems };
  const services = createServices();
  try {
    await openInbox(services, {
      config: { ...config, database },
      sources,
      handlers,
      log: createJsonLogger("silent", () => {}),
      clock: Date.now,
      onFatal: () => {},
      lockWaitMs: 0,
      forCommand: true,
    });
    await services.stop();
    return { ...about, startProblems: [] };
  } catch (error) {
    if (!(error instanceof HookonceError)) throw error;
    const { problems, message } = error;
    return { ...about, startProblems: problems.length > 0 ? problems : [{ message }] };
  }
}

async function secretsMissingIn(folder: string): Promise<string[]> {
  // `check` reports a config that cannot be read.
  const read = await attempt([], () => readConfig(folder, secretNeeds, null));
  if (read === null) return [];
  const lookUp = createSecretLookup(folder, {});
  return [
    ...read.secretVariables.map((name) => `env:${name}`),
    ...read.secretFiles.map((path) => `file:${path}`),
  ].filter((reference) => isAbsolute(reference.slice("file:".length)) || "problem" in lookUp(reference));
}
