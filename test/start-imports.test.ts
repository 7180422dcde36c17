import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const src = join(import.meta.dir, "../src");

/** What is imported at every start of `serve`, and by which file. What is loaded when it is needed is not among it. */
function importedAtStart(): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const transpiler = new Bun.Transpiler({ loader: "ts" });
  const walk = (file: string): void => {
    // Types are left out by this, and dynamic imports have a kind of their own.
    for (const { kind, path } of transpiler.scanImports(readFileSync(file, "utf8"))) {
      // Of a macro only what it comes to is in the code.
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

// Each of these is 2 to 20 ms of a start, most for the streams that it brings along. A static import in one file is enough.
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
  join("handlers", "ts-handler.ts"),
])("serve starts without %s", (name) => {
  expect(imported.get(name)).toBeUndefined();
});

test("which is found out by reading all of it", () => {
  expect(imported.size).toBeGreaterThan(80);
  expect(imported.has(join("handlers", "sql-handler.ts"))).toBe(true);
  expect(imported.get("bun:sqlite")).toStartWith("engines");
});

test("nor does commander import node:process, every getter of which is read then, process.stdout among them", () => {
  const folder = dirname(Bun.resolveSync("commander/package.json", import.meta.dir));
  const files = readdirSync(join(folder, "lib")).map((name) => join(folder, "lib", name));
  const transpiler = new Bun.Transpiler({ loader: "js" });
  const imports = files.flatMap((file) => transpiler.scanImports(readFileSync(file, "utf8")));
  expect(imports.map(({ path }) => path)).toContain("node:events");
  expect(imports.filter(({ kind, path }) => kind === "import-statement" && path === "node:process")).toEqual(
    [],
  );
});
