import { CONFIG_FILE, type ReadConfig } from "../config/load.ts";
import { tableOf } from "../config/schema.ts";
import type { Problem } from "../errors.ts";

type Table = Readonly<Record<string, unknown>>;

/**
 * The keys that are missing although the provider has no default for them. Reads the sources as they are
 * written, so that another mistake in a source does not hide them.
 */
export function missingKeys({ written, lineOf }: ReadConfig): Problem[] {
  return written.flatMap(([name, source]) =>
    neededBy(source)
      .filter(({ isThere }) => !isThere)
      .map(({ key, example }) => ({
        file: CONFIG_FILE,
        line: lineOf(name),
        message: `sources.${name}.${key} is missing: provider = "${String(source["provider"])}" has no default for it; write ${example}`,
      })),
  );
}

interface Needed {
  readonly key: string;
  readonly example: string;
  readonly isThere: boolean;
}

function neededBy(source: Table): Needed[] {
  const { provider, signature, header, secret_in: secretIn, event_id: eventId, type } = source;
  const id = { key: "event_id", example: 'event_id = "body:$.id"', isThere: eventId !== undefined };
  const itsType = { key: "type", example: 'type = "body:$.type"', isThere: type !== undefined };
  switch (provider) {
    case "hmac": {
      // If it has its old name, `header`, that is reported instead.
      const isThere = tableOf(signature)["header"] !== undefined || header !== undefined;
      return [
        { key: "signature.header", example: 'signature = { header = "x-signature" }', isThere },
        id,
        itsType,
      ];
    }
    case "static": {
      const isThere = secretIn !== undefined;
      return [{ key: "secret_in", example: 'secret_in = "header:x-token"', isThere }, id, itsType];
    }
    case "unsigned":
      return standsIn(source) ? [] : [itsType];
    default:
      return [];
  }
}

/**
 * Whether a source stands in, during development, for the source whose handlers it shares: it is unsigned and
 * has no key for ids, types or batches.
 */
export function standsIn(source: {
  readonly [Key in "provider" | "handlers" | "event_id" | "type" | "batch"]?: unknown;
}): boolean {
  const { provider, handlers, event_id: eventId, type, batch } = source;
  if (provider !== "unsigned" || handlers === undefined) return false;
  return eventId === undefined && type === undefined && batch === undefined;
}
