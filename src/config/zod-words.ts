import type { $ZodError, $ZodIssue } from "zod/v4/core";

/**
 * The issues of a schema in words, one a line. zod's own text, as in "Invalid input: expected string,
 * received undefined", does not name the field first, and the user did not write `undefined`.
 */
export function zodInWords({ issues }: Pick<$ZodError, "issues">): string {
  return issues.map(inWords).join("\n");
}

function inWords(issue: $ZodIssue): string {
  const field = issue.path.map(String).join(".") || "the value";
  if (issue.code === "invalid_type") {
    const received = /received (\w+)/.exec(issue.message)?.[1];
    if (received === "undefined") return `${field} is missing: ${article(issue.expected)} is expected`;
    if (received !== undefined)
      return `${field} is ${article(received)}: ${article(issue.expected)} is expected`;
  }
  if (issue.code === "invalid_value")
    return `${field} is not one of ${issue.values.map((value) => JSON.stringify(String(value))).join(", ")}`;
  if (issue.code === "unrecognized_keys") return `${field} has unknown keys: ${someOf(issue.keys)}`;
  if (issue.message === "Invalid input") return `${field} is not valid`;
  return `${field}: ${issue.message}`;
}

/** The most keys that a message names. */
const MAX_NAMED = 20;

function someOf(keys: readonly string[]): string {
  const named = keys.slice(0, MAX_NAMED).join(", ");
  return keys.length > MAX_NAMED ? `${named} and ${keys.length - MAX_NAMED} more` : named;
}

function article(type: string): string {
  if (type === "null" || type === "nan" || type === "undefined") return type;
  return `${/^[aeiou]/.test(type) ? "an" : "a"} ${type}`;
}
