import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, extname, join, resolve } from "node:path";

/** How often the files are looked at, in milliseconds. Editors that replace a file are noticed as well. */
const EVERY_MS = 150;

/** A file, and what tells that it has changed. */
export type Watched = ReadonlyMap<string, string>;

/**
 * The files that a try depends on, as they are now: the handler, what it imports, the migrations, the config and
 * the given body.
 */
export function filesToWatch(folder: string, handler: string, data: string | undefined): Watched {
  const files = new Set<string>(data === undefined ? [] : [resolve(data)]);
  for (const path of [join(folder, handler), join(folder, "handlers", handler), resolve(handler)])
    addWithImports(path, files);
  const migrations = join(folder, "migrations");
  for (const path of [migrations, join(folder, "hookonce.toml")]) files.add(path);
  if (existsSync(migrations)) for (const name of readdirSync(migrations)) files.add(join(migrations, name));
  return new Map([...files].map((path) => [path, stateOf(path)]));
}

/** Resolves once one of the files is not as it was. */
export async function changedAfter(files: Watched, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && [...files].every(([path, state]) => stateOf(path) === state))
    await Promise.race([Bun.sleep(EVERY_MS), aborted(signal)]);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((done) => signal.addEventListener("abort", () => done(), { once: true }));
}

function stateOf(path: string): string {
  const { mtimeMs, size, ino } = statSync(path, { throwIfNoEntry: false }) ?? {};
  return `${mtimeMs} ${size} ${ino}`;
}

const ENDINGS = ["", ".ts", ".tsx", ".js", ".mjs", ".json", "/index.ts", "/index.js"];

function addWithImports(path: string, files: Set<string>): void {
  if (files.has(path)) return;
  // A file that does not exist may be made later.
  files.add(path);
  if (!/^\.[cm]?[jt]sx?$/.test(extname(path)) || statSync(path, { throwIfNoEntry: false })?.isFile() !== true)
    return;
  for (const imported of importsOf(path)) {
    if (!imported.startsWith(".")) continue;
    const from = join(dirname(path), imported);
    const found = ENDINGS.map((ending) => from + ending).find(
      (one) => statSync(one, { throwIfNoEntry: false })?.isFile() === true,
    );
    addWithImports(found ?? from, files);
  }
}

function importsOf(path: string): string[] {
  try {
    const loader = path.endsWith("x") ? "tsx" : "ts";
    return new Bun.Transpiler({ loader }).scanImports(readFileSync(path)).map((one) => one.path);
  } catch {
    return []; // half written
  }
}
