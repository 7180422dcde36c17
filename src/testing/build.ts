import { join } from "node:path";

/**
 * Bundles what the tests of `hookonce test` load, and writes it to standard output as the base64 of
 * zstd-compressed JSON, from path to text. bundle.macro.ts runs it, so a program that is started from source
 * always has the bundle of its source, and a binary has it embedded.
 *
 * The binary's own modules cannot be imported: as a test runner it is plain Bun, without them.
 */

const src = join(import.meta.dir, "..");

/** The threads are files of their own. */
const WORKERS = ["engines/sqlite/checkpoint-worker.ts", "engines/watchdog-worker.ts"];

export async function buildBundle(): Promise<Readonly<Record<string, string>>> {
  const { outputs } = await Bun.build({
    entrypoints: ["testing/preload.ts", ...WORKERS].map((file) => join(src, file)),
    target: "bun",
    minify: true,
    splitting: true,
    naming: { entry: "[name].[ext]", chunk: "[name]-[hash].[ext]" },
  });
  const files: Record<string, string> = {};
  for (const one of outputs) files[one.path.replace(/^\.?\//, "")] = await one.text();
  // Code names the file of a thread by its source, and Bun changes that name only in a binary.
  for (const worker of WORKERS) {
    const name = worker.replace(/^.*\//, "");
    files[name] = `import "./${name.replace(/\.ts$/, ".js")}";\n`;
  }
  return files;
}

if (import.meta.main)
  console.log(Bun.zstdCompressSync(JSON.stringify(await buildBundle()), { level: 19 }).toBase64());
