import { CONFIG_FILE, type ReadConfig } from "../config/load.ts";
import { tableOf } from "../config/schema.ts";
import type { Problem } from "../errors.ts";
import { providers } from "../providers/presets.ts";
import { kindOf } from "../providers/schemes.ts";

type Table = Readonly<Record<string, unknown>>;

/**
 * Returns the missing keys for which the provider has no default. Reads the sources as they are written, so
 * that another mistake in a source does not hide them.
 */
export function missingKeys({ written, lineOf }: ReadConfig): Problem[] {
  return written.flatMap(([name, source]) => {
    const needs = standsIn(source) ? {} : providers.get(String(source["provider"]))?.needs;
    return Object.entries(needs ?? {})
      .filter(([key]) => !has(source, key))
      .map(([key, example]) => ({
        file: CONFIG_FILE,
        line: lineOf(name),
        message: `sources.${name}.${key} is missing: ${whyMissing(String(source["provider"]), key, example)}`,
      }));
  });
}

function whyMissing(name: string, key: string, example: string): string {
  const preset = providers.get(name);
  const parameter =
    preset === undefined ? undefined : kindOf(preset.scheme).signatureParameter(preset.scheme);
  if (preset === undefined || key !== "secret_in" || parameter === undefined)
    return `provider = "${name}" has no default for it; write ${example}`;
  return `${preset.title} signs nothing, so the URL that you enter there must end with ?${parameter}= and the secret; write ${example}`;
}

function has(source: Table, key: string): boolean {
  const [first = "", second] = key.split(".");
  if (second === undefined) return source[first] !== undefined;
  // If the key has its old name, `header`, that is reported instead.
  return tableOf(source[first])[second] !== undefined || source[second] !== undefined;
}

/**
 * Whether a source replaces, during development, the source whose handlers it shares: it is unsigned and has
 * no key for ids, types or batches.
 */
export function standsIn(source: {
  readonly [Key in "provider" | "handlers" | "event_id" | "type" | "batch"]?: unknown;
}): boolean {
  const { provider, handlers, event_id: eventId, type, batch } = source;
  if (handlers === undefined || eventId !== undefined || type !== undefined || batch !== undefined)
    return false;
  const preset = providers.get(String(provider));
  return preset?.needs !== undefined && kindOf(preset.scheme).proof === "none";
}
