import type * as z from "zod/mini";
import type { Problem } from "../errors.ts";
import { nearest } from "./nearest.ts";
import { oldKeyProblem } from "./old-keys.ts";
import { keysAt, rawSources, readSource, SOURCE_NAME } from "./schema.ts";
import type { TomlDocument } from "./toml.ts";

export const CONFIG_FILE = "hookonce.toml";

/** Turns an issue that zod found into problems, each with its line. */
export function problemsOf(issue: z.core.$ZodIssue, document: TomlDocument): Problem[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => {
      const path = [...issue.path, key];
      const what =
        oldKeyProblem(path, valueAt(document.value, path)) ??
        `is not a key; ${nearest(key, keysAt(issue.path))}`;
      return problemAt(path, what, document);
    });
  }
  const unknown = unknownKeysIn(issue);
  if (unknown !== undefined) return problemsOf(unknown, document);
  // For a record key that is not allowed, zod's own message gives no reason. The reason is one level deeper.
  const message = issue.code === "invalid_key" ? (issue.issues[0]?.message ?? issue.message) : issue.message;
  return [problemAt(issue.path, message, document)];
}

function problemAt(path: readonly PropertyKey[], message: string, document: TomlDocument): Problem {
  // The index in a list is left out: the line shows which element it is.
  const field = path.filter((key) => typeof key !== "number").join(".") || "the file";
  const between = message.startsWith("is ") ? " " : ": ";
  return { file: CONFIG_FILE, line: document.lineOf(path), message: `${field}${between}${message}` };
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value;
  for (const key of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, key)) return undefined;
    at = (at as Record<PropertyKey, unknown>)[key];
  }
  return at;
}

/**
 * If a value may have one of several shapes, zod only says that it has none of them. If the value has an
 * unknown key, it is assumed to be meant as the shape in which the fewest of its keys are unknown, and those
 * keys are reported.
 */
function unknownKeysIn(issue: z.core.$ZodIssue): z.core.$ZodIssueUnrecognizedKeys | undefined {
  if (issue.code !== "invalid_union") return undefined;
  return issue.errors
    .flat()
    .flatMap((inner) => {
      const within = under(issue.path, inner);
      return (within.code === "unrecognized_keys" ? within : unknownKeysIn(within)) ?? [];
    })
    .sort((a, b) => a.keys.length - b.keys.length)
    .find(({ path, keys }) => !keys.some((key) => keysAt(path).includes(key)));
}

/** The problems in sources whose name is not allowed. zod does not look into the values of such keys. */
export function problemsInMisnamedSources(document: TomlDocument): Problem[] {
  return rawSources(document.value)
    .filter(([name]) => !SOURCE_NAME.test(name))
    .flatMap(([name, value]) => problemsUnder(["sources", name], readSource(value), document));
}

/** The problems with a table that was read by itself. */
export function problemsUnder(
  path: readonly PropertyKey[],
  { error }: z.core.util.SafeParseResult<unknown>,
  document: TomlDocument,
): Problem[] {
  return (error?.issues ?? []).flatMap((issue) => problemsOf(under(path, issue), document));
}

function under(path: readonly PropertyKey[], issue: z.core.$ZodIssue): z.core.$ZodIssue {
  return { ...issue, path: [...path, ...issue.path] };
}
