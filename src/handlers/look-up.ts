import { keyOf } from "./find.ts";

/**
 * Finds the handler of a type. `issues.opened`, then `issues`, then `_any`: the last dotted part is dropped
 * until a file is found.
 *
 * @param table by folder and key, with a slash between them
 */
export function lookUp<Handler>(
  table: ReadonlyMap<string, Handler>,
  folder: string,
  type: string,
): Handler | null {
  for (let rest = keyOf(type); rest !== ""; rest = withoutLastPart(rest)) {
    const handler = table.get(`${folder}/${rest}`);
    if (handler !== undefined) return handler;
  }
  return table.get(`${folder}/_any`) ?? null;
}

/** The file of the handler that {@link lookUp} would find. */
export function fileFor(files: readonly string[], folder: string, type: string): string | null {
  return lookUp(new Map(files.map((file) => [keyOfFile(file), file])), folder, type);
}

/** `stripe/invoice.paid` of `handlers/stripe/invoice.paid.sql`. */
export function keyOfFile(file: string): string {
  return file.replace(/^handlers\//, "").replace(/\.(?:sql|ts)$/, "");
}

function withoutLastPart(key: string): string {
  const dot = key.lastIndexOf(".");
  // Do not go beyond a slash: `v1.2/orders` has no more general form.
  return dot > key.lastIndexOf("/") ? key.slice(0, dot) : "";
}

/**
 * A filter for the types that may run the handler with this key. It may match others, too: in a key, `_` may
 * be any character.
 *
 * @returns undefined if any type may
 */
export function typesOf(key: string): string | undefined {
  const [begin = ""] = key === "_any" ? [] : key.split("_");
  return begin === "" ? undefined : `${begin}*`;
}
