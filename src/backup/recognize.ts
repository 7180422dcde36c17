/** What a file is that is not a backup, by its first bytes, with what to do about it. */

const ENCRYPTED_WITH = {
  age: ["age-encryption.org/", "-----BEGIN AGE ENCRYPTED"],
  // A session key for a public key, or for a password: https://www.rfc-editor.org/rfc/rfc9580#name-packet-types
  GnuPG: ["-----BEGIN PGP MESSAGE", "\x84", "\x85", "\x8c", "\xc1", "\xc3"],
  OpenSSL: ["Salted__"],
};

const COMPRESSED_WITH = {
  gzip: ["\x1f\x8b"],
  zstd: ["\x28\xb5\x2f\xfd"],
  xz: ["\xfd7zXZ\0"],
  bzip2: ["BZh"],
};

const DATABASE = "SQLite format 3\0";

/**
 * @param beginning the first bytes of the file
 * @returns what it is and what to do; undefined if it is not known what it is
 */
export function recognize(beginning: Buffer): string | undefined {
  if (beginning.length === 0) return "is empty: no backup was written to it. Take another one.";
  const text = beginning.toString("latin1");
  const nameIn = (names: Record<string, string[]>): string | undefined =>
    Object.keys(names).find((name) => names[name]?.some((begin) => text.startsWith(begin)));
  const [encrypted, compressed] = [nameIn(ENCRYPTED_WITH), nameIn(COMPRESSED_WITH)];
  if (encrypted !== undefined)
    return `is encrypted with ${encrypted}. Decrypt it first, and check what comes out.`;
  if (compressed !== undefined)
    return `is compressed with ${compressed}. Decompress it first, and check what comes out.`;
  if (text.startsWith(DATABASE))
    return "is a database, not a backup. To check an inbox folder with it: hookonce check --database FILE";
  return undefined;
}
