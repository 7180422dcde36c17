import { zValidator } from "@hono/zod-validator";
import { Hono } from "hono";
import { nearest } from "../../config/nearest.ts";
import { HookonceError } from "../../errors.ts";
import type { AdminInbox } from "./inbox.ts";
import { sourceState } from "./requests.ts";
import { needs, refuseRequest, type AdminEnv } from "./routing.ts";
import type { SourceStateJson } from "./shapes.ts";
import { openStateJson, sourceStateJson } from "./source-state-json.ts";

/** The states of sources: whether they run their events, hold them, or refuse their deliveries. */
export function createSourceRoutes(inbox: AdminInbox) {
  return new Hono<AdminEnv>()
    .get("/api/sources/:name/state", needs("read"), async (c) => {
      const name = c.req.param("name");
      return c.json((await pausedOf(inbox, name)) ?? openOf(inbox, name));
    })
    .put(
      "/api/sources/:name/state",
      needs("steer"),
      zValidator("json", sourceState, refuseRequest),
      async (c) => {
        const name = c.req.param("name");
        const { state, for: forMs, reason, stop_on_failure: stopOnFailure } = c.req.valid("json");
        const { pausing, clock, whyNotHeld } = inbox;
        // One that is gone from the config may be resumed.
        if ((await pausedOf(inbox, name)) === undefined) openOf(inbox, name);
        if (pausing === null) throw notServing();
        const actor = c.get("actor").name;
        if (state === "open") await pausing.resume(name, { stopOnFailure }, actor);
        else {
          const problem = state === "held" ? whyNotHeld(name) : undefined;
          if (problem !== undefined) throw problem;
          const until = forMs === undefined ? null : clock() + forMs;
          await pausing.pause(name, { refuse: state === "refusing", until, reason }, actor);
        }
        return c.json((await pausedOf(inbox, name)) ?? openStateJson(name));
      },
    );
}

async function pausedOf(inbox: AdminInbox, name: string): Promise<SourceStateJson | undefined> {
  const paused = (await (await inbox.reader()).sourceStates()).find((one) => one.name === name);
  return paused === undefined ? undefined : sourceStateJson(paused, inbox.clock());
}

/** @throws HookonceError `unknown_source` if the config has no such source */
function openOf(inbox: AdminInbox, name: string): SourceStateJson {
  const names = inbox.described().map((source) => source.name);
  if (names.includes(name)) return openStateJson(name);
  throw new HookonceError(
    "unknown_source",
    `There is no source "${name}" in hookonce.toml; ${nearest(name, names)}`,
  );
}

function notServing(): HookonceError {
  const why = "hookonce serve is not running, and only it pauses sources. Start it first.";
  return new HookonceError("not_serving", why);
}
