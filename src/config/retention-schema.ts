import * as z from "zod/mini";
import { duration, once, size } from "./schema-parts.ts";
import { formatSize } from "./size.ts";

/** The table `[retention]` of hookonce.toml: what is removed, and when. */

/** In bytes. An empty database has about a third of it. */
const SMALLEST = 1024 * 1024;

export const retentionTable = once(() =>
  z.strictObject({
    payloads: z.optional(
      duration().check(
        z.refine((ms) => ms > 0, {
          error: '0s is too short: write a longer time, as in payloads = "90d"',
        }),
      ),
    ),
    max_size: z.optional(
      size().check(
        z.refine((bytes) => bytes >= SMALLEST, {
          error: ({ input }) => `${formatSize(Number(input))} is too small: write at least 1 MiB`,
        }),
      ),
    ),
  }),
);

/** `[retention]`. Null: nothing is removed for this reason. */
export interface Retention {
  /** How long bodies, headers and delivered messages are kept, in milliseconds. */
  readonly payloadsMs: number | null;
  /** The size of the database at which the oldest payloads are removed, in bytes. */
  readonly maxBytes: number | null;
}

export function retentionOf({
  payloads,
  max_size: maxSize,
}: {
  readonly payloads?: number | undefined;
  readonly max_size?: number | undefined;
} = {}): Retention {
  return { payloadsMs: payloads ?? null, maxBytes: maxSize ?? null };
}

/** To suggest the nearest for an unknown key. */
export function retentionKeys(): string[] {
  return Object.keys(retentionTable().shape);
}
