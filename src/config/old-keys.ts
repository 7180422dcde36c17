import { literal } from "./literal.ts";
import { keysAt, problemWith } from "./schema.ts";

interface OldKey {
  /** The key's new name, relative to the source. */
  readonly now: string;
  /** Makes the new value from the old one. Without it, the value stays as it is. */
  readonly value?: (old: unknown) => unknown;
}

const headerPath = (name: unknown): unknown => (typeof name === "string" ? `header:${name}` : name);

/** Keys of a source that had another name or place before the first release, by their old name. */
const OLD_KEYS: Readonly<Record<string, OldKey>> = {
  header: { now: "signature.header" },
  algorithm: { now: "signature.algorithm" },
  encoding: { now: "signature.encoding" },
  prefix: { now: "signature.prefix" },
  separator: { now: "signature.separator" },
  signed: { now: "signature.signed" },
  key: { now: "signature.secret_encoding" },
  timestamp_header: { now: "signature.timestamp", value: headerPath },
  timestamp_body: { now: "signature.timestamp" },
  timestamp_unit: { now: "signature.timestamp_unit" },
  id_header: { now: "signature.id", value: headerPath },
  previous: { now: "renamed_from" },
};

/**
 * The problem with a key that was renamed or moved, or that is in the wrong table. It names the right key and
 * shows the value as it must be written.
 *
 * @param path of the key, such as `sources.shop.header` or `sources.shop.signature.key`
 * @returns undefined if the key is unknown
 */
export function oldKeyProblem(path: readonly PropertyKey[], value: unknown): string | undefined {
  const [sources, source, ...keys] = path.map(String);
  if (sources !== "sources" || source === undefined) return undefined;
  const [key = ""] = keys.slice(-1);
  if (keys.length === 2 && keys[0] === "signature") {
    const old = ownEntry(OLD_KEYS, key);
    if (old !== undefined) return moved(old.now, old.value?.(value) ?? value);
    const isOfSource = keysAt(["sources", source]).includes(key);
    return isOfSource ? `is not a key of signature: write it in [sources.${source}]` : undefined;
  }
  if (keys.length !== 1) return undefined;
  const old = ownEntry(OLD_KEYS, key);
  if (old !== undefined) return moved(old.now, old.value?.(value) ?? value);
  const isOfSignature = keysAt(["sources", source, "signature"]).includes(key);
  return isOfSignature ? moved(`signature.${key}`, value) : undefined;
}

function moved(now: string, value: unknown): string {
  // A wrong value is not repeated, because it may be a secret: `key` sounds like one.
  const problem = problemWith(now, value);
  if (problem !== undefined) return `is now ${now}: ${problem}`;
  const [name, where] = now.startsWith("signature.")
    ? [now.slice("signature.".length), " in signature = { … }"]
    : [now, ""];
  return `is now ${now}: write ${name} = ${literal(value)}${where}`;
}

function ownEntry<Value>(entries: Readonly<Record<string, Value>>, key: string): Value | undefined {
  return Object.hasOwn(entries, key) ? entries[key] : undefined;
}
