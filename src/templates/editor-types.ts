/**
 * The declaration files of what handlers import, for `.hookonce/types`: from path, with `/`, to text.
 *
 * They are loaded and unpacked on demand, which takes about 5 ms, and never by `serve`.
 */
export function editorTypes(): Readonly<Record<string, string>> {
  // `require` loads lazily and is synchronous.
  const { archive }: typeof import("./editor-types-archive.ts") = require("./editor-types-archive.ts");
  const json = Bun.zstdDecompressSync(Uint8Array.fromBase64(archive));
  const files: Record<string, string> = JSON.parse(new TextDecoder().decode(json));
  return files;
}
