import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { inPostgres } from "./postgres-types.macro.ts";

/** The part of drizzle for each engine. */
const CORES = { sqlite: "sqlite-core", postgres: "pg-core" } as const;

/**
 * drizzle's column-builder.d.ts names one or two types of each other database, in branches that this one never
 * takes. They would bring along 233 of drizzle's 297 files, and an editor would also suggest their `text` and
 * `integer`.
 */
const databases = /^drizzle-orm\/(?<core>(?:sqlite|pg|mysql|singlestore|gel)-core)\/index\.d\.ts$/;

/** The only file that may import those, so that there is only one list of names. */
const dialectSwitch = "drizzle-orm/column-builder.d.ts";

const nodeModules = join(import.meta.dir, "../../node_modules");

/**
 * The types of drizzle-orm with its part for the engine, zod, hookonce, bun:test and, for SQLite, bun:sqlite, and
 * everything that they import, as the base64 of a zstd-compressed JSON object from path to text.
 *
 * Throws if a declaration file is missing or has an unknown kind of import, so that a new version of a
 * package breaks the build and not the user's editor.
 */
export function editorTypesArchive(dialect: keyof typeof CORES): string {
  const own = (file: string): string => {
    const text = readFileSync(join(import.meta.dir, `types/${file}`), "utf8");
    return dialect === "postgres" ? inPostgres(file, text) : text;
  };
  const files: Record<string, string> = {
    "README.md": readme(dialect),
    "hookonce.d.ts": own("hookonce.d.ts"),
    "test.d.ts": own("test.d.ts"),
    "globals.d.ts": readFileSync(join(import.meta.dir, "inbox/types/globals.d.ts"), "utf8"),
    "bun-test.d.ts": bunTypes("test").replace(/^.*import\("\.\/vendor\/expect-type"\).*\n/m, ""),
    ...(dialect === "sqlite" ? { "bun-sqlite.d.ts": bunTypes("sqlite") } : {}),
    "zod/LICENSE": readFileSync(join(nodeModules, "zod/LICENSE"), "utf8"),
  };
  const core = CORES[dialect];
  for (const entry of ["drizzle-orm", `drizzle-orm/${core}`, "zod"])
    addWithImports(`${entry}/index.d.ts`, files, core);
  return Bun.zstdCompressSync(JSON.stringify(files), { level: 19 }).toBase64();
}

/** The declarations of "bun:test" and "bun:sqlite", each complete in one file. */
function bunTypes(name: string): string {
  const text = readFileSync(join(nodeModules, `bun-types/${name}.d.ts`), "utf8");
  if (!text.includes(`declare module "bun:${name}"`)) throw new Error(`bun-types has no bun:${name}`);
  return text;
}

function addWithImports(path: string, files: Record<string, string>, core: string): void {
  if (path in files) return;
  const text = readFileSync(join(nodeModules, path), "utf8");
  files[path] = text;
  for (const { names, from } of importsOf(text)) {
    if (!from.startsWith(".")) throw new Error(`${path} imports ${from}, which handlers cannot import`);
    const imported = declarationFile(join(dirname(path), from));
    const database = databases.exec(imported)?.groups?.["core"];
    if (database !== undefined && database !== core) files[imported] = standIns(names, path);
    else addWithImports(imported, files, core);
  }
}

/**
 * tsc writes each import or export at the beginning of a line, and `import("…")` in types. Anything else is a
 * comment.
 */
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

/** Makes each of `{ PgColumn, … }` a type that takes up to three arguments and has no values. */
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

function readme(dialect: keyof typeof CORES): string {
  const described = ["drizzle-orm", "zod", "bun-types"].map((name) => {
    const { version, license, homepage } = JSON.parse(
      readFileSync(join(nodeModules, name, "package.json"), "utf8"),
    );
    return `- ${name} ${version} (${license}, ${homepage})`;
  });
  return `Types for your editor. \`hookonce init\` writes and updates them. Nothing here is run.

hookonce supplies these packages to handlers and tests, and the declarations are theirs:

${described.join("\n")}

Only the part of drizzle-orm for ${dialect === "sqlite" ? "SQLite" : "PostgreSQL"} is here. The types of other databases are replaced by empty ones.
`;
}
