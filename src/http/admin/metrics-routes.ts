import { Hono } from "hono";
import { HookonceError } from "../../errors.ts";
import type { AdminInbox, Measured } from "./inbox.ts";
import { familiesOf } from "./metrics.ts";
import { needs, type AdminEnv } from "./routing.ts";

/** Metrics for Prometheus. */
export function createMetricsRoutes(inbox: AdminInbox) {
  let running: ReturnType<typeof scrape> | undefined;

  async function scrape(measured: Measured): Promise<{ readonly text: string; readonly type: string }> {
    const families = await familiesOf(inbox, measured);
    // It takes some time to load, and most inboxes are never scraped.
    const { expose, CONTENT_TYPE } = await import("./exposition.ts");
    return { text: await expose(families), type: CONTENT_TYPE };
  }

  return new Hono<AdminEnv>().get("/metrics", needs("read"), async (c) => {
    const { measured } = inbox;
    if (measured === null)
      throw new HookonceError("not_serving", "hookonce serve is not running, so nothing is measured.");
    // Scrapes that come at the same time share one look at the database.
    running ??= scrape(measured).finally(() => (running = undefined));
    const { text, type } = await running;
    return c.body(text, 200, { "content-type": type });
  });
}
