import { en } from "zod/locales";
// zod's own functional half: the schemas of the other, with all their methods, took a tenth of every start to make.
import * as z from "zod/mini";
import { ADDRESS } from "./address.ts";

/**
 * `hookonce.toml`. Every key there is; what is not here is an error. The schema of each is made when a config has it: all of them are 8 ms
 * of a start, and most configs have five.
 */

const part = once(() =>
  z
    .string()
    .check(
      z.regex(
        /^(?:header:|body:|key:|sha256:body$|new:delivery$)/,
        'write "header:name", "body:$.path", "sha256:body" or "new:delivery"',
      ),
    ),
);
const joined = once(() => z.strictObject({ join: listOf(part()), with: z.string() }));
const keyBeside = once(() => z.strictObject({ key_beside: z.array(z.string()), of: z.optional(part()) }));
const selector = once(() =>
  z.union([part(), joined(), keyBeside(), listOf(z.union([part(), joined(), keyBeside()]))], {
    error: 'write "header:name", "body:$.path", a list of such, or { join = […], with = "…" }',
  }),
);

const batchPath = once(() =>
  z.string().check(z.includes("[*]", { error: 'write a path with [*] in it, such as "body:$[*]"' })),
);

const secret = once(() =>
  z
    .string()
    .check(
      z.regex(
        /^(?:env|file):./,
        'a secret does not stand in the config: write "env:NAME" and put it into .env, or "file:path"',
      ),
    ),
);

const headerName = once(() =>
  z.pipe(
    z.string().check(z.regex(/^[!#$%&'*+.^_`|~\w-]+$/, "not a header's name")),
    z.transform((name: string) => name.toLowerCase()),
  ),
);

/** Bodies being read or waiting for their commit take at most this much together, in bytes. */
export const BODY_BUDGET = 64 * 1024 * 1024;

/** One that fills it would never find room, or only while nobody else is there: its retries, too, would be sent away. */
const MAX_BODY = 60 * 1024 * 1024;

/** A number of bytes, or with a unit: "25 MiB". */
const bytes = once(() =>
  z.union(
    [
      z.int().check(z.positive()),
      z.pipe(
        z.string().check(z.regex(/^[1-9]\d{0,6} ?(?:B|KiB|MiB)$/)),
        z.transform((text: string) => {
          const unit = { B: 1, KiB: 1024, MiB: 1024 * 1024 }[
            text.replace(/[\d ]/g, "") as "B" | "KiB" | "MiB"
          ];
          return Number.parseInt(text, 10) * unit;
        }),
      ),
    ],
    { error: 'write a number of bytes, or such as "25 MiB"' },
  ),
);

const maxBody = once(() =>
  bytes().check(
    z.refine((size) => size <= MAX_BODY, {
      error: "at most 60 MiB: all the bodies that are there at a time may take 64 MiB together",
    }),
  ),
);

const sourceFields = {
  provider: () => z.string(),
  secret: () => z.optional(z.union([secret(), listOf(secret())], { error: issueOf(secret()) })),
  event_id: () => z.optional(selector()),
  type: () => z.optional(selector()),
  max_body: () => z.optional(maxBody()),
  unhandled: () => z.optional(z.enum(["record", "ignore", "fail"])),
  require_change: () => z.optional(z.boolean()),
  same_body: () => z.optional(z.literal("duplicate")),
  previous: () => z.optional(z.string()),
  allow_public: () => z.optional(z.boolean()),
  batch: () => z.optional(z.union([batchPath(), listOf(batchPath())], { error: issueOf(batchPath()) })),
  /** The source whose handlers this one shares. */
  handlers: () => z.optional(z.string()),
  public_url: () =>
    z.optional(
      z.url({ protocol: /^https?$/, error: "write the whole URL that the provider was given: https://…" }),
    ),
  verify_token: () => z.optional(secret()),
  environment: () => z.optional(z.enum(["production", "sandbox"])),
  // How a delivery is signed: for provider = "hmac", or where this source differs from its preset.
  header: () => z.optional(headerName()),
  algorithm: () => z.optional(z.enum(["md5", "sha1", "sha256", "sha512"])),
  encoding: () => z.optional(z.enum(["hex", "base64", "base64url"])),
  prefix: () => z.optional(z.string()),
  separator: () => z.optional(z.string().check(z.minLength(1))),
  signed: () =>
    z.optional(z.string().check(z.includes("{body}", { error: "what is signed must include {body}" }))),
  timestamp_header: () => z.optional(headerName()),
  timestamp_body: () =>
    z.optional(
      z
        .string()
        .check(
          z.startsWith("body:", { error: 'write "body:$.path": the time must stand in what is signed' }),
        ),
    ),
  timestamp_unit: () => z.optional(z.enum(["s", "ms", "iso"])),
  id_header: () => z.optional(headerName()),
  key: () => z.optional(z.enum(["text", "hex", "base64", "whsec", "whsec-or-text"])),
  tolerance: () => z.optional(z.int().check(z.positive())),
  // Where the secret itself is sent: for provider = "static", or where this source differs from its preset.
  secret_in: () =>
    z.optional(
      z.string().check(z.regex(/^(?:header:|body:|basic$)/, 'write "header:name", "body:$.path" or "basic"')),
    ),
};

export const SOURCE_NAME = /^[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$/;

type SourceShape = { [Key in keyof typeof sourceFields]: ReturnType<(typeof sourceFields)[Key]> };
type SourceSchema = z.ZodMiniObject<SourceShape, z.core.$strict>;
export type SourceConfig = z.infer<SourceSchema>;
export type ConfigFile = z.infer<ReturnType<typeof configWith>>;

/** Of sources that have no other keys than these; every other is an error, or need not be there. */
function sourceWith(keys: readonly string[]): SourceSchema {
  const fields = Object.entries(sourceFields).filter(([key]) => key === "provider" || keys.includes(key));
  return z.strictObject(
    Object.fromEntries(fields.map(([key, make]) => [key, make()])),
  ) as unknown as SourceSchema;
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

/** The keys that may stand at a path, to suggest the nearest for one that may not. */
export function keysAt(path: readonly PropertyKey[]): string[] {
  if (path.length === 0) return Object.keys(configWith([]).shape);
  return path[0] === "sources" && path.length === 2 ? Object.keys(sourceFields) : ["join", "with"];
}

/** A union says only "invalid input"; its first member says what is wanted. */
function issueOf(schema: z.ZodMiniType): (issue: { input?: unknown }) => string | undefined {
  return ({ input }) =>
    schema.safeParse(Array.isArray(input) ? input[0] : input, reading).error?.issues[0]?.message;
}

function listOf<Item extends z.ZodMiniType>(item: Item): z.ZodMiniArray<Item> {
  return z.array(item).check(z.minLength(1));
}

function once<Made>(make: () => Made): () => Made {
  let made: Made | undefined;
  return () => (made ??= make());
}
