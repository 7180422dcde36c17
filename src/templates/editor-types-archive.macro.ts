import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** What a handler may import beside "hookonce", each with the declaration file that stands for it. */
const entries = ["drizzle-orm/index.d.ts", "drizzle-orm/sqlite-core/index.d.ts", "zod/index.d.ts"];

/**
 * drizzle's column-builder.d.ts names a type or two of each other database, in branches that SQLite never takes. What
 * stands behind them is 233 of drizzle's 297 files, and an editor would offer their `text` and `integer` too.
 */
const otherDatabases = /^drizzle-orm\/(pg|mysql|singlestore|gel)-core\/index\.d\.ts$/;

/** The one file that may import those, so that one list of names is all there is. */
const dialectSwitch = "drizzle-orm/column-builder.d.ts";

const nodeModules = join(import.meta.dir, "../../node_modules");

/**
 * The types of drizzle-orm, drizzle-orm/sqlite-core, zod and hookonce, with all that they import, as base64 of a
 * zstd-compressed JSON object from path to text. 73 kB; gzip takes 87.
 *
 * Throws when a declaration file is missing or imports in a way that is not foreseen here, so that a new version of a
 * package breaks the build and not the user's editor.
 */
export function editorTypesArchive(): string {
  const files: Record<string, string> = {
    "README.md": readme(),
    "hookonce.d.ts": readFileSync(join(import.meta.dir, "types/hookonce.d.ts"), "utf8"),
    "globals.d.ts": readFileSync(join(import.meta.dir, "inbox/types/globals.d.ts"), "utf8"),
    "zod/LICENSE": readFileSync(join(nodeModules, "zod/LICENSE"), "utf8"),
  };
  for (const entry of entries) addWithImports(entry, files);
  return Bun.zstdCompressSync(JSON.stringify(files), { level: 19 }).toBase64();
}

function addWithImports(path: string, files: Record<string, string>): void {
  if (path in files) return;
  const text = readFileSync(join(nodeModules, path), "utf8");
  files[path] = text;
  for (const { names, from } of importsOf(text)) {
    if (!from.startsWith(".")) throw new Error(`${path} imports ${from}, which no handler is given`);
    const imported = declarationFile(join(dirname(path), from));
    if (otherDatabases.test(imported)) files[imported] = standIns(names, path);
    else addWithImports(imported, files);
  }
}

/** tsc writes one import or export per line, at its beginning, and `import("…")` within types. Elsewhere it is a comment. */
function importsOf(text: string): { names: string; from: string }[] {
  const code = text.replaceAll(/\/\*[^]*?\*\//g, "");
  const statements = code.matchAll(/^(?:import|export)\s([^;"']*?)from\s*["']([^"']+)["']/gm);
  const others = code.matchAll(
    /\bimport\s*\(\s*["']([^"']+)["']|^import\s*["']([^"']+)["']|^\/\/\/\s*<reference\s[^>]*?=["']([^"']+)["']/gm,
  );
  return [
    ...Array.from(statements, ([, names = "", from = ""]) => ({ names, from })),
    ...Array.from(others, ([, type, effect, reference]) => ({
      names: "",
      from: type ?? effect ?? reference ?? "",
    })),
  ];
}

function declarationFile(path: string): string {
  const base = path.replaceAll("\\", "/").replace(/\.js$/, "");
  const found = [`${base}.d.ts`, `${base}/index.d.ts`].find((file) => existsSync(join(nodeModules, file)));
  if (found === undefined) throw new Error(`no declaration file for ${path}`);
  return found;
}

/** `{ PgColumn, … }`, each as a type that takes up to three arguments and has no values. */
function standIns(names: string, importer: string): string {
  const list = /^type\s*\{([\w\s,]+)\}\s*$/.exec(names)?.[1];
  if (list === undefined || importer !== dialectSwitch) {
    throw new Error(`${importer} imports from another database: ${names}`);
  }
  return list
    .split(",")
    .map((name) => `export type ${name.trim()}<_A = unknown, _B = unknown, _C = unknown> = never;\n`)
    .join("");
}

function readme(): string {
  const described = ["drizzle-orm", "zod"].map((name) => {
    const { version, license, homepage } = JSON.parse(
      readFileSync(join(nodeModules, name, "package.json"), "utf8"),
    );
    return `- ${name} ${version} (${license}, ${homepage})`;
  });
  return `Types for your editor, written by \`hookonce init\`, which also brings them up to date. Nothing here runs.

What hookonce supplies to handlers, and whose declarations these are:

${described.join("\n")}

Of drizzle-orm only what SQLite needs is here; its other databases are empty stand-ins.
`;
}
