import { describe, expect, test } from "bun:test";
import { Glob } from "bun";
import { join } from "node:path";
import { providers } from "../../src/providers/presets.ts";
import { kindOf, schemeKinds } from "../../src/providers/schemes.ts";

const src = join(import.meta.dir, "../../src");
const names = [...schemeKinds.keys()].join("|");

/**
 * Ways to ask which kind a scheme is. Only the file of a kind may know its name, and only a preset may choose
 * one.
 */
const COMPARISONS = [
  new RegExp(String.raw`(?:[!=]==?|\bcase)\s*"(?:${names})"`),
  new RegExp(String.raw`"(?:${names})"\s*[!=]==?`),
  new RegExp(String.raw`\bkind: "(?:${names})"`),
  /[Ss]cheme\.kind\b/,
  /Scheme\["kind"\]/,
  /\{[^{}]*\bkind\b[^{}]*\}: [A-Za-z]*Scheme\b/,
];

async function comparisons(): Promise<string[]> {
  const found: string[] = [];
  for await (const file of new Glob("**/*.ts").scan(src)) {
    if (/^providers\/(?:schemes|presets)(?:\/|\.ts)/.test(file)) continue;
    const lines = (await Bun.file(join(src, file)).text()).split("\n");
    for (const [index, line] of lines.entries()) {
      if (COMPARISONS.some((comparison) => comparison.test(line)))
        found.push(`${file}:${index + 1}: ${line.trim()}`);
    }
  }
  return found;
}

describe("a new scheme is one file in schemes/ and one line in schemes.ts", () => {
  test("nothing outside schemes/ asks which kind a scheme is", async () => {
    expect(await comparisons()).toEqual([]);
  });

  test.each([
    'if (scheme.kind === "hmac") return;',
    'switch (kind) { case "sns":',
    'const key = { adyen: "pspReference" }[scheme.kind as string];',
    'const words: Partial<Record<Scheme["kind"], string>> = {};',
    "function isSigned({ kind }: Scheme): boolean {",
  ])("the check notices %s", (line) => {
    expect(COMPARISONS.some((comparison) => comparison.test(line))).toBe(true);
  });

  test("every file that defines a kind is listed, and every kind has its own name", async () => {
    const defined: string[] = [];
    for await (const file of new Glob("*.ts").scan(join(src, "providers/schemes"))) {
      const text = await Bun.file(join(src, "providers/schemes", file)).text();
      const kind = /= defineKind<[^>]+>\(\{.*?^ {2}kind: "([^"]+)",$/ms.exec(text)?.[1];
      if (kind !== undefined) defined.push(kind);
    }
    expect([...schemeKinds.keys()].sort()).toEqual(defined.sort());
  });

  test("every preset's scheme is of a listed kind", () => {
    for (const { scheme } of providers.values()) expect(kindOf(scheme).kind).toBe(scheme.kind);
  });
});
