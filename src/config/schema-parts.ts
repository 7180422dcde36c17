import * as z from "zod/mini";
import { literal } from "./literal.ts";
import { durationProblem, parseDuration } from "./duration.ts";
import { parseSize, sizeProblem } from "./size.ts";

/** What several keys of `hookonce.toml` are made of. */

/** Only checks that it is text. app/path-problems.ts checks paths with the grammar that compiles them. */
export const path = once(() => z.string());
const joined = once(() => z.strictObject({ join: listOf(path()), with: z.string() }));
const keyBeside = once(() => z.strictObject({ key_beside: z.array(z.string()), of: z.optional(path()) }));
export const selector = once(() =>
  z.union(
    [path(), joined(), keyBeside(), listOf(z.union([path(), joined(), keyBeside()]))],
    oneOrMore('write "header:name", "body:$.path", a list of these, or { join = […], with = "…" }'),
  ),
);

/** In milliseconds. */
export const duration = once(() => measure(parseDuration, durationProblem));

/** In bytes. */
export const size = once(() => measure(parseSize, sizeProblem));

export const NO_SECRET =
  'the config must not contain a secret: write "env:NAME" and put NAME=… into .env, or write "file:path"';
/** The name of a variable without the env: before it. A secret never looks like this, so it may be repeated. */
const VARIABLE = /^[A-Z][A-Z0-9]*_(?:[A-Z0-9]+_)*(?:SECRET|KEY|TOKEN)$/;
const noSecret = ({ input }: { input?: unknown }): string =>
  typeof input === "string" && VARIABLE.test(input)
    ? `"${input}" is neither env:NAME nor file:path: write "env:${input}" and put ${input}=… into .env`
    : NO_SECRET;
export const secret = once(() => z.string(NO_SECRET).check(z.regex(/^(?:env|file):./, { error: noSecret })));

export const HEADER_NAME = /^[!#$%&'*+.^_`|~\w-]+$/;

export const headerName = once(() =>
  z.pipe(
    z.string().check(
      z.regex(HEADER_NAME, {
        error: ({ input }) =>
          `${literal(input)} is not a header name: write the name alone, as in header = "x-signature"`,
      }),
    ),
    z.transform((name: string) => name.toLowerCase()),
  ),
);

/** Whole types, or prefixes and `*`. */
export const types = once(() =>
  listOf(
    z.string().check(
      z.regex(/^[^*]*\*?$/, {
        error: ({ input }) =>
          `${literal(input)} has a * that is not its last character: write a whole type, or a prefix and *, as in "customer.subscription.*"`,
      }),
    ),
  ),
);

const newestRule = once(() =>
  z.strictObject({
    types: types(),
    key: selector(),
    version: selector(),
    ties: z._default(z.enum(["apply", "fail"]), "apply"),
  }),
);

/** One table, or a list of them. */
export const newestWins = once(() =>
  z.pipe(
    z.transform((value: unknown): unknown => (Array.isArray(value) ? value : [value])),
    listOf(newestRule()),
  ),
);

export const newestWinsKeys = (): string[] => Object.keys(newestRule().shape);

/**
 * The message for a value that may also be a list of such values. For a union zod only says "invalid input".
 */
export function oneOrMore(message: string): { error: (issue: { readonly input?: unknown }) => string } {
  return {
    error: ({ input }) => (Array.isArray(input) && input.length === 0 ? "is an empty list" : message),
  };
}

/** Text that `parse` turns into a number. */
export function measure(
  parse: (text: string) => number | undefined,
  problem: (key: string, value: unknown) => string,
): z.ZodMiniType<number> {
  return z.pipe(
    z.custom<string>((value) => typeof value === "string" && parse(value) !== undefined, {
      error: ({ input, path = [] }) => problem(String(path.at(-1)), input),
    }),
    z.transform((text: string) => parse(text) ?? 0),
  );
}

/** @param remedy what to write instead */
export function wholeNumber(min: number, max: number, remedy: string): z.ZodMiniType<number> {
  return z.custom<number>((value) => Number.isInteger(value) && value >= min && value <= max, {
    error: ({ input }) => `${literal(input)} is not a whole number from ${min} to ${max}: ${remedy}`,
  });
}

export function listOf<Item extends z.ZodMiniType>(
  item: Item,
  params?: { readonly error: (issue: { readonly input?: unknown }) => string },
): z.ZodMiniArray<Item> {
  return z.array(item, params).check(z.minLength(1));
}

export function once<Made>(make: () => Made): () => Made {
  let made: Made | undefined;
  return () => (made ??= make());
}

export type SchemaOf<Fields extends Record<string, () => z.ZodMiniType>> = z.ZodMiniObject<
  { [Key in keyof Fields]: ReturnType<Fields[Key]> },
  z.core.$strict
>;
/** Returns a schema for a table with these keys. Any other key is an error. */
export function strictObjectOf<Fields extends Record<string, () => z.ZodMiniType>>(
  fields: Fields,
): SchemaOf<Fields> {
  const shape = Object.fromEntries(Object.entries(fields).map(([key, make]) => [key, make()]));
  return z.strictObject(shape) as SchemaOf<Fields>;
}
