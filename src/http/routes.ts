import { zValidator } from "@hono/zod-validator";
import { Hono } from "hono";
import * as z from "zod/mini";
import { HookonceError } from "../errors.ts";
import type { Headers } from "../event.ts";
import type { Handlers } from "../handlers/registry.ts";
import type { GroupCommit } from "../inbox/group-commit.ts";
import { answerGet, receive } from "../inbox/receive.ts";
import type { Source } from "../providers/source.ts";
import { answerBatch, answerError, answerReceived, answerReply } from "./answers.ts";
import { readBody, releaseBody, type ByteBudget } from "./body.ts";
import type { DeliveryLog } from "./log.ts";

export interface RoutesOptions {
  readonly sources: ReadonlyMap<string, Source>;
  readonly handlers: Handlers;
  readonly writer: Pick<GroupCommit, "commit">;
  readonly budget: ByteBudget;
  readonly log: DeliveryLog;
  /** Unix milliseconds. */
  readonly clock: () => number;
  /** Throws when the writer cannot write. A proof not older than `withinMs` will do. */
  readonly probe: (withinMs: number) => void;
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
  const allowed = new Map([
    ["/healthz", "GET"],
    ["/readyz", "GET"],
  ]);

  app.get("/healthz", (c) => c.json({ status: "alive" }));
  app.get("/readyz", zValidator("query", readyQuery, refuseQuery), (c) => {
    if (options.stopping()) throw new HookonceError("shutting_down", "hookonce is shutting down.");
    options.probe(c.req.valid("query").within);
    return c.json({ status: "ready" });
  });
  // A path of its own for each source, and none that overlaps: where one handler matches, Hono spares it middleware and parameters.
  for (const source of options.sources.values()) {
    for (const path of pathsOf(source)) {
      app.post(path, (c) => take(options, source, c.req.raw, c.env));
      allowed.set(path, "POST");
      if (source.handshakes?.GET !== undefined) {
        app.get(path, (c) => shakeHands(options, source, c.req.raw, c.env));
        allowed.set(path, "GET, POST");
      }
    }
  }
  app.notFound((c) => {
    const { raw } = c.req;
    // Without a Host that can be one Bun leaves the URL at its path, and Hono looks for the path elsewhere.
    if (raw.url.startsWith("/")) {
      const remoteAddress = (): string | null => c.env?.remoteAddress?.(raw) ?? null;
      return app.fetch(new Request(`http://localhost${raw.url}`, raw), { remoteAddress });
    }
    const error = refusalOf(c.req.path, allowed.get(c.req.path));
    if (c.req.method === "POST")
      options.log.rejected(
        c.req.path.slice(0, MAX_LOGGED).replaceAll(/\p{C}/gu, "?"),
        error,
        performance.now(),
      );
    return answerError(
      error,
      error.code === "method_not_allowed" ? { allow: allowed.get(c.req.path) ?? "" } : {},
    );
  });
  app.onError((error) => answerError(error));
  return app;
}

/** The source called `default` is also reached without its name. */
export function pathsOf(source: Pick<Source, "name">): string[] {
  const path = `/webhook/${source.name}`;
  return source.name === "default" ? ["/webhook", path] : [path];
}

/** `within`: how old, in milliseconds, the last proof that writing works may be. 0 writes now. */
const readyQuery = z.object({
  within: z._default(z.pipe(z.coerce.number(), z.int().check(z.minimum(0), z.maximum(60_000))), 1000),
});

function refuseQuery(result: { success: boolean }): Response | undefined {
  return result.success
    ? undefined
    : answerError(new HookonceError("invalid_query", "within is a number of milliseconds from 0 to 60000."));
}

/** Of a path that somebody made up, in the log. */
const MAX_LOGGED = 100;

function refusalOf(path: string, allowed: string | undefined): HookonceError {
  if (allowed !== undefined) {
    return new HookonceError("method_not_allowed", `Only ${allowed} is answered here.`);
  }
  if (path === "/webhook") {
    return new HookonceError(
      "unknown_source",
      "There is no source called default: deliver to POST /webhook/<source>.",
    );
  }
  return /^\/webhook\/[^/]+$/.test(path)
    ? new HookonceError(
        "unknown_source",
        "There is no source of this name: see [sources.…] in hookonce.toml.",
      )
    : new HookonceError("not_found", "Nothing is here. Deliveries go to POST /webhook/<source>.");
}

async function take(
  options: RoutesOptions,
  source: Source,
  request: Request,
  env: Env["Bindings"] | undefined,
): Promise<Response> {
  const startedAt = performance.now();
  try {
    if (options.stopping()) {
      throw new HookonceError("shutting_down", "hookonce is shutting down; the retry finds it again.");
    }
    // Native, and in lower case; ten times as fast as going through the entries.
    const headers = request.headers.toJSON();
    refuseEncoding(headers);
    const { provider } = source;
    const body = await readBody(request, headers["content-length"], source.maxBody, options.budget);
    try {
      const received = await receive(
        {
          method: request.method,
          url: request.url,
          headers,
          body,
          receivedAt: options.clock(),
          remoteAddress: () => env?.remoteAddress?.(request) ?? null,
        },
        source,
        options,
      );
      if ("outcome" in received) {
        options.log.received(source.name, received, startedAt);
        return answerReceived(received, provider);
      }
      if ("handshake" in received) {
        options.log.handshake(source.name, received, startedAt);
        return answerReply(received.reply);
      }
      for (const event of received.events) {
        if (event instanceof HookonceError) options.log.rejected(source.name, event, startedAt);
        else options.log.received(source.name, event, startedAt);
      }
      return answerBatch(received, provider);
    } finally {
      releaseBody(body, options.budget);
    }
  } catch (error) {
    options.log.rejected(source.name, error, startedAt);
    return answerError(error, {}, source.provider.emptyRefusals);
  }
}

async function shakeHands(
  options: RoutesOptions,
  source: Source,
  request: Request,
  env: Env["Bindings"] | undefined,
): Promise<Response> {
  const startedAt = performance.now();
  try {
    const done = await answerGet(
      {
        method: request.method,
        url: request.url,
        headers: request.headers.toJSON(),
        body: new Uint8Array(),
        receivedAt: options.clock(),
        remoteAddress: () => env?.remoteAddress?.(request) ?? null,
      },
      source,
    );
    options.log.handshake(source.name, done, startedAt);
    return answerReply(done.reply);
  } catch (error) {
    options.log.rejected(source.name, error, startedAt);
    return answerError(error);
  }
}

/** What is verified is what came over the wire; gzip is undone after that (providers/payload.ts), and nothing else is. */
function refuseEncoding(headers: Headers): void {
  const encoding = headers["content-encoding"]?.toLowerCase();
  if (encoding === undefined || encoding === "identity" || encoding === "gzip") return;
  throw new HookonceError(
    "unsupported_content_encoding",
    "Only bodies without a Content-Encoding, or with gzip, are taken.",
  );
}
