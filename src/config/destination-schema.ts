import * as z from "zod/mini";
import { urlProblem } from "./destination-url.ts";
import { formatDuration } from "./duration.ts";
import { reading } from "./issue-text.ts";
import { literal } from "./literal.ts";
import {
  duration,
  HEADER_NAME,
  listOf,
  once,
  oneOrMore,
  secret,
  strictObjectOf,
  types,
  type SchemaOf,
} from "./schema-parts.ts";

/**
 * The table `[destinations.NAME]`, and the key `forward` of a source. destinations.ts checks what a single key
 * cannot show.
 */

/** The most messages of one destination that are under way at a time. */
const MAX_CONCURRENCY = 100;

/** In milliseconds. A timer of the runtime cannot be longer than 24 days. */
const MAX_TIMEOUT = 7 * 86_400_000;

const notACommand =
  'is not a command: write the file and each argument as a separate text, as in command = ["./deploy.sh", "--fast"]';

/** destinations.ts says which of the values may not be written here. */
const headers = once(() =>
  z.record(
    z.pipe(
      z
        .string()
        .check(z.regex(HEADER_NAME, "is not the name of a header: write one without blanks, as in x-tenant")),
      z.transform((name: string) => name.toLowerCase()),
    ),
    z.string('write the value as text, as in headers = { x-tenant = "7", authorization = "env:APP_TOKEN" }'),
    'is not a table: write it as in headers = { x-tenant = "7", authorization = "env:APP_TOKEN" }',
  ),
);

const destinationFields = {
  url: () =>
    z.optional(
      z.custom<string>((value) => urlProblem(value) === undefined, {
        error: ({ input }) => urlProblem(input),
      }),
    ),
  command: () =>
    z.optional(
      z
        .array(
          z
            .string(notACommand)
            .check(
              z.refine(
                (text) => !text.includes("\0"),
                "a file or an argument cannot contain a NUL character: remove it",
              ),
            ),
          notACommand,
        )
        .check(z.refine(([file = ""]) => file.trim() !== "", notACommand)),
    ),
  sign: () => z.optional(z.enum(["provider", "standard-webhooks", "none"])),
  secret: () =>
    z.optional(
      z.pipe(
        z.custom<string>(
          (value) => !Array.isArray(value),
          "is a list, but a destination has one secret: write it without [ and ]",
        ),
        secret(),
      ),
    ),
  headers: () => z.optional(headers()),
  concurrency: () =>
    z.optional(
      z.custom<number>((value) => Number.isInteger(value) && value >= 1 && value <= MAX_CONCURRENCY, {
        error: ({ input }) =>
          `${literal(input)} is not a whole number from 1 to ${MAX_CONCURRENCY}: write how many messages may be sent at a time, as in concurrency = 4`,
      }),
    ),
  rate: () =>
    z.optional(
      z.custom<number>((value) => Number.isFinite(value) && value > 0, {
        error: ({ input }) =>
          `${literal(input)} is not a number above 0: write how many messages may be sent per second, as in rate = 50, or remove it for no limit`,
      }),
    ),
  timeout: () =>
    z.optional(
      duration().check(
        z.refine((ms) => ms > 0, '0s is too short: write a longer time, as in timeout = "15s"'),
        z.refine((ms) => ms <= MAX_TIMEOUT, {
          error: ({ input }) => `${formatDuration(Number(input))} is too long: write at most 7d`,
        }),
      ),
    ),
  retry_for: () => z.optional(duration()),
  on_stop: () => z.optional(z.enum(["kill", "wait"])),
};

export type DestinationTable = z.infer<SchemaOf<typeof destinationFields>>;

export function readDestination(value: unknown): z.core.util.SafeParseResult<DestinationTable> {
  const table = strictObjectOf(destinationFields);
  return table.safeParse(value, reading);
}

const notADestination =
  'write the names of destinations, as in forward = ["app", { to = "deploy", types = ["push"] }]';

const forward = once(() =>
  z.strictObject(
    {
      to: z.string({
        error: ({ input }) =>
          input === undefined
            ? 'is missing: write the name of a destination, as in { to = "app" }'
            : notADestination,
      }),
      types: z.optional(types()),
      where: z.optional(z.string().check(z.refine((text) => text.trim() !== "", "is empty"))),
    },
    notADestination,
  ),
);

/** Where the events of a source are sent on to. */
export interface ConfiguredForward {
  /** The name of a destination. */
  readonly to: string;
  /** Whole types, or prefixes and `*`. Undefined: all. */
  readonly types: readonly string[] | undefined;
  /** A SQL expression over what handlers bind. */
  readonly where: string | undefined;
}

/** A list of names of destinations, or of tables. */
export const forwards = once(() =>
  z.pipe(
    z.transform((value: unknown): unknown =>
      Array.isArray(value)
        ? value.map((one: unknown) => (typeof one === "string" ? { to: one } : one))
        : value,
    ),
    z.pipe(
      listOf(forward(), oneOrMore(notADestination)),
      z.transform((list): readonly ConfiguredForward[] =>
        list.map(({ to, types: some, where }) => ({ to, types: some, where })),
      ),
    ),
  ),
);

/** To suggest the nearest for an unknown key. */
export const forwardKeys = (): string[] => Object.keys(forward().shape);
export const destinationKeys = (): string[] => Object.keys(destinationFields);
