import type * as z from "zod/mini";
import type { Problem } from "../errors.ts";
import { nearest } from "./nearest.ts";
import { oldKeyProblem } from "./old-keys.ts";
import { keysAt, rawSources, readSource, SOURCE_NAME } from "./schema.ts";
import type { TomlDocument } from "./toml.ts";

export const CONFIG_FILE = "hookonce.toml";

/** What the schema says of a value, each with its line. */
export function problemsOf(issue: z.core.$ZodIssue, document: TomlDocument): Problem[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => {
      const path = [...issue.path, key];
      const what =
        oldKeyProblem(path, valueAt(document.value, path)) ??
        `is not a key; ${nearest(key, keysAt(issue.path))}`;
      return { file: CONFIG_FILE, line: document.lineOf(path), message: `${fieldOf(path)} ${what}` };
    });
  }
  const unknown = unknownKeyIn(issue);
  if (unknown !== undefined) return problemsOf(unknown, document);
  // A record says of a bad key only that it is one; what is wrong with it is inside.
  const message = issue.code === "invalid_key" ? (issue.issues[0]?.message ?? issue.message) : issue.message;
  return [
    {
      file: CONFIG_FILE,
      line: document.lineOf(issue.path),
      message: `${fieldOf(issue.path) || "the file"}: ${message}`,
    },
  ];
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value;
  for (const key of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, key)) return undefined;
    at = (at as Record<PropertyKey, unknown>)[key];
  }
  return at;
}

/** Which one in a list is seen on its line. */
function fieldOf(path: readonly PropertyKey[]): string {
  return path.filter((key) => typeof key !== "number").join(".");
}

/**
 * Of a value that may be of several kinds zod only says that it is none of them. One with a key too many is meant to be of the kind that
 * has the fewest such keys.
 */
function unknownKeyIn(issue: z.core.$ZodIssue): z.core.$ZodIssueUnrecognizedKeys | undefined {
  if (issue.code !== "invalid_union") return undefined;
  return issue.errors
    .flat()
    .flatMap((inner) => {
      const within = under(issue.path, inner);
      return (within.code === "unrecognized_keys" ? within : unknownKeyIn(within)) ?? [];
    })
    .sort((a, b) => a.keys.length - b.keys.length)
    .find(({ path, keys }) => !keys.some((key) => keysAt(path).includes(key)));
}

/** What is wrong inside sources whose own name is: a record does not look there. */
export function problemsOfMisnamed(document: TomlDocument): Problem[] {
  return rawSources(document.value)
    .filter(([name]) => !SOURCE_NAME.test(name))
    .flatMap(([name, value]) =>
      (readSource(value).error?.issues ?? []).flatMap((issue) =>
        problemsOf(under(["sources", name], issue), document),
      ),
    );
}

function under(path: readonly PropertyKey[], issue: z.core.$ZodIssue): z.core.$ZodIssue {
  return { ...issue, path: [...path, ...issue.path] };
}
