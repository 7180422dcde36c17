import type { ConfiguredSource } from "../config/load.ts";
import { kindOf, type Scheme } from "../providers/schemes.ts";
import { weaknessOf } from "../providers/schemes/weakness.ts";
import type { KeyedMessage } from "./pointless-keys.ts";

/**
 * The secrets of a source that anybody could guess, such as a key of zeros or an empty password. A source with one
 * of them would accept forged deliveries, so each is an error. No message shows a secret.
 *
 * @param scheme the provider's scheme, changed by the config
 */
export function weakSecrets(source: ConfiguredSource, scheme: Scheme): KeyedMessage[] {
  const { secrets, secretNames, verifyToken } = source;
  const kind = kindOf(scheme);
  const weak = secrets.flatMap((secret, index): KeyedMessage[] => {
    const weakness = kind.weakness(scheme, secret);
    const name = secretNames[index] ?? "a key in it";
    const remedy =
      kind.proof === "key-pair"
        ? "copy the provider's public key"
        : "copy the provider's secret, or choose a random one (openssl rand -hex 32) and enter it at the provider";
    return weakness === undefined ? [] : [problemOf("secret", name, weakness, remedy)];
  });
  const weakness = verifyToken === undefined ? undefined : weaknessOf(verifyToken);
  if (weakness === undefined) return weak;
  const remedy = "choose a random one (openssl rand -hex 32) and enter it at the provider";
  return [...weak, problemOf("verify_token", "its value", weakness, remedy)];
}

function problemOf(key: string, name: string, weakness: string, remedy: string): KeyedMessage {
  return { key, message: `${name} ${weakness}, so anybody could guess it: ${remedy}` };
}
