import packageJson from "../../package.json" with { type: "json" };
import type { Config } from "../config/load.ts";
import type { Handlers, Health, Reader } from "../engines/engine.ts";
import { HookonceError, messageOf } from "../errors.ts";
import type { ServingJson, StatusJson } from "../http/admin/shapes.ts";
import { pathsOf } from "../http/paths.ts";
import type { Source } from "../providers/source.ts";
import { store } from "./store.ts";

/** A count of owed events stops here. */
const OWED_CAP = 10_000;

export interface StatusSubject {
  readonly config: Pick<Config, "database">;
  readonly sources: ReadonlyMap<string, Source>;
  readonly handlers: () => Handlers;
  readonly reader: () => Promise<Pick<Reader, "owedByType">>;
  /** Null if no `serve` is running. */
  readonly serving: ServingJson | null;
}

/** The state of an inbox. */
export async function statusOf(subject: StatusSubject): Promise<Omit<StatusJson, "actor">> {
  const { config, sources, handlers, reader, serving } = subject;
  const { database } = config;
  const { databaseBytes, logBytes, freeBytes } = store.diskUse(database);
  return {
    version: packageJson.version,
    now: Date.now(),
    serving,
    sources: [...sources.values()].map((source) => ({
      name: source.name,
      provider: source.provider.name,
      title: source.provider.title,
      docs: source.provider.docs,
      url: `${serving?.url ?? ""}${pathsOf(source)[0]}`,
      handlers: handlers()
        .files.filter((file) => file.source === source.handlersOf)
        .map(({ file }) => file),
    })),
    owed: await (await reader()).owedByType(OWED_CAP),
    owed_cap: OWED_CAP,
    disk: { database, database_bytes: databaseBytes, log_bytes: logBytes, free_bytes: freeBytes },
  };
}

/** Whether a delivery could be stored now, and what somebody should look after. */
export async function healthOf(
  probe: () => Promise<Health>,
): Promise<Pick<ServingJson, "ready" | "error" | "warnings">> {
  try {
    return { ready: true, error: null, warnings: (await probe()).warnings };
  } catch (error) {
    const code = error instanceof HookonceError ? error.code : "storage_failed";
    return { ready: false, error: { code, message: messageOf(error) }, warnings: [] };
  }
}
