// zod/mini has the same schemas without their methods, which took a tenth of every start to create.
import * as z from "zod/mini";
import { ADDRESS } from "./address.ts";
import { databasePlaces } from "./database-schema.ts";
import { literal } from "./literal.ts";
import { forwardKeys, forwards } from "./destination-schema.ts";
import { reading } from "./issue-text.ts";
import { adminTable, alertsTable, keysOfTables, retentionTable } from "./tables.ts";
import {
  duration,
  headerName,
  listOf,
  newestWins,
  newestWinsKeys,
  NO_SECRET,
  once,
  oneOrMore,
  path,
  secret,
  selector,
  size,
  strictObjectOf,
  wholeNumber,
  type SchemaOf,
} from "./schema-parts.ts";
import { formatSize } from "./size.ts";

/*
 * Every key of `hookonce.toml`. Any other key is an error. The schema of a key is only created if the config
 * has the key: creating all of them takes 8 ms of a start, and most configs have five keys.
 */

const NO_PUBLIC_KEY =
  'is not a public key: write the PEM text, which begins with -----BEGIN, or "file:path" or "env:NAME"';
const publicKey = once(() =>
  z.string(NO_PUBLIC_KEY).check(
    z.regex(/^(?:env|file):.|^\s*-----BEGIN /, NO_PUBLIC_KEY),
    z.refine((text) => !text.includes("PRIVATE KEY"), "is a private key: write the provider's public key"),
  ),
);

export const DEFAULT_DATABASE = "data/hookonce.db";
export const DEFAULT_LISTEN = "127.0.0.1:8787";

/** The most memory that all bodies together take while they are read or wait for their commit, in bytes. */
export const BODY_BUDGET = 64 * 1024 * 1024;

/**
 * How much of it bodies that are still arriving leave to those that arrive whole, in bytes: three hundred
 * usual deliveries at a time.
 */
export const BODY_RESERVE = 3 * 1024 * 1024;

/**
 * In bytes. A body as large as the whole budget would be accepted only while no other delivery is in flight,
 * so its retries would be refused as well.
 */
const MAX_BODY = 60 * 1024 * 1024;

const maxBody = once(() =>
  size().check(
    z.refine((bytes) => bytes <= MAX_BODY, {
      error: ({ input }) =>
        `${formatSize(Number(input))} is too large: write at most 60 MiB, because all bodies in memory together may take 64 MiB`,
    }),
  ),
);

/** How deliveries are signed: for provider = "hmac", or to change a preset key by key. */
const signatureFields = {
  header: () => z.optional(headerName()),
  /** Each kind of signature uses some of them. */
  algorithm: () =>
    z.optional(
      z.enum([
        "md5",
        "sha1",
        "sha256",
        "sha512",
        "ed25519",
        "ecdsa-sha256",
        "rsa-sha1",
        "rsa-sha256",
        "rsa-sha512",
        "RS256",
        "ES256",
      ]),
    ),
  encoding: () => z.optional(z.enum(["hex", "base64", "base64url"])),
  prefix: () => z.optional(z.string()),
  separator: () => z.optional(z.string().check(z.minLength(1))),
  signed: () =>
    z.optional(
      z.string().check(
        z.regex(/\{(?!secret\})[^}]*\}/, {
          error: "must name what is signed, or every delivery has the same signature: write {body}",
        }),
      ),
    ),
  timestamp: () => z.optional(path()),
  timestamp_unit: () => z.optional(z.enum(["s", "ms", "iso"])),
  id: () => z.optional(path()),
  public_key: () => z.optional(z.union([publicKey(), listOf(publicKey())], oneOrMore(NO_PUBLIC_KEY))),
  jwks_url: () =>
    z.optional(
      z.url({
        protocol: /^https$/,
        error: ({ input }) =>
          `${literal(input)} is not a URL that begins with https: write where the issuer publishes its keys, as in jwks_url = "https://…"`,
      }),
    ),
  issuer: () =>
    z.optional(z.union([z.string(), listOf(z.string())], oneOrMore("write text, or a list of texts"))),
  audience: () =>
    z.optional(z.union([z.string(), listOf(z.string())], oneOrMore("write text, or a list of texts"))),
  claims: () => z.optional(z.record(z.string(), z.string())),
  over: () => z.optional(z.enum(["raw", "decompressed"])),
  secret_encoding: () => z.optional(z.enum(["text", "hex", "base64", "whsec", "whsec-or-text"])),
};

/** A request with which the provider checks the URL. */
const handshake = once(() =>
  z.strictObject({
    method: z._default(z.enum(["GET", "HEAD", "OPTIONS", "POST"]), "GET"),
    /** Each path and its value; true if any value fits, false if it must be missing. */
    when: z.optional(z.record(path(), z.union([z.string(), z.number(), z.boolean()]))),
    /** Where the source's verify_token is. */
    token: z.optional(path()),
    /** What to send back. */
    echo: z.optional(path()),
    as: z.optional(
      z
        .string()
        .check(
          z.regex(
            /^(?:text|json:.+|header:[!#$%&'*+.^_`|~\w-]+)$/,
            'must be "text", "json:field" or "header:name"',
          ),
        ),
    ),
    /** A POST whose signature is verified first. */
    signed: z.optional(z.boolean()),
  }),
);

/** With more, hold_after would hardly ever pause a source. */
const MAX_HOLD_AFTER = 10_000;

const holdAfter = once(() =>
  wholeNumber(1, MAX_HOLD_AFTER, "write how many failures in a row pause the source, as in hold_after = 5"),
);

/** No provider retries one event so often. */
const MAX_FAILED_ANSWERS = 1000;

const maxFailedAnswers = once(() =>
  wholeNumber(
    0,
    MAX_FAILED_ANSWERS,
    "write how many deliveries of one event are answered 500 before the next one is answered 200, as in max_failed_answers = 5",
  ),
);

const heldReply = once(() =>
  z.strictObject({
    status: z.optional(
      z.number({ error: ({ input }) => `${literal(input)} is not a number: write it as in status = 200` }),
    ),
    headers: z.optional(z.record(z.string(), z.string())),
    body: z.optional(z.unknown()),
  }),
);

const sourceFields = {
  provider: () =>
    z.string({
      error: ({ input }) =>
        input === undefined
          ? 'is missing: write the name of a provider, as in provider = "stripe"'
          : undefined,
    }),
  secret: () => z.optional(z.union([secret(), listOf(secret())], oneOrMore(NO_SECRET))),
  event_id: () => z.optional(selector()),
  type: () => z.optional(selector()),
  signature: () => z.optional(strictObjectOf(signatureFields)),
  tolerance: () =>
    z.optional(
      duration().check(
        z.refine((ms) => ms > 0, { error: '0s is too short: write a longer time, as in tolerance = "5m"' }),
      ),
    ),
  /** Where the secret itself is sent: for provider = "static", or to change a preset. */
  secret_in: () => z.optional(path()),
  max_body: () => z.optional(maxBody()),
  unhandled: () => z.optional(z.enum(["record", "ignore", "fail"])),
  require_change: () => z.optional(z.boolean()),
  /** How many failures in a row pause the source. */
  hold_after: () => z.optional(holdAfter()),
  /** The answer to what is held: see {@link ReplyOptions} in handlers/api.ts. */
  held_reply: () => z.optional(heldReply()),
  /** How long hookonce runs a failed event again by itself. */
  retry_for: () => z.optional(duration()),
  /** How many deliveries of one event are answered 500. */
  max_failed_answers: () => z.optional(maxFailedAnswers()),
  /** How long an id that is made from the body means the same event. */
  dedup_window: () => z.optional(duration()),
  /** An older event is not applied after a newer one with the same key. */
  newest_wins: () => z.optional(newestWins()),
  /** What to do with test events. */
  test_events: () => z.optional(z.enum(["accept", "ignore", "refuse"])),
  same_body: () => z.optional(z.literal("duplicate")),
  /** What is replaced in a stored payload once it is not needed any more. */
  redact: () =>
    z.optional(
      listOf(path(), {
        error: () =>
          'is not a list of paths: write it as in redact = ["body:$.customer.email", "header:x-name"]',
      }),
    ),
  renamed_from: () => z.optional(z.string()),
  /** The destinations that its events are sent on to. */
  forward: () => z.optional(forwards()),
  allow_public: () => z.optional(z.boolean()),
  batch: () =>
    z.optional(
      z.union([path(), listOf(path())], oneOrMore('write a path with [*] in it, as in batch = "body:$[*]"')),
    ),
  /** The source whose handlers this one shares. */
  handlers: () => z.optional(z.string()),
  public_url: () =>
    z.optional(
      z.url({
        protocol: /^https?$/,
        error: ({ input }) =>
          `${literal(input)} is not a URL: write the whole URL that the provider delivers to, as in public_url = "https://…"`,
      }),
    ),
  verify_token: () => z.optional(secret()),
  handshake: () =>
    z.optional(
      z.pipe(
        z.transform((value: unknown): unknown => (Array.isArray(value) ? value : [value])),
        listOf(handshake()),
      ),
    ),
  environment: () => z.optional(z.enum(["production", "sandbox"])),
};

export const SOURCE_NAME = /^[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$/;

type SignatureSchema = SchemaOf<typeof signatureFields>;
type SourceSchema = SchemaOf<typeof sourceFields>;
export type SignatureConfig = z.infer<SignatureSchema>;
export type HandshakeConfig = z.infer<ReturnType<typeof handshake>>;
export type SourceConfig = z.infer<SourceSchema>;
export type ConfigFile = z.infer<ReturnType<typeof configWith>>;

/** Returns a schema for a source with these keys. Any other key in the source is an error. */
function sourceWith(keys: readonly string[]): SourceSchema {
  const fields = Object.entries(sourceFields).filter(([key]) => key === "provider" || keys.includes(key));
  return strictObjectOf(Object.fromEntries(fields) as typeof sourceFields);
}

function configWith(keys: readonly string[]) {
  const sourceName = z
    .string()
    .check(
      z.regex(
        SOURCE_NAME,
        "is not a source name: write at most 64 lower-case letters, digits, - and _, because it is part of the URL",
      ),
    );
  return z.strictObject({
    version: z.literal(1, {
      error: ({ input }) =>
        input === undefined
          ? "is missing: write version = 1"
          : `${literal(input)} is unknown to this hookonce: write version = 1`,
    }),
    listen: z._default(
      z.string({ error: notAnAddress }).check(z.regex(ADDRESS, { error: notAnAddress })),
      DEFAULT_LISTEN,
    ),
    database: z._default(databasePlaces(), [DEFAULT_DATABASE]),
    admin: z.optional(adminTable()),
    alerts: z.optional(z.lazy(alertsTable)),
    convert_to_wal: z._default(z.boolean(), false),
    retention: z.optional(z.lazy(retentionTable)),
    sources: z
      .record(sourceName, sourceWith(keys), {
        error: ({ code, input }) =>
          code === "invalid_type" && input === undefined ? `is missing: ${ADD_SOURCE}` : undefined,
      })
      .check(z.refine((sources) => Object.keys(sources).length > 0, `is empty: ${ADD_SOURCE}`)),
    /** destinations.ts reads what is in it. */
    destinations: z.optional(
      z.record(z.string(), z.unknown(), "is not a table: write a table for each, as in [destinations.app]"),
    ),
  });
}

function notAnAddress({ input }: { readonly input?: unknown }): string {
  return `${literal(input)} is not host:port, with a port from 0 to 65535: write it as in listen = "127.0.0.1:8787"`;
}

const ADD_SOURCE = "add a source, as in [sources.stripe]";

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

/** The value as a table; an empty one if it is not a table. */
export function tableOf(value: unknown): Readonly<Record<string, unknown>> {
  const isTable = typeof value === "object" && value !== null && !Array.isArray(value);
  return isTable ? (value as Record<string, unknown>) : {};
}

/** The keys that a table may have, to suggest the nearest for an unknown one. */
export function keysAt(path: readonly PropertyKey[]): string[] {
  if (path.length === 0) return Object.keys(configWith([]).shape);
  const keysOf = keysOfTables.get(path[0]);
  if (keysOf !== undefined) return keysOf();
  if (path[0] === "sources" && path.length === 2) return Object.keys(sourceFields);
  if (path[2] === "forward") return forwardKeys();
  if (path[2] === "newest_wins") return newestWinsKeys();
  if (path[2] === "held_reply") return Object.keys(heldReply().shape);
  if (path[2] === "handshake") return Object.keys(handshake().shape);
  return path[2] === "signature" ? Object.keys(signatureFields) : ["join", "with"];
}

/** What is wrong with a value for a key of a source, such as `signature.header`; undefined if it fits. */
export function problemWith(key: string, value: unknown): string | undefined {
  const name = key.replace("signature.", "");
  const fields: Record<string, () => z.ZodMiniType> = name === key ? sourceFields : signatureFields;
  const schema = fields[name]?.();
  if (schema === undefined) return undefined;
  // The value is in a table, so that the message can name the key.
  return z.object({ [name]: schema }).safeParse({ [name]: value }, reading).error?.issues[0]?.message;
}
