import * as z from "zod/mini";

/** Parts of what the API accepts. */

export const text = z.string().check(z.minLength(1), z.maxLength(1024, "Write at most 1,024 characters."));
/** Empty: events without a type. */
export const type = z.string().check(z.maxLength(1024, "Write at most 1,024 characters."));
export const time = z.int().check(z.nonnegative());
export const reason = z.optional(text.check(z.regex(/\S/, "Write a reason.")));

export const ids = z.optional(
  z.array(text).check(z.minLength(1), z.maxLength(10_000, "Give at most 10,000 ids.")),
);
