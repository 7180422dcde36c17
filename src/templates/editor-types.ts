import type { Dialect } from "./inbox-files.ts";

/**
 * The declaration files of what handlers import, for `.hookonce/types`: from path, with `/`, to text.
 *
 * They are loaded and unpacked on demand, which takes about 5 ms, and never by `serve`.
 */
export function editorTypes(dialect: Dialect): Readonly<Record<string, string>> {
  // `require` loads lazily and is synchronous.
  const { archive }: typeof import("./editor-types-archive.ts") =
    dialect === "sqlite"
      ? require("./editor-types-archive.ts")
      : (require("./editor-types-archive-postgres.ts") as typeof import("./editor-types-archive-postgres.ts"));
  const json = Bun.zstdDecompressSync(Uint8Array.fromBase64(archive));
  const files: Record<string, string> = JSON.parse(new TextDecoder().decode(json));
  return files;
}
