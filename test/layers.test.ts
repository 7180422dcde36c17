import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/**
 * Folders from top to bottom, as CONTRIBUTING.md lists them. A folder may import only folders below its line.
 * `event` and `errors` import nothing.
 */
const LAYERS: readonly (readonly string[])[] = [
  ["main"],
  ["cli"],
  ["testing"],
  ["demo", "simulator"],
  ["app"],
  ["dashboard"],
  ["http"],
  ["inbox", "outbox"],
  ["backup"],
  ["handlers"],
  ["engines"],
  ["doctor"],
  ["providers", "config", "logging", "metrics"],
  ["templates"],
  ["event", "errors"],
];

/** The longest file in src, in lines. From about 250 lines on, ask whether a file is two. */
const MAX_LINES = 350;

/** Files that are not part of the program. */
const ASIDE = ["assets.d.ts", "build-all.ts", "templates/inbox/", "templates/types/"];

/**
 * Packages that only some folders may import. Folders in `value` may import anything from them, folders in
 * `type` only types.
 */
const PACKAGES: readonly { name: RegExp; value: readonly string[]; type: readonly string[] }[] = [
  // All SQL is in the engines and handlers. The demo contains the tutorial's receiver, which has its own
  // database, and a user's test reads its tables.
  { name: /^bun:sqlite$/, value: ["engines", "demo", "testing"], type: [] },
  { name: /^drizzle-orm(?:\/|$)/, value: ["engines"], type: [] },
  { name: /^(?:hono|@hono\/.*)$/, value: ["http"], type: ["app"] },
  { name: /^prom-client$/, value: ["http"], type: [] },
  { name: /^(?:hono\/jsx.*|uplot)$/, value: ["dashboard"], type: [] },
  { name: /^commander$/, value: ["cli"], type: [] },
  { name: /^toml-eslint-parser$/, value: ["config"], type: [] },
  { name: /^pino(?:-pretty|-std-serializers|\/.*)?$/, value: ["logging", "demo"], type: ["app", "http"] },
];

interface Import {
  readonly from: string;
  readonly typeOnly: boolean;
}

const transpilers = { ts: new Bun.Transpiler({ loader: "ts" }), tsx: new Bun.Transpiler({ loader: "tsx" }) };

/** Lists every import of a module, including type imports, which scanImports leaves out. */
function importsOf(source: string, language: "ts" | "tsx" = "ts"): Import[] {
  const found = new Map<string, boolean>();
  const note = (from: string, typeOnly: boolean): void => {
    found.set(from, (found.get(from) ?? true) && typeOnly);
  };
  for (const { path } of transpilers[language].scanImports(source)) note(path, false);
  const code = source.replaceAll(/^\s*(?:\/\/|\*|\/\*).*$/gm, "");
  for (const [, , from] of code.matchAll(/^(?:import|export)\b([^;'"]*?)\bfrom\s*["']([^"']+)["']/gm)) {
    note(from as string, true);
  }
  for (const [, from] of code.matchAll(/\bimport\s*\(\s*["']([^"']+)["']\s*\)/g)) note(from as string, true);
  for (const [, from] of code.matchAll(/\brequire\s*\(\s*["']([^"']+)["']\s*\)/g))
    note(from as string, false);
  return Array.from(found, ([from, typeOnly]) => ({ from, typeOnly }));
}

/** Maps the path of each file below src to its imports. */
type Program = ReadonlyMap<string, readonly Import[]>;

function readProgram(folder: string): Program {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((file) => file.replaceAll("\\", "/"))
    .filter((file) => /\.tsx?$/.test(file) && !ASIDE.some((aside) => file.startsWith(aside)))
    .sort();
  return new Map(
    files.map((file) => [
      file,
      importsOf(readFileSync(join(folder, file), "utf8"), file.endsWith("x") ? "tsx" : "ts"),
    ]),
  );
}

const folderOf = (file: string): string => (file.split("/")[0] as string).replace(/\.ts$/, "");
const depthOf = (folder: string): number => LAYERS.findIndex((line) => line.includes(folder));
const isOwn = ({ from }: Import): boolean => from.startsWith(".");
const targetOf = (file: string, { from }: Import): string =>
  normalize(join(dirname(file), from)).replaceAll("\\", "/");

/** Lists every import that breaks the layers, in words. */
function breaches(program: Program): string[] {
  const found: string[] = [];
  for (const [file, imports] of program) {
    const folder = folderOf(file);
    if (depthOf(folder) === -1) found.push(`${file}: the folder ${folder} is in no layer`);
    for (const one of imports) {
      if (isOwn(one)) {
        const target = targetOf(file, one);
        // Files outside src: package.json, and the embedded migrations.
        if (target.startsWith("../")) continue;
        const other = folderOf(target);
        if (folder === "event" || folder === "errors")
          found.push(`${file} imports ${target}, but may import nothing`);
        else if (other !== folder && depthOf(other) <= depthOf(folder))
          found.push(`${file} imports ${target}, which is not below it`);
        else if (/^engines\/\w+\//.test(target) && folder !== "engines" && file !== "app/store.ts")
          found.push(`${file} imports ${target}, but only app/store.ts may choose an engine`);
      } else {
        if (folder === "event" || folder === "errors")
          found.push(`${file} imports ${one.from}, but may import nothing`);
        const rule = PACKAGES.find(({ name }) => name.test(one.from));
        if (rule === undefined || rule.value.includes(folder)) continue;
        if (!one.typeOnly || !rule.type.includes(folder)) {
          found.push(
            `${file} imports ${one.typeOnly ? "types of " : ""}${one.from}, which only ${rule.value.join(", ")} may import`,
          );
        }
      }
    }
  }
  return found;
}

/** Finds the first import cycle, including type imports, as a path. */
function circleIn(program: Program): string[] | null {
  const done = new Set<string>();
  const walk = (file: string, path: readonly string[]): string[] | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return null;
    for (const one of (program.get(file) ?? []).filter(isOwn)) {
      const circle = walk(targetOf(file, one), [...path, file]);
      if (circle !== null) return circle;
    }
    done.add(file);
    return null;
  };
  for (const file of program.keys()) {
    const circle = walk(file, []);
    if (circle !== null) return circle;
  }
  return null;
}

const src = join(import.meta.dir, "../src");

describe("src", () => {
  const ours = readProgram(src);

  test("imports only from the layers below", () => {
    expect(breaches(ours)).toEqual([]);
  });

  test("has no import cycle", () => {
    expect(circleIn(ours)).toBeNull();
  });

  test("has browser code that imports only types from the rest", () => {
    const page = [...ours].filter(([file]) => file.startsWith("dashboard/page/"));
    const values = page.flatMap(([file, imports]) =>
      imports
        .filter((one) => isOwn(one) && !one.typeOnly && !targetOf(file, one).startsWith("dashboard/page/"))
        .map(({ from }) => `${file} imports ${from}`),
    );
    expect(values).toEqual([]);
    expect(page.length).toBeGreaterThan(15);
  });

  test("has no file that is too long", () => {
    const lengths = [...ours.keys()].map((file) => ({
      file,
      lines: readFileSync(join(src, file), "utf8").split("\n").length - 1,
    }));
    expect(lengths.filter(({ lines }) => lines > MAX_LINES)).toEqual([]);
  });

  test("has the folders that CONTRIBUTING.md lists, in the same order", () => {
    const text = readFileSync(join(src, "../CONTRIBUTING.md"), "utf8");
    const listing = /^## Folders\n[^]*?```\n([^]*?)\n```/m.exec(text)?.[1] ?? "";
    const listed = listing.split("\n").map((line) => line.replace(/ {2,}.*/, "").split(", "));
    expect(listed).toEqual(LAYERS.map((folders) => [...folders]));
  });

  test("imports only files that exist", () => {
    const missing = [...ours].flatMap(([file, imports]) =>
      imports
        .filter(isOwn)
        .map((one) => targetOf(file, one))
        .filter((target) => !target.startsWith("../") && !ours.has(target)),
    );
    expect(missing).toEqual([]);
  });

  test("has exactly the folders of the layers, and the scan reads all of it", () => {
    const folders = new Set([...ours.keys()].map(folderOf));
    expect([...folders].sort()).toEqual(LAYERS.flat().sort());
    expect(ours.size).toBeGreaterThan(60);
    // The scan must find each kind of import. Otherwise the tests above prove nothing.
    const edges = new Set(
      [...ours].flatMap(([file, imports]) => imports.map((one) => `${file} → ${targetOf(file, one)}`)),
    );
    for (const edge of [
      "main.ts → cli/cli.ts",
      "cli/commands/serve.ts → cli/serve.ts", // import(…)
      "cli/serve.ts → app/serve.ts",
      "inbox/receive.ts → engines/engine.ts", // import type
      "templates/editor-types.ts → templates/editor-types-archive.ts", // require(…)
      "providers/schemes/hmac.ts → errors.ts",
    ]) {
      expect(edges).toContain(edge);
    }
  });

  test("shares no imports with files that are not part of the program", () => {
    for (const file of readdirSync(src).filter((name) => ASIDE.includes(name))) {
      const imports = importsOf(readFileSync(join(src, file), "utf8"));
      expect(imports.filter(({ from }) => from.startsWith("./"))).toEqual([]);
    }
    const used = [...ours].flatMap(([file, imports]) =>
      imports.filter(isOwn).map((one) => targetOf(file, one)),
    );
    expect(used.filter((target) => ASIDE.includes(target))).toEqual([]);
  });
});

describe("test/conformance", () => {
  test("knows no engine outside the files of its harness", () => {
    const suite = readProgram(join(import.meta.dir, "conformance"));
    const found = [...suite]
      .filter(([file]) => !/^(?:sqlite(?:-round-trip)?|postgres)(?:\.test)?\.ts$/.test(file))
      .flatMap(([file, imports]) =>
        imports
          .map((one) => (isOwn(one) ? targetOf(`conformance/${file}`, one) : one.from))
          .filter(
            (from) =>
              /sqlite|postgres|drizzle/.test(from) || (from.startsWith("../src/") && !SEAM.test(from)),
          )
          .map((from) => `${file} imports ${from}`),
      );
    expect(found).toEqual([]);
    expect(suite.size).toBeGreaterThan(8);
  });
});

/** What the conformance suite may import of src. */
const SEAM = /^\.\.\/src\/(?:engines\/[\w-]+|errors|event|inbox\/[\w-]+)\.ts$/;

const program = (files: Record<string, string>): Program =>
  new Map(Object.entries(files).map(([file, source]) => [file, importsOf(source)]));

describe("the check itself", () => {
  test.each([
    ['import { a } from "x";', false],
    ['import a, { b } from "x";', false],
    ['import * as a from "x"; a();', false],
    ['import "x";', false],
    ['export { a } from "x";', false],
    ['export * from "x";', false],
    ['const a = await import("x");', false],
    ['const a = require("x");', false],
    ['import {\n  a,\n  type B,\n} from "x"; a();', false],
    ['import type { A } from "x";', true],
    ['import type A from "x";', true],
    ['import { type A, type B } from "x";', true],
    ['import {\n  type A,\n} from "x";', true],
    ['export type { A } from "x";', true],
    ['let a: import("x").A;', true],
    ['let a: typeof import("x");', true],
  ])("finds the import in %s", (source, typeOnly) => {
    const used =
      source.startsWith("import { a }") || source.startsWith("import a,") ? `${source} a(); b();` : source;
    expect(importsOf(used)).toEqual([{ from: "x", typeOnly }]);
  });

  test.each([
    [
      { "engines/a.ts": 'import type { A } from "../inbox/b.ts";' },
      "engines/a.ts imports inbox/b.ts, which is not below it",
    ],
    [
      { "config/a.ts": 'import { a } from "../providers/b.ts"; a();' },
      "config/a.ts imports providers/b.ts, which is not below it",
    ],
    [
      { "providers/a.ts": 'import type { A } from "../config/b.ts";' },
      "providers/a.ts imports config/b.ts, which is not below it",
    ],
    [
      { "http/a.ts": 'const { a } = await import("../app/b.ts");' },
      "http/a.ts imports app/b.ts, which is not below it",
    ],
    [
      { "demo/a.ts": 'import { a } from "../cli/b.ts"; a();' },
      "demo/a.ts imports cli/b.ts, which is not below it",
    ],
    [
      { "app/a.ts": 'import type { A } from "../engines/sqlite/b.ts";' },
      "app/a.ts imports engines/sqlite/b.ts, but only app/store.ts may choose an engine",
    ],
    [
      { "errors.ts": 'import type { A } from "./event.ts";' },
      "errors.ts imports event.ts, but may import nothing",
    ],
    [
      { "event.ts": 'import { join } from "node:path"; join();' },
      "event.ts imports node:path, but may import nothing",
    ],
    [
      { "inbox/a.ts": 'import type { Database } from "bun:sqlite";' },
      "inbox/a.ts imports types of bun:sqlite, which only engines, demo, testing may import",
    ],
    [
      { "app/a.ts": 'import { Database } from "bun:sqlite"; new Database();' },
      "app/a.ts imports bun:sqlite, which only engines, demo, testing may import",
    ],
    [
      { "http/a.ts": 'import { eq } from "drizzle-orm/sqlite-core"; eq();' },
      "http/a.ts imports drizzle-orm/sqlite-core, which only engines may import",
    ],
    [{ "helpers/a.ts": "" }, "helpers/a.ts: the folder helpers is in no layer"],
  ] as [Record<string, string>, string][])("finds a breach: %#", (files, breach) => {
    expect(breaches(program(files))).toEqual([breach]);
  });

  test("accepts imports of lower layers and allowed packages", () => {
    expect(
      breaches(
        program({
          "main.ts": 'import { a } from "./cli/a.ts"; a();',
          "cli/a.ts": 'import { a } from "../demo/a.ts"; import { b } from "../app/b.ts"; a(b);',
          "app/b.ts": 'import { c } from "../config/c.ts"; c();',
          "engines/d.ts":
            'import { Database } from "bun:sqlite"; import { e } from "../providers/e.ts"; new Database(e);',
          "config/c.ts": 'import { f } from "../errors.ts"; import { g } from "./g.ts"; f(g);',
        }),
      ),
    ).toEqual([]);
  });

  test("finds a cycle that includes a type import", () => {
    expect(
      circleIn(
        program({
          "http/a.ts": 'import { b } from "./b.ts"; b();',
          "http/b.ts": 'import { c } from "./c.ts"; c();',
          "http/c.ts": 'import type { A } from "./a.ts";',
        }),
      ),
    ).toEqual(["http/a.ts", "http/b.ts", "http/c.ts", "http/a.ts"]);
  });
});
