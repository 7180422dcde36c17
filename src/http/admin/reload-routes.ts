import { zValidator } from "@hono/zod-validator";
import { Hono } from "hono";
import { HookonceError, type Problem } from "../../errors.ts";
import type { AdminInbox } from "./inbox.ts";
import { reloadRequest } from "./requests.ts";
import { needs, refuseRequest, type AdminEnv } from "./routing.ts";
import type { ProblemJson, ReloadedJson, ReloadRefusedJson } from "./shapes.ts";

/** Loads config and handlers again. */
export function createReloadRoutes({ reload }: Pick<AdminInbox, "reload">) {
  return new Hono<AdminEnv>().post(
    "/api/reload",
    needs("steer"),
    zValidator("json", reloadRequest, refuseRequest),
    async (c) => {
      try {
        const { drop_sources: dropped, all } = c.req.valid("json");
        const { sources, handlers, destinations, failing, warnings, nodes } = await reload({
          actor: c.get("actor").name,
          dropped,
          all,
        });
        return c.json({
          status: "reloaded",
          sources,
          handlers,
          destinations,
          warnings: [...failing, ...warnings].map(problemJson),
          nodes,
        } satisfies ReloadedJson);
      } catch (error) {
        if (!(error instanceof HookonceError) || error.code !== "reload_refused") throw error;
        const { code, message, problems, warnings } = error;
        const lists = { problems: problems.map(problemJson), warnings: warnings.map(problemJson) };
        return c.json({ error: { code, message, ...lists } } satisfies ReloadRefusedJson, 409);
      }
    },
  );
}

function problemJson({ file, line, message }: Problem): ProblemJson {
  return { file: file ?? null, line: line ?? null, message };
}
