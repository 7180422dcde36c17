import * as z from "zod/mini";
import { EVENT_OUTCOMES } from "./event-outcomes.ts";
import { ids, reason, text, time, type } from "./request-fields.ts";

/** A text, ids, or a filter. */
export const forgetJob = z
  .strictObject({
    action: z.literal("forget"),
    /** Everything that contains this text. */
    match: z.optional(text),
    ids,
    filter: z._default(
      z.strictObject({
        source: z.optional(text),
        type: z.optional(type),
        outcome: z.optional(z.enum(EVENT_OUTCOMES)),
        since: z.optional(time),
        until: z.optional(time),
      }),
      {},
    ),
    /** Also owed events. They become discarded. */
    owed: z._default(z.boolean(), false),
    dry_run: z._default(z.boolean(), false),
    reason,
  })
  .check(
    z.refine(({ match, ids: given, filter: { source, ...others } }) => {
      const isFiltered = Object.values(others).some((value) => value !== undefined);
      if (match !== undefined) return given === undefined && !isFiltered && source === undefined;
      return given === undefined ? isFiltered || source !== undefined : !isFiltered;
    }, "Give one of match, ids and filter. With ids, only source is allowed."),
    z.refine(({ dry_run, reason: why }) => dry_run || why !== undefined, {
      path: ["reason"],
      error: "Say why: forget needs a reason.",
    }),
  );
