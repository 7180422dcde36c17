import type * as z from "zod/mini";
import { literal } from "./literal.ts";

/** This key's value may be a secret that was written in the wrong place, so messages do not repeat it. */
const MAY_BE_SECRET = "secret_encoding";

/**
 * Returns the text of a zod issue for a config error, for schemas that define no text. A text that begins
 * with "is" continues the name of the field.
 */
export function inWords(issue: z.core.$ZodRawIssue): string | undefined {
  const { input, path = [] } = issue;
  const value = path.includes(MAY_BE_SECRET) ? "the value" : literal(input);
  if (issue.code === "invalid_type") {
    return input === undefined ? "is missing" : `${value} is not ${TYPES[issue.expected] ?? issue.expected}`;
  }
  if (issue.code === "invalid_value")
    return `${value} is not one of the choices: write ${listed(issue.values.map(literal))}`;
  if (issue.code === "too_small") return issue.origin === "array" ? "is an empty list" : "is empty";
  return undefined;
}

/** `jitless`: zod would otherwise generate code for each schema, which takes longer than reading once. */
export const reading = { error: inWords, jitless: true };

const TYPES: Readonly<Record<string, string>> = {
  string: "text: write it in quotation marks",
  boolean: "true or false: write one of them, without quotation marks",
  array: "a list: write [ … ]",
  object: "a table: write { … }",
  record: "a table",
};

function listed(choices: readonly string[]): string {
  const last = choices.at(-1) ?? "";
  return choices.length < 2 ? last : `${choices.slice(0, -1).join(", ")} or ${last}`;
}
