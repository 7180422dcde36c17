import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const src = join(import.meta.dir, "../src");

/** Maps every module that a start of `serve` imports statically to the file that imports it. */
function importedAtStart(): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const transpiler = new Bun.Transpiler({ loader: "ts" });
  const walk = (file: string): void => {
    // scanImports leaves out types and reports dynamic imports as another kind.
    for (const { kind, path } of transpiler.scanImports(readFileSync(file, "utf8"))) {
      // A macro runs at compile time. Only its result is in the code.
      if (kind !== "import-statement" || path.endsWith(".macro.ts")) continue;
      const own = path.startsWith(".") ? join(dirname(file), path) : undefined;
      const name = own === undefined ? path : relative(src, own);
      if (found.has(name)) continue;
      found.set(name, relative(src, file));
      if (own?.endsWith(".ts") === true) walk(own);
    }
  };
  walk(join(src, "main.ts"));
  walk(join(src, "cli/serve.ts"));
  return found;
}

const imported = importedAtStart();

// Each of these adds 2 to 20 ms to a start, mostly for the streams that it loads. One static import is
// enough.
test.each([
  ...["crypto", "zlib", "util", "stream", "tty", "process", "child_process", "worker_threads"].flatMap(
    (name) => [name, `node:${name}`],
  ),
  "zod",
  "zod/v4",
  "jose",
  "pino",
  "pino-pretty",
  "drizzle-orm",
  "drizzle-orm/bun-sqlite",
  "drizzle-orm/sqlite-core",
  join("handlers", "modules.ts"),
  join("handlers", "ts-module.ts"),
  join("engines", "sqlite", "ts-handler.ts"),
  join("engines", "sqlite", "reader.ts"),
])("serve starts without %s", (name) => {
  expect(imported.get(name)).toBeUndefined();
});

test("the scan reads every file that serve imports at its start", () => {
  expect(imported.size).toBeGreaterThan(80);
  expect(imported.has(join("engines", "sqlite", "sql-handler.ts"))).toBe(true);
  expect(imported.get("bun:sqlite")).toStartWith("engines");
});

// An import of node:process reads all of its getters, process.stdout among them.
test("commander does not import node:process", () => {
  const folder = dirname(Bun.resolveSync("commander/package.json", import.meta.dir));
  const files = readdirSync(join(folder, "lib")).map((name) => join(folder, "lib", name));
  const transpiler = new Bun.Transpiler({ loader: "js" });
  const imports = files.flatMap((file) => transpiler.scanImports(readFileSync(file, "utf8")));
  expect(imports.map(({ path }) => path)).toContain("node:events");
  expect(imports.filter(({ kind, path }) => kind === "import-statement" && path === "node:process")).toEqual(
    [],
  );
});
