import { join } from "node:path";

const repository = join(import.meta.dir, "../..");

/** Compiles the current source as it ships, but not into `dist`. Takes half a second. */
export async function buildBinary(folder: string): Promise<string> {
  const binary = join(folder, "hookonce");
  // The last --outfile wins.
  const { exitCode, stderr } = await Bun.$`${process.execPath} run build --outfile=${binary}`
    .cwd(repository)
    .quiet()
    .nothrow();
  if (exitCode !== 0) throw new Error(`The build failed:\n${stderr.toString()}`);
  return binary;
}
