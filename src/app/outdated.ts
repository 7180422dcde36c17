import type { Config, ConfiguredSource } from "../config/load.ts";
import type { OutdatedJson } from "../http/admin/shapes.ts";

/** A hash of each part of a source's config, so that two processes can compare it without sending a secret. */
export type PartHashes = Readonly<Record<OutdatedJson, string>>;

const PARTS: readonly OutdatedJson[] = ["secret", "verify_token", "settings"];

/** @param salt new for each question, so that a list of hashed secrets is of no use */
export function hashesOf(source: ConfiguredSource, salt: string): PartHashes {
  const { name: _name, secrets, secretNames: _names, verifyToken, lineOf: _lineOf, ...settings } = source;
  const hash = (value: unknown): string =>
    new Bun.CryptoHasher("sha256", salt).update(JSON.stringify(value)).digest("hex");
  return { secret: hash(secrets), verify_token: hash(verifyToken ?? null), settings: hash(settings) };
}

/** The parts of a source that differ between what `serve` runs with and what was hashed. */
export function outdatedParts(
  { sources }: Pick<Config, "sources">,
  name: string,
  hashes: PartHashes,
  salt: string,
): OutdatedJson[] {
  const running = sources.find((one) => one.name === name);
  if (running === undefined) return [];
  const own = hashesOf(running, salt);
  return PARTS.filter((part) => own[part] !== hashes[part]);
}
