import { $ } from "bun";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import packageJson from "../package.json" with { type: "json" };

/** `bun run build:all`: builds the binary for every supported platform, and writes their SHA-256 sums. */

const TARGETS = [
  "linux-x64",
  "linux-arm64",
  "linux-x64-musl",
  "linux-arm64-musl",
  "darwin-x64",
  "darwin-arm64",
  "windows-x64",
] as const;

const folder = "dist";
await mkdir(folder, { recursive: true });
for (const target of TARGETS) {
  const outfile = join(
    folder,
    `hookonce-${packageJson.version}-${target}${target.startsWith("windows") ? ".exe" : ""}`,
  );
  // As for this machine, but without bytecode: cross-compiling bytecode has crashed.
  await $`${process.execPath} run compile --target=bun-${target} --outfile=${outfile}`.quiet();
  console.log(outfile);
}

const built = (await readdir(folder))
  .filter((name) => name.startsWith(`hookonce-${packageJson.version}-`))
  .sort();
let sums = "";
for (const name of built) {
  // One at a time, because each file is 100 MB.
  const sum = new Bun.CryptoHasher("sha256").update(await Bun.file(join(folder, name)).bytes()).digest("hex");
  sums += `${sum}  ${name}\n`;
}
await Bun.write(join(folder, "SHA256SUMS"), sums);
console.log(join(folder, "SHA256SUMS"));
