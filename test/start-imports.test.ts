import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fromSource, inboxFiles, scratch, serve } from "./cli/support/hookonce.ts";

const src = join(import.meta.dir, "../src");

/** Maps every module that these files import statically to the file that imports it. */
function importedFrom(...entries: readonly string[]): ReadonlyMap<string, string> {
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
  for (const entry of entries) walk(join(src, entry));
  return found;
}

const imported = importedFrom("main.ts", "cli/serve.ts");

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
  join("app", "admin-apps.ts"),
  join("app", "sending.ts"),
  join("outbox", "dispatch.ts"),
  join("http", "admin", "routes.ts"),
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

// An inbox on SQLite pays nothing for the other engine.
test("serve starts without PostgreSQL", () => {
  expect([...imported.keys()].filter((name) => /postgres/i.test(name))).toEqual([]);
});

test("the API starts without prom-client, which the first scrape loads", () => {
  const api = importedFrom("app/admin-apps.ts");
  expect(api.has(join("http", "admin", "metrics-routes.ts"))).toBe(true);
  expect(api.get("prom-client")).toBeUndefined();
});

// `process.stdout` takes 20 ms to load. An import of node:process, also in a package, reads it with all other
// getters.
test("serve starts without reading process.stdout", async () => {
  using inbox = scratch({
    ...inboxFiles,
    "preload.ts": `const { get } = Object.getOwnPropertyDescriptor(process, "stdout");
Object.defineProperty(process, "stdout", { get() { console.error("process.stdout was read"); return get.call(process); } });`,
  });
  const [bun = "", ...main] = fromSource;
  const program = [bun, "--preload", join(inbox.path, "preload.ts"), ...main];
  await using server = await serve(inbox.path, { program });
  server.signal("SIGTERM");
  expect((await server.ended).stderr).toBe("");
});
