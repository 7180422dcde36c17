import { expect } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export const readme = readFileSync(join(import.meta.dir, "../../README.md"), "utf8");

/** The README's code blocks in a language that contain a text. Blocks inside lists are indented. */
export function blocks(language: string, containing: string): string[] {
  return [...readme.matchAll(/^( *)```(\w+)\n([^]*?)^ *```$/gm)]
    .filter(([, , found]) => found === language)
    .map(([, indent = "", , text = ""]) => text.replaceAll(new RegExp(`^${indent}`, "gm"), ""))
    .filter((text) => text.includes(containing));
}

/** The only such block. */
export function block(language: string, containing: string): string {
  const found = blocks(language, containing);
  expect(found).toHaveLength(1);
  return found[0] as string;
}

/** The `hookonce` commands of a shell block, as arguments, without comments. */
export function commands(shell: string): string[][] {
  return shell
    .split("\n")
    .map((line) => line.replace(/\s+#.*$/, "").trim())
    .filter((line) => line.startsWith("hookonce "))
    .map((line) => line.split(/\s+/).slice(1));
}
