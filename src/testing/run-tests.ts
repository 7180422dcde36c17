import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Runs test files with Bun's test runner, which is this program's own executable. Its modules are written to a
 * temporary folder that only its owner can read, because the runner cannot import what is inside the binary.
 *
 * @param folder the working directory of the tests
 * @param files relative to it
 * @returns the runner's exit code; 1 if a signal ended it
 */
export async function runTests(
  folder: string,
  files: readonly string[],
  flags: readonly string[],
): Promise<number> {
  const { bundle } = await import("./bundle.ts");
  const json = new TextDecoder().decode(Bun.zstdDecompressSync(Uint8Array.fromBase64(bundle)));
  const temporary = mkdtempSync(join(tmpdir(), "hookonce-modules-"));
  try {
    for (const [path, text] of Object.entries(JSON.parse(json) as Record<string, string>))
      writeFileSync(join(temporary, path), text);
    const own = ["--no-install", "--no-env-file", "--preload", join(temporary, "preload.js")];
    const child = spawn(process.execPath, ["test", ...own, ...flags, ...files.map((file) => `./${file}`)], {
      cwd: folder,
      stdio: "inherit",
      env: { ...process.env, BUN_BE_BUN: "1" },
    });
    // This process waits for the runner, to remove the folder. A terminal sends SIGINT to both.
    const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
    process.on("SIGINT", pass);
    process.on("SIGTERM", pass);
    try {
      return await new Promise<number>((resolve, reject) => {
        child.once("error", reject);
        child.once("exit", (code) => resolve(code ?? 1));
      });
    } finally {
      process.off("SIGINT", pass);
      process.off("SIGTERM", pass);
    }
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** The `*.test.ts` below handlers/, relative to the inbox folder, in the order of their names. */
export function testFilesIn(folder: string): string[] {
  try {
    return readdirSync(join(folder, "handlers"), { recursive: true, encoding: "utf8" })
      .map((file) => `handlers/${file.replaceAll("\\", "/")}`)
      .filter((file) => file.endsWith(".test.ts") && !/(?:^|\/)(?:node_modules|\.)/.test(file))
      .sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
