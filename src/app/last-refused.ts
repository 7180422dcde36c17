import { resolve } from "node:path";
import type { ConfiguredSource } from "../config/load.ts";
import { HookonceError } from "../errors.ts";
import type { OutdatedJson, RefusedJson, ShownSecretJson, StatusJson } from "../http/admin/shapes.ts";
import type { AdminClient } from "../http/admin/socket.ts";
import { hashesOf } from "./outdated.ts";
import { reachServeOf } from "./reach-serve.ts";

export interface LastRefused {
  /** The delivery that it refused last. Undefined if it has refused none since its start. */
  readonly refused: RefusedJson | undefined;
  /** The secrets that have arrived in handshakes. */
  readonly shown: readonly ShownSecretJson[];
  /** When it read its files last, in Unix milliseconds. Undefined if it is too old to say so. */
  readonly loadedAt: number | undefined;
  /** Asks it what of a source has changed in the inbox folder since then. It sends no secret. */
  readonly outdated: (source: ConfiguredSource) => Promise<readonly OutdatedJson[]>;
}

/**
 * Asks the `serve` of an inbox folder what has gone wrong last.
 *
 * @param source undefined for any source
 * @throws HookonceError `not_serving` if no `serve` runs, `serve_unreachable`, `config_invalid`,
 *   `permission_denied`
 */
export async function lastRefused(folder: string, source: string | undefined): Promise<LastRefused> {
  const { api } = await connect(resolve(folder));
  const of = source === undefined ? {} : { source };
  const [refused] = await itemsIn<RefusedJson>(
    api.refused.$get({ query: { limit: "1", body: "true", ...of } }),
  );
  return {
    refused,
    loadedAt: await loadedAt(api),
    shown: await itemsIn<ShownSecretJson>(api["shown-secrets"].$get({ query: of })),
    outdated: (configured) => {
      const salt = crypto.randomUUID();
      const query = { source: configured.name, salt, ...hashesOf(configured, salt) };
      return itemsIn<OutdatedJson>(api.outdated.$get({ query }));
    },
  };
}

async function loadedAt(api: AdminClient["api"]): Promise<number | undefined> {
  const response = await api.status.$get();
  return response.status === 200 ? ((await response.json()) as StatusJson).serving?.loaded_at : undefined;
}

async function connect(folder: string): Promise<AdminClient> {
  const client = await reachServeOf(folder);
  if (client !== undefined) return client;
  throw new HookonceError(
    "not_serving",
    `No hookonce serve is running on ${folder}, and only a running one knows what it refused: it keeps that in memory. Start it and wait for the next delivery, or verify a saved request with --request.`,
  );
}

async function itemsIn<Item>(
  asked: Promise<{ readonly status: number; json(): Promise<unknown> }>,
): Promise<Item[]> {
  const response = await asked;
  // It is an earlier version that was not restarted yet, and has no answer to this question.
  if (response.status === 404) return [];
  const body = (await response.json()) as { items: Item[] } | { error: { message: string } };
  if ("error" in body) throw new HookonceError("invalid_request", body.error.message);
  return body.items;
}
