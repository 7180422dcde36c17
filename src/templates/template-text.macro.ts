import { readFileSync } from "node:fs";

/**
 * The text of a file below src/templates, put into the code while it is transpiled or compiled.
 *
 * A macro and not `import … with { type: "text" }`, because TypeScript takes no notice of the attribute: an import of
 * the template handler would pull that file, which is written for another tsconfig, into the type check of this project.
 */
export function templateText(path: string): string {
  return readFileSync(`${import.meta.dir}/${path}`, "utf8");
}
