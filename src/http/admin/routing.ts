import { createMiddleware } from "hono/factory";
import { HTTPException } from "hono/http-exception";
import * as z from "zod/mini";
import { zodInWords } from "../../config/zod-words.ts";
import { HookonceError } from "../../errors.ts";
import { answerError } from "../answers.ts";
import { requireScope, type Actor } from "./access.ts";
import type { Scope } from "./shapes.ts";

/** What a listener knows of a request before the routes see it. */
export interface AdminEnv {
  Bindings: {
    /** The address of the peer; empty if there is none. */
    peer: string;
  };
  Variables: {
    actor: Actor;
    /** Asks again during an answer that goes on. Rejects once the token or session has ended. */
    stillAllowed: () => Promise<unknown>;
  };
}

/** One of these scopes is enough. @throws HookonceError `scope_missing` */
export function needs(scope: Scope, ...others: readonly Scope[]) {
  return createMiddleware<AdminEnv>(async (c, next) => {
    const actor = c.get("actor");
    requireScope(actor, others.find((one) => actor.scopes.includes(one)) ?? scope);
    await next();
  });
}

/** Ends answers in JSON with a line break, as the answers to deliveries do. */
export const endJson = createMiddleware<AdminEnv>(async (c, next) => {
  await next();
  if (c.res.headers.get("content-type") !== "application/json") return;
  const text = await c.res.text();
  c.res = new Response(text.endsWith("\n") ? text : `${text}\n`, c.res);
});

/** A body that is no JSON is refused by Hono, with an error that is not ours. */
export function asRefusal(error: unknown): unknown {
  if (!(error instanceof HTTPException) || error.status !== 400) return error;
  return new HookonceError("invalid_request", "The request is invalid: its body is not JSON.", {
    cause: error,
  });
}

/** Answers a request that does not fit its schema with 400. */
export function refuseRequest(result: { success: boolean; error?: unknown }): Response | undefined {
  if (result.success) return undefined;
  const why = result.error instanceof z.core.$ZodError ? `: ${zodInWords(result.error)}` : "";
  return answerError(new HookonceError("invalid_request", `The request is invalid${why}`));
}
