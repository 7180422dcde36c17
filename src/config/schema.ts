import { en } from "zod/locales";
// zod's own functional half: the schemas of the other, with all their methods, took a tenth of every start to make.
import * as z from "zod/mini";
import { ADDRESS } from "./address.ts";
import { durationProblem, parseDuration } from "./duration.ts";
import { parseSize, sizeProblem } from "./size.ts";

/**
 * `hookonce.toml`. Every key there is; what is not here is an error. The schema of each is made when a config has it: all of them are 8 ms
 * of a start, and most configs have five.
 */

/** Only that it is text: src/app/paths.ts reads paths, with the grammar that compiles them. */
const path = once(() => z.string());
const joined = once(() => z.strictObject({ join: listOf(path()), with: z.string() }));
const keyBeside = once(() => z.strictObject({ key_beside: z.array(z.string()), of: z.optional(path()) }));
const selector = once(() =>
  z.union([path(), joined(), keyBeside(), listOf(z.union([path(), joined(), keyBeside()]))], {
    error: 'write "header:name", "body:$.path", a list of these, or { join = […], with = "…" }',
  }),
);

const secret = once(() =>
  z
    .string()
    .check(
      z.regex(
        /^(?:env|file):./,
        'secrets are not written in the config: write "env:NAME" and put the secret into .env, or write "file:path"',
      ),
    ),
);

const headerName = once(() =>
  z.pipe(
    z
      .string()
      .check(
        z.regex(
          /^[!#$%&'*+.^_`|~\w-]+$/,
          'not a header name: write the name alone, as in header = "x-signature"',
        ),
      ),
    z.transform((name: string) => name.toLowerCase()),
  ),
);

/** All bodies that are being read or wait for their commit take at most this much together, in bytes. */
export const BODY_BUDGET = 64 * 1024 * 1024;

/**
 * In bytes. A body as large as the budget would find room only while no other delivery is in flight, and its retries would be refused
 * as well.
 */
const MAX_BODY = 60 * 1024 * 1024;

/** In milliseconds. */
const duration = once(() => measure(parseDuration, durationProblem));

/** In bytes. */
const size = once(() => measure(parseSize, sizeProblem));

const maxBody = once(() =>
  size().check(
    z.refine((bytes) => bytes <= MAX_BODY, {
      error: "the largest is 60 MiB, because all bodies in memory may take 64 MiB together",
    }),
  ),
);

/** How a delivery is signed: for provider = "hmac", or to change a preset key by key. */
const signatureFields = {
  header: () => z.optional(headerName()),
  algorithm: () => z.optional(z.enum(["md5", "sha1", "sha256", "sha512"])),
  encoding: () => z.optional(z.enum(["hex", "base64", "base64url"])),
  prefix: () => z.optional(z.string()),
  separator: () => z.optional(z.string().check(z.minLength(1))),
  signed: () =>
    z.optional(z.string().check(z.includes("{body}", { error: "what is signed must include {body}" }))),
  timestamp: () => z.optional(path()),
  timestamp_unit: () => z.optional(z.enum(["s", "ms", "iso"])),
  id: () => z.optional(path()),
  secret_encoding: () => z.optional(z.enum(["text", "hex", "base64", "whsec", "whsec-or-text"])),
};

const sourceFields = {
  provider: () => z.string(),
  secret: () => z.optional(z.union([secret(), listOf(secret())], { error: issueOf(secret()) })),
  event_id: () => z.optional(selector()),
  type: () => z.optional(selector()),
  signature: () => z.optional(strictObjectOf(signatureFields)),
  tolerance: () =>
    z.optional(duration().check(z.refine((ms) => ms > 0, { error: 'write at least tolerance = "1s"' }))),
  // Where the secret itself is sent: for provider = "static", or to change a preset.
  secret_in: () => z.optional(path()),
  max_body: () => z.optional(maxBody()),
  unhandled: () => z.optional(z.enum(["record", "ignore", "fail"])),
  require_change: () => z.optional(z.boolean()),
  same_body: () => z.optional(z.literal("duplicate")),
  renamed_from: () => z.optional(z.string()),
  allow_public: () => z.optional(z.boolean()),
  batch: () =>
    z.optional(z.union([path(), listOf(path())], { error: 'write a path with [*] in it: "body:$[*]"' })),
  /** The source whose handlers this one shares. */
  handlers: () => z.optional(z.string()),
  public_url: () =>
    z.optional(
      z.url({ protocol: /^https?$/, error: "write the whole URL that the provider was given: https://…" }),
    ),
  verify_token: () => z.optional(secret()),
  environment: () => z.optional(z.enum(["production", "sandbox"])),
};

export const SOURCE_NAME = /^[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$/;

type SchemaOf<Fields extends Record<string, () => z.ZodMiniType>> = z.ZodMiniObject<
  { [Key in keyof Fields]: ReturnType<Fields[Key]> },
  z.core.$strict
>;
type SignatureSchema = SchemaOf<typeof signatureFields>;
type SourceSchema = SchemaOf<typeof sourceFields>;
export type SignatureConfig = z.infer<SignatureSchema>;
export type SourceConfig = z.infer<SourceSchema>;
export type ConfigFile = z.infer<ReturnType<typeof configWith>>;

/** A schema for sources that have no other keys than these. Each other key is either an error or absent. */
function sourceWith(keys: readonly string[]): SourceSchema {
  const fields = Object.entries(sourceFields).filter(([key]) => key === "provider" || keys.includes(key));
  return strictObjectOf(Object.fromEntries(fields) as typeof sourceFields);
}

function strictObjectOf<Fields extends Record<string, () => z.ZodMiniType>>(
  fields: Fields,
): SchemaOf<Fields> {
  const shape = Object.fromEntries(Object.entries(fields).map(([key, make]) => [key, make()]));
  return z.strictObject(shape) as SchemaOf<Fields>;
}

function configWith(keys: readonly string[]) {
  const sourceName = z
    .string()
    .check(
      z.regex(SOURCE_NAME, "a source's name is part of its URL: small letters, digits, - and _, at most 64"),
    );
  return z.strictObject({
    version: z.literal(1, { error: "this hookonce reads version = 1" }),
    listen: z._default(
      z.string().check(z.regex(ADDRESS, 'write host:port, such as "127.0.0.1:8787"')),
      "127.0.0.1:8787",
    ),
    database: z._default(z.string().check(z.minLength(1)), "data/hookonce.db"),
    convert_to_wal: z._default(z.boolean(), false),
    sources: z
      .record(sourceName, sourceWith(keys))
      .check(
        z.refine((sources) => Object.keys(sources).length > 0, "name at least one source: [sources.stripe]"),
      ),
  });
}

/** In words; and without the code that zod would write for what is read many times, which takes longer than to read this once. */
const reading = { error: en().localeError, jitless: true };

export function readConfigFile(value: unknown): z.core.util.SafeParseResult<ConfigFile> {
  const keys = rawSources(value).flatMap(([, source]) => Object.keys(tableOf(source)));
  return configWith(keys).safeParse(value, reading);
}

export function readSource(value: unknown): z.core.util.SafeParseResult<SourceConfig> {
  return sourceWith(Object.keys(tableOf(value))).safeParse(value, reading);
}

/** The sources as they are written, whatever is wrong with them. */
export function rawSources(value: unknown): [name: string, source: unknown][] {
  return Object.entries(tableOf(tableOf(value)["sources"]));
}

/** Empty where it is none. */
export function tableOf(value: unknown): Readonly<Record<string, unknown>> {
  const isTable = typeof value === "object" && value !== null && !Array.isArray(value);
  return isTable ? (value as Record<string, unknown>) : {};
}

/** The keys that a table may have, to suggest the nearest for an unknown one. */
export function keysAt(path: readonly PropertyKey[]): string[] {
  if (path.length === 0) return Object.keys(configWith([]).shape);
  if (path[0] === "sources" && path.length === 2) return Object.keys(sourceFields);
  return path[2] === "signature" ? Object.keys(signatureFields) : ["join", "with"];
}

/** What is wrong with a value for a key of a source, such as `signature.header`; undefined if it fits. */
export function problemWith(key: string, value: unknown): string | undefined {
  const fields: Record<string, () => z.ZodMiniType> = { ...sourceFields };
  for (const [name, make] of Object.entries(signatureFields)) fields[`signature.${name}`] = make;
  return fields[key]?.().safeParse(value, reading).error?.issues[0]?.message;
}

/** A union says only "invalid input"; its first member says what is wanted. */
function issueOf(schema: z.ZodMiniType): (issue: { input?: unknown }) => string | undefined {
  return ({ input }) =>
    schema.safeParse(Array.isArray(input) ? input[0] : input, reading).error?.issues[0]?.message;
}

/** A text that `parse` turns into a number. */
function measure(
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

function listOf<Item extends z.ZodMiniType>(item: Item): z.ZodMiniArray<Item> {
  return z.array(item).check(z.minLength(1));
}

function once<Made>(make: () => Made): () => Made {
  let made: Made | undefined;
  return () => (made ??= make());
}
