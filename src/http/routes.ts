import { zValidator } from "@hono/zod-validator";
import { Hono } from "hono";
import { z } from "zod";
import { HookonceError } from "../errors.ts";
import type { Handlers } from "../handlers/registry.ts";
import type { GroupCommit } from "../inbox/group-commit.ts";
import { receive } from "../inbox/receive.ts";
import type { Source } from "../providers/source.ts";
import { answerError, answerOutcome } from "./answers.ts";
import { readBody, type ByteBudget } from "./body.ts";
import type { DeliveryLog } from "./log.ts";

export interface RoutesOptions {
  readonly sources: ReadonlyMap<string, Source>;
  readonly handlers: Handlers;
  readonly writer: Pick<GroupCommit, "commit">;
  readonly budget: ByteBudget;
  readonly log: DeliveryLog;
  /** Unix milliseconds. */
  readonly clock: () => number;
  /** Throws when the writer cannot write. */
  readonly probe: () => void;
  /** Once true, what still arrives is sent away with 503. */
  readonly stopping: () => boolean;
}

export interface Env {
  Bindings: {
    /** The peer's address; absent where a test has no socket. */
    remoteAddress?: (request: Request) => string | null;
  };
}

/** The whole of hookonce's HTTP interface. Every delivery is authenticated by its source (inbox/receive.ts). */
export function createRoutes(options: RoutesOptions): Hono<Env> {
  const app = new Hono<Env>();
  const knownSource = zValidator(
    "param",
    z.object({ source: z.enum([...options.sources.keys()]) }),
    (result) =>
      result.success ? undefined : answerError(unknownSource(options.sources, result.data.source)),
  );

  app.get("/healthz", (c) => c.json({ status: "alive" }));
  app.get("/readyz", (c) => {
    if (options.stopping()) throw new HookonceError("shutting_down", "hookonce is shutting down.");
    options.probe();
    return c.json({ status: "ready" });
  });
  app.post("/webhook", (c) => take(options, "default", c.req.raw, c.env));
  app.post("/webhook/:source", knownSource, (c) =>
    take(options, c.req.valid("param").source, c.req.raw, c.env),
  );

  app.all("/healthz", () => wrongMethod("GET"));
  app.all("/readyz", () => wrongMethod("GET"));
  app.all("/webhook", () => wrongMethod("POST"));
  app.all("/webhook/:source", () => wrongMethod("POST"));
  app.notFound(() =>
    answerError(new HookonceError("not_found", "Nothing is here. Deliveries go to POST /webhook/<source>.")),
  );
  app.onError((error) => answerError(error));
  return app;
}

async function take(
  options: RoutesOptions,
  name: string,
  request: Request,
  env: Env["Bindings"] | undefined,
): Promise<Response> {
  const startedAt = performance.now();
  try {
    const source = options.sources.get(name);
    if (source === undefined) throw unknownSource(options.sources, name);
    if (options.stopping())
      throw new HookonceError("shutting_down", "hookonce is shutting down; the retry finds it again.");
    refuseEncoding(request);
    const body = await readBody(request, source.maxBody, options.budget);
    try {
      const received = await receive(
        {
          method: request.method,
          url: request.url,
          // Native, and in lower case; ten times as fast as going through the entries.
          headers: request.headers.toJSON(),
          body: body.bytes,
          receivedAt: options.clock(),
          remoteAddress: env?.remoteAddress?.(request) ?? null,
        },
        source,
        options,
      );
      options.log.received(name, received, startedAt);
      return answerOutcome(received);
    } finally {
      body.release();
    }
  } catch (error) {
    options.log.rejected(name, error, startedAt);
    return answerError(error);
  }
}

/** What is verified is what was signed: a body that a proxy has compressed is not that. */
function refuseEncoding(request: Request): void {
  const encoding = request.headers.get("content-encoding");
  if (encoding === null || encoding === "identity") return;
  throw new HookonceError(
    "unsupported_content_encoding",
    "Only bodies without a Content-Encoding are taken.",
  );
}

function unknownSource(sources: ReadonlyMap<string, Source>, name: string): HookonceError {
  return name === "default" && !sources.has("default")
    ? new HookonceError(
        "unknown_source",
        "There is no source called default: deliver to POST /webhook/<source>.",
      )
    : new HookonceError(
        "unknown_source",
        "There is no source of this name: see [sources.…] in hookonce.toml.",
      );
}

function wrongMethod(allowed: string): Response {
  return answerError(new HookonceError("method_not_allowed", `Only ${allowed} is answered here.`), {
    allow: allowed,
  });
}
