import { spawnSync } from "node:child_process";
import { join } from "node:path";

/** Bundles in a separate process: a macro runs inside the bundler, which cannot start a second build. */
export function builtBundle(): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(import.meta.dir, "build.ts")], {
    cwd: import.meta.dir,
    encoding: "utf8",
    maxBuffer: 32 * 1024 * 1024,
  });
  if (status !== 0) throw new Error(`The modules for tests cannot be bundled: ${stderr}`);
  return stdout.trim();
}
