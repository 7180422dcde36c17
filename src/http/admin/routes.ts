import { Hono } from "hono";
import { HookonceError } from "../../errors.ts";
import { answerError } from "../answers.ts";
import { statuses } from "../statuses.ts";
import { createEventRoutes } from "./event-routes.ts";
import { createFixtureRoutes } from "./fixture-routes.ts";
import type { AdminInbox } from "./inbox.ts";
import { createJobRoutes } from "./job-routes.ts";
import { createMessageRoutes } from "./message-routes.ts";
import { createMetricsRoutes } from "./metrics-routes.ts";
import { asRefusal, endJson, type AdminEnv } from "./routing.ts";
import { createSourceRoutes } from "./source-routes.ts";
import { createReloadRoutes } from "./reload-routes.ts";
import { createStatusRoutes } from "./status-routes.ts";
import { createTokenRoutes } from "./token-routes.ts";
import { createTryRoutes } from "./try-routes.ts";

/**
 * The one table of routes: for the page, the API and the command line. Each listener finds out who asks
 * (listener.ts), and each route names the scope that it needs.
 */
export function createAdminApp(inbox: AdminInbox) {
  return new Hono<AdminEnv>()
    .use(endJson)
    .route("/", createStatusRoutes(inbox))
    .route("/", createEventRoutes(inbox))
    .route("/", createSourceRoutes(inbox))
    .route("/", createMessageRoutes(inbox))
    .route("/", createJobRoutes(inbox))
    .route("/", createTokenRoutes(inbox))
    .route("/", createFixtureRoutes(inbox))
    .route("/", createTryRoutes(inbox))
    .route("/", createMetricsRoutes(inbox))
    .route("/", createReloadRoutes(inbox))
    .onError((thrown) => {
      const error = asRefusal(thrown);
      if (!(error instanceof HookonceError) || statuses[error.code] === undefined) inbox.onError(error);
      return answerError(error);
    });
}

export type AdminApp = ReturnType<typeof createAdminApp>;
