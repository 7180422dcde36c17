import { zValidator } from "@hono/zod-validator";
import { Hono } from "hono";
import { createMiddleware } from "hono/factory";
import * as z from "zod/mini";
import { zodInWords } from "../../config/zod-words.ts";
import { HookonceError } from "../../errors.ts";
import type { BackgroundJobs } from "../../inbox/background-jobs.ts";
import { answerError } from "../answers.ts";
import type { Refused, RefusedRing } from "../refused.ts";
import { requireScope, type Actor } from "./access.ts";
import { jobRequest, refusedQuery, shownSecretsQuery } from "./requests.ts";
import type { List, RefusedJson, Scope, ShownSecretJson, StatusJson, VerdictJson } from "./shapes.ts";

export interface AdminOptions {
  readonly jobs: BackgroundJobs;
  readonly refused: RefusedRing;
  /** Asks the doctor about a refused delivery. Undefined if its body was not kept. */
  readonly verdictOf: (refused: Refused) => Promise<VerdictJson | undefined>;
  readonly status: () => Promise<Omit<StatusJson, "actor">>;
  /** The secrets that have arrived in handshakes. Default: none. */
  readonly shownSecrets?: () => readonly ShownSecretJson[];
}

/** What a listener knows of a request before the routes see it. */
export interface AdminEnv {
  Bindings: {
    /** The address of the peer; empty if there is none. */
    peer: string;
  };
  Variables: { actor: Actor };
}

/**
 * The one table of routes: for the page, the API and the command line. Each listener finds out who asks
 * (listener.ts), and each route names the scope that it needs.
 */
export function createAdminApp({ jobs, refused, verdictOf, status, shownSecrets = () => [] }: AdminOptions) {
  const verdict = oneAtATime(verdictOf);
  return new Hono<AdminEnv>()
    .get("/api/status", needs("read"), async (c) => {
      const { name, scopes } = c.get("actor");
      return c.json({ ...(await status()), actor: { name, scopes } } satisfies StatusJson);
    })
    .post("/api/jobs", needs("steer"), zValidator("json", jobRequest, refuseRequest), (c) => {
      const { ids, filter, dry_run: dryRun } = c.req.valid("json");
      const { limit, ...rest } = filter;
      return c.json({ id: jobs.start({ filter: { ...rest, ids }, limit, dryRun }) }, 202);
    })
    .get("/api/jobs/:id", needs("read"), (c) => c.json(jobs.view(c.req.param("id"))))
    .delete("/api/jobs/:id", needs("steer"), (c) => {
      jobs.stop(c.req.param("id"));
      return c.json({ status: "stopping" });
    })
    .get("/api/refused", needs("read"), zValidator("query", refusedQuery, refuseRequest), async (c) => {
      const { source, id, limit, body, verdict: asked } = c.req.valid("query");
      const listed =
        id === undefined
          ? refused.list(source, limit)
          : refused.list(source, Infinity).filter((one) => one.id === id);
      const items: RefusedJson[] = [];
      for (const one of listed) {
        const json = refusedJson(one, body === "true");
        items.push(asked === "true" ? { ...json, verdict: (await verdict(one)) ?? null } : json);
      }
      return c.json({ items, next: null } satisfies List<RefusedJson>);
    })
    .get("/api/shown-secrets", needs("steer"), zValidator("query", shownSecretsQuery, refuseRequest), (c) => {
      const { source } = c.req.valid("query");
      const items = shownSecrets().filter((one) => source === undefined || one.source === source);
      return c.json({ items, next: null } satisfies List<ShownSecretJson>);
    })
    .onError((error) => answerError(error));
}

export type AdminApp = ReturnType<typeof createAdminApp>;

/** @throws HookonceError `scope_missing` */
function needs(scope: Scope) {
  return createMiddleware<AdminEnv>(async (c, next) => {
    requireScope(c.get("actor"), scope);
    await next();
  });
}

/** A verdict can take a second of work, so there is one at a time. */
function oneAtATime<Given, Found>(work: (given: Given) => Promise<Found>): (given: Given) => Promise<Found> {
  let busy = false;
  return async (given) => {
    if (busy) throw new HookonceError("overloaded", "The doctor is looking at another delivery. Try again.");
    busy = true;
    try {
      return await work(given);
    } finally {
      busy = false;
    }
  };
}

function refusedJson({ receivedAt, body, ...rest }: Refused, withBody: boolean): RefusedJson {
  const missing = typeof body === "string" ? body : null;
  return {
    ...rest,
    received_at: receivedAt,
    body: typeof body === "string" || !withBody ? null : Buffer.from(body).toString("base64"),
    body_missing: missing,
  };
}

/** Answers a request that does not fit its schema with 400. */
export function refuseRequest(result: { success: boolean; error?: unknown }): Response | undefined {
  if (result.success) return undefined;
  const why = result.error instanceof z.core.$ZodError ? `: ${zodInWords(result.error)}` : "";
  return answerError(new HookonceError("invalid_request", `The request is invalid${why}`));
}
