import { zValidator } from "@hono/zod-validator";
import { Hono } from "hono";
import type { AdminInbox } from "./inbox.ts";
import { tryRequest } from "./requests.ts";
import { needs, refuseRequest, type AdminEnv } from "./routing.ts";

/** A try changes nothing, but it runs the user's code. */
export function createTryRoutes({ tryHandler }: Pick<AdminInbox, "tryHandler">) {
  return new Hono<AdminEnv>().post(
    "/api/try",
    needs("steer"),
    zValidator("json", tryRequest, refuseRequest),
    async (c) => c.json(await tryHandler(c.req.valid("json"), c.req.raw.signal)),
  );
}
