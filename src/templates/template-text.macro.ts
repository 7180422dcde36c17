import { readFileSync } from "node:fs";

/**
 * The text of a file below src/templates, inserted into the code when it is transpiled or compiled.
 *
 * It is a macro because TypeScript ignores the attribute in `import … with { type: "text" }`: importing the
 * template handler that way would include the file, which is written for another tsconfig, in this project's
 * type check.
 */
export function templateText(path: string): string {
  return readFileSync(`${import.meta.dir}/${path}`, "utf8");
}
