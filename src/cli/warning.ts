import { unknownType } from "../app/unknown-types.ts";
import type { Provider } from "../providers/provider.ts";
import { examples } from "../simulator/examples.ts";
import { complain } from "./terminal.ts";

/**
 * Warns of an event type that the provider does not seem to have.
 *
 * @returns whether it did
 */
export async function warnOfUnknownType(provider: Provider, type: string): Promise<boolean> {
  if (Object.hasOwn(examples.get(provider.name)?.untyped ?? {}, type)) return false;
  const unknown = await unknownType(provider, type);
  if (unknown !== undefined) complain(`warning: ${unknown}`);
  return unknown !== undefined;
}
