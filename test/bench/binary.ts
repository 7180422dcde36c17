import { join } from "node:path";

const repository = join(import.meta.dir, "../..");

/** Compiles hookonce as it ships, from the source as it is now, beside and not into `dist`. Takes half a second. */
export async function buildBinary(folder: string): Promise<string> {
  const binary = join(folder, "hookonce");
  // Of two --outfile the last one counts.
  const { exitCode, stderr } = await Bun.$`${process.execPath} run build --outfile=${binary}`
    .cwd(repository)
    .quiet()
    .nothrow();
  if (exitCode !== 0) throw new Error(`The build failed:\n${stderr.toString()}`);
  return binary;
}
