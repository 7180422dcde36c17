import { z } from "zod";
import { ADDRESS } from "./address.ts";

/** `hookonce.toml`. Every key there is; what is not here is an error. */

const part = z
  .string()
  .regex(
    /^(?:header:|body:|key:|sha256:body$|new:delivery$)/,
    'write "header:name", "body:$.path", "sha256:body" or "new:delivery"',
  );
const joined = z.strictObject({ join: z.array(part).min(1), with: z.string() });
const keyBeside = z.strictObject({ key_beside: z.array(z.string()), of: part.optional() });
const selector = z.union([part, joined, keyBeside, z.array(z.union([part, joined, keyBeside])).min(1)], {
  error: 'write "header:name", "body:$.path", a list of such, or { join = […], with = "…" }',
});

const batchPath = z.string().includes("[*]", { error: 'write a path with [*] in it, such as "body:$[*]"' });

const secret = z
  .string()
  .regex(
    /^(?:env|file):./,
    'a secret does not stand in the config: write "env:NAME" and put it into .env, or "file:path"',
  );

const headerName = z
  .string()
  .regex(/^[!#$%&'*+.^_`|~\w-]+$/, "not a header's name")
  .transform((name) => name.toLowerCase());

/** Bodies being read or waiting for their commit take at most this much together, in bytes. */
export const BODY_BUDGET = 64 * 1024 * 1024;

/** One that fills it would never find room, or only while nobody else is there: its retries, too, would be sent away. */
const MAX_BODY = 60 * 1024 * 1024;

/** A number of bytes, or with a unit: "25 MiB". */
const bytes = z.union(
  [
    z.int().positive(),
    z
      .string()
      .regex(/^[1-9]\d{0,6} ?(?:B|KiB|MiB)$/)
      .transform((text) => {
        const unit = { B: 1, KiB: 1024, MiB: 1024 * 1024 }[text.replace(/[\d ]/g, "") as "B" | "KiB" | "MiB"];
        return Number.parseInt(text, 10) * unit;
      }),
  ],
  { error: 'write a number of bytes, or such as "25 MiB"' },
);

const maxBody = bytes.refine((size) => size <= MAX_BODY, {
  error: "at most 60 MiB: all the bodies that are there at a time may take 64 MiB together",
});

const source = z.strictObject({
  provider: z.string(),
  secret: z.union([secret, z.array(secret).min(1)], { error: issueOf(secret) }).optional(),
  event_id: selector.optional(),
  type: selector.optional(),
  max_body: maxBody.optional(),
  unhandled: z.enum(["record", "ignore", "fail"]).optional(),
  require_change: z.boolean().optional(),
  same_body: z.literal("duplicate").optional(),
  previous: z.string().optional(),
  allow_public: z.boolean().optional(),
  batch: z.union([batchPath, z.array(batchPath).min(1)], { error: issueOf(batchPath) }).optional(),
  /** The source whose handlers this one shares. */
  handlers: z.string().optional(),
  public_url: z
    .url({ protocol: /^https?$/, error: "write the whole URL that the provider was given: https://…" })
    .optional(),
  verify_token: secret.optional(),
  environment: z.enum(["production", "sandbox"]).optional(),
  // How a delivery is signed: for provider = "hmac", or where this source differs from its preset.
  header: headerName.optional(),
  algorithm: z.enum(["md5", "sha1", "sha256", "sha512"]).optional(),
  encoding: z.enum(["hex", "base64", "base64url"]).optional(),
  prefix: z.string().optional(),
  separator: z.string().min(1).optional(),
  signed: z.string().includes("{body}", { error: "what is signed must include {body}" }).optional(),
  timestamp_header: headerName.optional(),
  timestamp_body: z
    .string()
    .startsWith("body:", { error: 'write "body:$.path": the time must stand in what is signed' })
    .optional(),
  timestamp_unit: z.enum(["s", "ms", "iso"]).optional(),
  id_header: headerName.optional(),
  key: z.enum(["text", "hex", "base64", "whsec", "whsec-or-text"]).optional(),
  tolerance: z.int().positive().optional(),
  // Where the secret itself is sent: for provider = "static", or where this source differs from its preset.
  secret_in: z
    .string()
    .regex(/^(?:header:|body:|basic$)/, 'write "header:name", "body:$.path" or "basic"')
    .optional(),
});

export const SOURCE_NAME = /^[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$/;

export const configSchema = z.strictObject({
  version: z.literal(1, { error: "this hookonce reads version = 1" }),
  listen: z.string().regex(ADDRESS, 'write host:port, such as "127.0.0.1:8787"').default("127.0.0.1:8787"),
  database: z.string().min(1).default("data/hookonce.db"),
  convert_to_wal: z.boolean().default(false),
  sources: z
    .record(
      z
        .string()
        .regex(SOURCE_NAME, "a source's name is part of its URL: small letters, digits, - and _, at most 64"),
      source,
    )
    .refine((sources) => Object.keys(sources).length > 0, "name at least one source: [sources.stripe]"),
});

export { source as sourceSchema };

export type ConfigFile = z.infer<typeof configSchema>;
export type SourceConfig = z.infer<typeof source>;

/** The keys that may stand at a path, to suggest the nearest for one that may not. */
export function keysAt(path: readonly PropertyKey[]): string[] {
  if (path.length === 0) return Object.keys(configSchema.shape);
  return path[0] === "sources" && path.length === 2 ? Object.keys(source.shape) : ["join", "with"];
}

/** A union says only "invalid input"; its first member says what is wanted. */
function issueOf(schema: z.ZodType): (issue: { input?: unknown }) => string | undefined {
  return ({ input }) => schema.safeParse(Array.isArray(input) ? input[0] : input).error?.issues[0]?.message;
}
