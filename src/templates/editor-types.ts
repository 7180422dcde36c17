/**
 * The declaration files of what handlers import, path → text, with `/` in the paths: for `.hookonce/types`.
 *
 * Loaded and unpacked when asked for, about 5 ms, and never by `serve`.
 */
export function editorTypes(): Readonly<Record<string, string>> {
  // require, because it is lazy and synchronous at once.
  const { archive }: typeof import("./editor-types-archive.ts") = require("./editor-types-archive.ts");
  const json = Bun.zstdDecompressSync(Uint8Array.fromBase64(archive));
  const files: Record<string, string> = JSON.parse(new TextDecoder().decode(json));
  return files;
}
