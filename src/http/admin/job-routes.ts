import { zValidator } from "@hono/zod-validator";
import { Hono } from "hono";
import type { JobRequest } from "../../inbox/background-jobs.ts";
import { requireScope } from "./access.ts";
import type { AdminInbox } from "./inbox.ts";
import { jobJson } from "./job-json.ts";
import { isAboutMessages, jobRequest, type JobRequest as RequestJson } from "./requests.ts";
import { needs, refuseRequest, type AdminEnv } from "./routing.ts";
import type { Scope } from "./shapes.ts";

/** How many jobs a list shows. */
const MAX_LISTED = 100;

/** Everything that changes many events is a job, so that progress and a stop are the same for all. */
export function createJobRoutes({ jobs }: Pick<AdminInbox, "jobs">) {
  return new Hono<AdminEnv>()
    .post("/api/jobs", needs("steer", "forget"), zValidator("json", jobRequest, refuseRequest), async (c) => {
      const request = requestOf(c.req.valid("json"));
      requireScope(c.get("actor"), scopeOf(request));
      return c.json({ id: await jobs.start(request, c.get("actor").name) }, 202);
    })
    .get("/api/jobs", needs("read"), async (c) => {
      const items = (await jobs.list(MAX_LISTED)).map(jobJson);
      return c.json({ items, next: null });
    })
    .get("/api/jobs/:id", needs("read"), async (c) => c.json(jobJson(await jobs.view(c.req.param("id")))))
    .delete("/api/jobs/:id", needs("steer", "forget"), async (c) => {
      requireScope(c.get("actor"), scopeOf(await jobs.view(c.req.param("id"))));
      await jobs.stop(c.req.param("id"), c.get("actor").name);
      return c.json({ status: "stopping" });
    });
}

/** Who may change events may not erase them, and the other way round. */
const scopeOf = ({ action }: Pick<JobRequest, "action">): Scope => (action === "forget" ? "forget" : "steer");

function requestOf(json: RequestJson): JobRequest {
  if (json.action === "import") {
    const { action, source, reason, dry_run: dryRun } = json;
    const events = json.events.map(([id, type, at]) => ({ id, type, at }));
    return { action, source, events, reason, dryRun };
  }
  if (json.action === "forget") {
    const { action, match, ids, filter, owed, reason, dry_run: dryRun } = json;
    return { action, match, filter: { ...filter, ids }, owed, reason, dryRun };
  }
  const { action, ids, to, rate, reason, dry_run: dryRun, even_stale: evenStale } = json;
  const { limit, destination, state, event_id: eventId, outcome, search, ...filter } = json.filter;
  const how = { limit, dryRun, rate, reason };
  if ((action === "resend" || action === "discard") && isAboutMessages(json))
    return { action, messages: { ...filter, destination, state, eventId, ids }, ...how };
  return { action, filter: { ...filter, outcome, search, ids }, evenStale, to, ...how };
}
