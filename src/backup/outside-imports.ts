import { readFileSync } from "node:fs";
import { dirname, isAbsolute, relative } from "node:path";
import { messageOf } from "../errors.ts";
import type { Content } from "./contents.ts";
import { isWithin } from "./paths.ts";

/** Files whose imports are followed. */
const CODE = /^handlers\/(?!(?:.*\/)?node_modules\/).*\.[cm]?[jt]sx?$/;

/**
 * Names what handlers import from outside the inbox folder: a backup does not hold it, so the handlers would not load
 * after a restore on another machine.
 *
 * @param folder absolute, without symbolic links
 * @param supplied the packages that hookonce supplies to handlers
 */
export function outsideImports(
  folder: string,
  contents: readonly Content[],
  supplied: readonly string[],
): string[] {
  return contents
    .filter(({ path, kind }) => kind === "file" && CODE.test(path))
    .flatMap(({ path, from }) => {
      const outside = importsOf(path, from, supplied).filter((file) => !isWithin(file, folder));
      return [...new Set(outside)].map(
        (file) =>
          `${path} imports ${relative(dirname(from), file)} from outside the inbox folder, which the backup does not hold.`,
      );
    });
}

/** The files that a module imports, as absolute paths. */
function importsOf(path: string, from: string, supplied: readonly string[]): string[] {
  const loader = path.endsWith("x") ? "tsx" : "ts";
  let imports: Bun.Import[];
  try {
    imports = new Bun.Transpiler({ loader }).scanImports(readFileSync(from));
  } catch (error) {
    // A syntax error. `check` reports it.
    if (messageOf(error) === "") throw error;
    return [];
  }
  return imports.flatMap(({ path: imported }) => {
    if (supplied.some((name) => imported === name || imported.startsWith(`${name}/`))) return [];
    try {
      const file = Bun.resolveSync(imported, dirname(from));
      return isAbsolute(file) ? [file] : []; // a module of Bun
    } catch {
      return []; // `check` reports it
    }
  });
}
