import { zValidator } from "@hono/zod-validator";
import { Hono } from "hono";
import { payloadRemoved } from "../../engines/retention.ts";
import { HookonceError } from "../../errors.ts";
import { payloadIn } from "./event-json.ts";
import { findEvent } from "./event-routes.ts";
import { fixtureText } from "./fixture-json.ts";
import type { AdminInbox } from "./inbox.ts";
import { fixtureRequest } from "./requests.ts";
import { needs, refuseRequest, type AdminEnv } from "./routing.ts";

/** Saves the payload of an event for the tests of its handler. */
export function createFixtureRoutes(inbox: AdminInbox) {
  return new Hono<AdminEnv>().post(
    "/api/fixtures",
    needs("steer"),
    zValidator("json", fixtureRequest, refuseRequest),
    async (c) => {
      const { source, event_id: id, redact } = c.req.valid("json");
      const { event, reads } = await findEvent(inbox, source, id);
      if (event.isRemoved) throw payloadRemoved(id);
      const payload = event.stored === null ? null : payloadIn(event.stored, id, reads);
      if (payload === null)
        throw new HookonceError(
          "event_not_stored",
          "This event has no payload to save: it is not kept, too large, or neither JSON nor a form.",
        );
      const file = inbox.saveFixture(source, event.type, fixtureText(payload, redact));
      const change = { at: inbox.clock(), actor: c.get("actor").name, action: "fixture", target: file };
      await inbox.record([{ entry: "audit", change: { ...change, reason: null } }]);
      return c.json({ file }, 201);
    },
  );
}
