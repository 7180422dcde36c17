import { spawnSync } from "node:child_process";
import { join } from "node:path";

/**
 * Bundles the page in a separate process: a macro runs inside the bundler, which cannot start a second
 * build. Returns a list of {@link BuiltFile} as JSON.
 */
export function builtPage(): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(import.meta.dir, "build.ts")], {
    cwd: import.meta.dir,
    encoding: "utf8",
    maxBuffer: 16 * 1024 * 1024,
  });
  if (status !== 0) throw new Error(`The page cannot be built: ${stderr}`);
  return stdout;
}
