import { resolve } from "node:path";
import { HookonceError } from "../errors.ts";
import type { RefusedJson, ShownSecretJson } from "../http/admin/shapes.ts";
import { connectAdmin } from "./apply.ts";

export interface LastRefused {
  /** The delivery that it refused last. Undefined if it has refused none since its start. */
  readonly refused: RefusedJson | undefined;
  /** The secrets that have arrived in handshakes. */
  readonly shown: readonly ShownSecretJson[];
}

/**
 * Asks the `serve` of an inbox folder what has gone wrong last.
 *
 * @param source undefined for any source
 * @throws HookonceError `not_serving` if no `serve` runs, `config_invalid`, `permission_denied`
 */
export async function lastRefused(folder: string, source: string | undefined): Promise<LastRefused> {
  const admin = await connectAdmin({ folder });
  if (admin === undefined)
    throw new HookonceError(
      "not_serving",
      `No hookonce serve is running on ${resolve(folder)}, and only a running one knows what it refused: it keeps that in memory. Start it and wait for the next delivery, or verify a saved request with --request.`,
    );
  await using client = admin;
  const of = source === undefined ? {} : { source };
  const { api } = client.client;
  const [refused] = await itemsIn<RefusedJson>(
    api.refused.$get({ query: { limit: "1", body: "true", ...of } }),
  );
  return { refused, shown: await itemsIn<ShownSecretJson>(api["shown-secrets"].$get({ query: of })) };
}

async function itemsIn<Item>(asked: Promise<{ json: () => Promise<unknown> }>): Promise<Item[]> {
  const body = (await (await asked).json()) as { items: Item[] } | { error: { message: string } };
  if ("error" in body) throw new HookonceError("invalid_request", body.error.message);
  return body.items;
}
