import { zValidator } from "@hono/zod-validator";
import { Hono } from "hono";
import * as z from "zod/mini";
import { zodInWords } from "../../config/zod-words.ts";
import { HookonceError } from "../../errors.ts";
import type { BackgroundJobs } from "../../inbox/background-jobs.ts";
import { answerError } from "../answers.ts";
import type { Refused, RefusedRing } from "../refused.ts";

/**
 * The API behind the unix socket. It needs no authentication, because only the owner can open the socket
 * (socket.ts).
 */
export function createAdminApp(jobs: BackgroundJobs, refused: RefusedRing) {
  return new Hono()
    .post("/api/jobs", zValidator("json", jobRequest, refuseRequest), (c) => {
      const { ids, filter, dry_run: dryRun } = c.req.valid("json");
      const { limit, ...rest } = filter;
      return c.json({ id: jobs.start({ filter: { ...rest, ids }, limit, dryRun }) }, 202);
    })
    .get("/api/jobs/:id", (c) => c.json(jobs.view(c.req.param("id"))))
    .delete("/api/jobs/:id", (c) => {
      jobs.stop(c.req.param("id"));
      return c.json({ status: "stopping" });
    })
    .get("/api/refused", zValidator("query", refusedQuery, refuseRequest), (c) => {
      const { source, limit, body } = c.req.valid("query");
      const items = refused.list(source, limit).map((one) => refusedJson(one, body === "true"));
      return c.json({ items, next: null });
    })
    .notFound(() => answerError(new HookonceError("not_found", "There is nothing at this path.")))
    .onError((error) => answerError(error));
}

export type AdminApp = ReturnType<typeof createAdminApp>;

const text = z.string().check(z.minLength(1));
const time = z.number().check(z.nonnegative());

/** `since` and `until` are Unix milliseconds. */
const jobRequest = z
  .strictObject({
    action: z.literal("apply"),
    ids: z.optional(z.array(text).check(z.minLength(1), z.maxLength(10_000, "Give at most 10,000 ids."))),
    filter: z._default(
      z.strictObject({
        source: z.optional(text),
        type: z.optional(text),
        outcome: z.optional(z.enum(["unhandled", "failed"])),
        since: z.optional(time),
        until: z.optional(time),
        limit: z.optional(z.int().check(z.positive())),
      }),
      {},
    ),
    dry_run: z._default(z.boolean(), false),
  })
  .check(
    z.refine(
      ({ ids, filter: { type, outcome, since, until } }) =>
        ids === undefined || [type, outcome, since, until].every((value) => value === undefined),
      "Give ids or a filter, not both. With ids, only source and limit are allowed.",
    ),
  );

/** Bodies only on demand: twenty of a MiB each would take 30 ms to write. */
const refusedQuery = z.object({
  source: z.optional(text),
  limit: z._default(z.pipe(z.coerce.number(), z.int().check(z.minimum(1), z.maximum(20))), 20),
  body: z._default(z.enum(["true", "false"]), "false"),
});

/** A refused delivery. `body` is base64, or null: then `body_missing` says why it was not kept. */
function refusedJson({ receivedAt, body, ...rest }: Refused, withBody: boolean) {
  const missing = typeof body === "string" ? body : null;
  return {
    ...rest,
    received_at: receivedAt,
    body: typeof body === "string" || !withBody ? null : Buffer.from(body).toString("base64"),
    body_missing: missing,
  };
}

export type RefusedJson = ReturnType<typeof refusedJson>;

function refuseRequest(result: { success: boolean; error?: unknown }): Response | undefined {
  if (result.success) return undefined;
  const why = result.error instanceof z.core.$ZodError ? `: ${zodInWords(result.error)}` : "";
  return answerError(new HookonceError("invalid_request", `The request is invalid${why}`));
}
