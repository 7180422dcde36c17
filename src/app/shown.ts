import packageJson from "../../package.json" with { type: "json" };
import type { Config } from "../config/load.ts";
import type { Shown } from "../engines/engine.ts";
import type { HandlersRead } from "../handlers/load.ts";

/**
 * What a node tells the others that it has loaded. Its own addresses, its folder and its secrets do not count: nodes
 * may differ in them.
 */
export function shownOf(
  { retention, alerts, sources, destinations }: Config,
  { code }: Pick<HandlersRead, "code">,
): Shown {
  const files = code.map((one) => `${one.code.file} ${one.code.hash}`).sort();
  return {
    version: packageJson.version,
    config: hashOf({ retention, alerts, sources, destinations }),
    handlers: hashOf(files),
  };
}

/** Keys of the config whose values may be secret. */
const SECRET = new Set(["secrets", "verifyToken", "headers"]);

/** Eight hexadecimal digits: people compare them. */
function hashOf(value: unknown): string {
  const text = JSON.stringify(value, (key, part: unknown) => (SECRET.has(key) ? undefined : part));
  return new Bun.CryptoHasher("sha256").update(text).digest("hex").slice(0, 8);
}
