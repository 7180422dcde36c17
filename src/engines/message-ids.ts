/** The ids of messages. */

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";

/**
 * The id of a message, which is the same whenever it is made of the same parts: `msg_` and 52 letters and digits
 * (base32 of a SHA-256).
 */
export function messageIdOf(parts: readonly (string | number)[]): string {
  const hash = Bun.SHA256.hash(JSON.stringify(parts)) as Uint8Array;
  let id = "msg_";
  let bits = 0;
  let value = 0;
  for (const byte of hash) {
    value = (value << 8) | byte;
    bits += 8;
    for (; bits >= 5; bits -= 5) id += ALPHABET[(value >>> (bits - 5)) & 31];
    value &= (1 << bits) - 1;
  }
  return bits === 0 ? id : id + ALPHABET[(value << (5 - bits)) & 31];
}

/** What is wrong with an id that a handler gives a message. It becomes a header. */
export function idProblem(id: string): string | undefined {
  return /^[!-~]{1,255}$/.test(id)
    ? undefined
    : "its id must have 1 to 255 letters, digits and signs of ASCII, without blanks";
}
