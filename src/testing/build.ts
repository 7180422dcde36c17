import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Bundles what runs outside the binary, because neither the binary's own modules nor macros can be used there:
 *
 * - without an argument, what the tests of `hookonce test` load, to standard output: the base64 of
 *   zstd-compressed JSON, from path to text. bundle.macro.ts runs it, so a program that is started from source
 *   always has the bundle of its source, and a binary has it embedded;
 * - with a folder, the modules and types of the package, into it. `bun pm pack` runs it.
 */

const src = join(import.meta.dir, "..");

/** The threads are files of their own. */
const WORKERS = [
  "engines/sqlite/checkpoint-worker.ts",
  "engines/sqlite/copy-worker.ts",
  "engines/watchdog-worker.ts",
  "engines/postgres/verdict-worker.ts",
];

type Bundled = Readonly<Record<string, string>>;

/** @param options.packages `external`: they stay imports */
async function bundle(
  entries: readonly string[],
  options: Pick<Bun.BuildConfig, "packages" | "minify">,
): Promise<Bundled> {
  const { outputs } = await Bun.build({
    ...options,
    entrypoints: [...entries, ...WORKERS].map((file) => join(src, file)),
    target: "bun",
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

/** The packages stay imports, so that handlers and tests get the same drizzle-orm and zod as hookonce. */
async function buildPackage(folder: string): Promise<void> {
  const files = await bundle(["main.ts", "handlers/api.ts", "testing/test.ts"], {
    packages: "external",
    // Its users may read it, and its stacks name its functions.
    minify: { whitespace: true, syntax: true },
  });
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    const isCommand = path === "main.js";
    writeFileSync(join(folder, path), isCommand ? `#!/usr/bin/env bun\n${text}` : text);
  }
  cpSync(join(src, "templates/types"), join(folder, "types"), { recursive: true });
}

if (import.meta.main) {
  const [folder] = process.argv.slice(2);
  if (folder !== undefined) await buildPackage(folder);
  else {
    const files = await bundle(["testing/preload.ts"], { minify: true });
    console.log(Bun.zstdCompressSync(JSON.stringify(files), { level: 19 }).toBase64());
  }
}
