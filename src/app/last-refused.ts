import { HookonceError } from "../errors.ts";
import type { RefusedJson } from "../http/admin/shapes.ts";
import { connectAdmin } from "./apply.ts";

/**
 * Asks the `serve` of an inbox folder for the delivery that it refused last.
 *
 * @param source undefined for any source
 * @returns undefined if it has refused none since its start
 * @throws HookonceError `not_serving` if no `serve` runs, `config_invalid`, `permission_denied`
 */
export async function lastRefused(
  folder: string,
  source: string | undefined,
): Promise<RefusedJson | undefined> {
  const admin = await connectAdmin({ folder });
  if (admin === undefined)
    throw new HookonceError(
      "not_serving",
      `No hookonce serve is running on ${folder}, and only a running one knows what it refused: it keeps that in memory. Start it and wait for the next delivery, or verify a saved request with --request.`,
    );
  await using client = admin;
  const query = { limit: "1", body: "true" as const, ...(source === undefined ? {} : { source }) };
  const response = await client.client.api.refused.$get({ query });
  const body = (await response.json()) as { items: RefusedJson[] } | { error: { message: string } };
  if ("error" in body) throw new HookonceError("invalid_request", body.error.message);
  return body.items[0];
}
