/**
 * White space, control characters, and everything else that shows nothing. U+2800 is a Braille pattern without
 * dots.
 */
const INVISIBLE = /[\s\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]/gu;

/** What precedes the secret itself in a provider's secrets. */
const PREFIX = /^(?:v1,)?wh(?:sec|pk)_/;

/**
 * Why anybody could guess a secret, in words that follow "it" and never show the secret. Undefined if it is not
 * that weak.
 */
export function weaknessOf(secret: string): string | undefined {
  if (secret.replace(PREFIX, "") === "") return "has nothing after its prefix";
  const shown = secret.replaceAll(INVISIBLE, "");
  if (shown === "") return "holds nothing but white space or invisible characters";
  const [first = "", ...others] = Array.from(shown);
  if (others.some((one) => one !== first)) return undefined;
  return others.length === 0
    ? "is a single character"
    : `is one character, repeated ${others.length + 1} times`;
}

/** The same for the bytes that a secret is decoded to. */
export function weaknessOfKey(key: Uint8Array): string | undefined {
  if (key.byteLength === 0 || key.some((byte) => byte !== key[0])) return undefined;
  if (key.byteLength === 1) return "is decoded to a single byte";
  return `is decoded to ${key.byteLength} bytes that are all ${key[0] === 0 ? "zero" : "the same"}`;
}

/** The same for a secret of two parts with a colon between them, of which only the last one is secret. */
export function weaknessOfLast(secret: string, name: string): string | undefined {
  const colon = secret.indexOf(":");
  const last = secret.slice(colon + 1);
  // Every scheme with such secrets refuses one without a colon or without its last part.
  if (colon === -1 || last === "") return undefined;
  const weakness = weaknessOf(last);
  return weakness === undefined ? undefined : `has a ${name} that ${weakness}`;
}
