import { zValidator } from "@hono/zod-validator";
import { Hono } from "hono";
import * as z from "zod/mini";
import { HookonceError } from "../errors.ts";
import type { Delivery, Head, Headers } from "../event.ts";
import type { Health, HealthWarning } from "../engines/engine.ts";
import { sourcePaused } from "../engines/source-states.ts";
import type { Queue } from "../inbox/queue.ts";
import { answerHandshake, receive } from "../inbox/receive.ts";
import { isGzip } from "../providers/body/payload.ts";
import type { Counter } from "../metrics/counters.ts";
import type { HandshakeMethod } from "../providers/handshake.ts";
import type { Source } from "../providers/source.ts";
import { answerBatch, answerError, answerJson, answerReceived, answerReply } from "./answers.ts";
import type { BodyReader } from "./body.ts";
import type { DeliveryLog } from "./log.ts";
import type { RefusedRing } from "./refused.ts";
import { nearPath, pathsOf, shownPath } from "./paths.ts";
import { knownCode } from "./statuses.ts";

export interface RoutesOptions {
  readonly sources: ReadonlyMap<string, Source>;
  readonly queue: Pick<Queue, "deliver">;
  readonly bodies: BodyReader;
  readonly log: DeliveryLog;
  /** Unix milliseconds. */
  readonly clock: () => number;
  /** Throws if the database cannot be written. A successful write at most `withinMs` ago counts as proof. */
  readonly probe: (withinMs: number) => Promise<Health> | Health;
  /** What else somebody should look after. */
  readonly warnings?: (() => readonly HealthWarning[]) | undefined;
  /** Keeps deliveries that are refused, for `hookonce verify --last`. */
  readonly refused?: RefusedRing | undefined;
  /** Called with each delivery that was accepted. */
  readonly onAccepted?: ((source: Source, delivery: Delivery) => void) | undefined;
  /** Whether the deliveries of a source are refused before their bodies are read, because it is paused. */
  readonly isRefusing?: ((source: string) => boolean) | undefined;
  /** Counts refused deliveries by source and code. */
  readonly refusals?: Counter | undefined;
  /** Returns true during a stop. Requests that still arrive are then answered 503. */
  readonly stopping: () => boolean;
}

export interface Env {
  Bindings: {
    /** The peer's address. Tests without a socket leave it out. */
    remoteAddress?: (request: Request) => string | null;
  };
}

/** All HTTP routes of hookonce. Each source authenticates its own deliveries (inbox/receive.ts). */
export function createRoutes(options: RoutesOptions): Hono<Env> {
  const app = new Hono<Env>();
  const allowed = new Map([
    ["/healthz", "GET"],
    ["/readyz", "GET"],
  ]);

  app.get("/healthz", () => answerJson({ status: "alive" }));
  app.get("/readyz", zValidator("query", readyQuery, refuseQuery), async (c) => {
    if (options.stopping()) throw new HookonceError("shutting_down", "hookonce is shutting down.");
    try {
      const health = await options.probe(c.req.valid("query").within);
      const warnings = [...health.warnings, ...(options.warnings?.() ?? [])];
      return answerJson({ status: "ready", ...(warnings.length === 0 ? {} : { warnings }) });
    } catch (error) {
      options.log.unready(error);
      throw error;
    }
  });
  // One route per path, and no two that overlap: if only one handler matches, Hono skips middleware and
  // parameters.
  for (const source of options.sources.values()) {
    for (const path of pathsOf(source).flatMap((one) => [one, `${one}/`])) {
      app.post(path, (c) => take(options, source, c.req.raw, c.env));
      const { deliversByGet } = source.provider;
      // Hono passes HEAD to the route of GET.
      if (deliversByGet)
        app.get(path, (c, next) =>
          c.req.raw.method === "GET" ? take(options, source, c.req.raw, c.env) : next(),
        );
      const methods = source.handshakes?.methods ?? [];
      allowed.set(path, [...methods, ...(deliversByGet ? ["GET"] : []), "POST"].join(", "));
      for (const method of methods) {
        // Hono passes HEAD to the route of GET.
        app.on(method === "HEAD" ? "GET" : method, path, (c, next) => {
          const asked = c.req.raw.method === "HEAD" ? "HEAD" : method;
          if (method === "HEAD" && c.req.raw.method !== "HEAD") return next();
          return shakeHands(options, source, asked, c.req.raw, c.env);
        });
      }
    }
  }
  app.notFound((c) => {
    const { raw } = c.req;
    // Without a valid Host header, Bun sets the URL to the path alone, and Hono does not find the path in it.
    if (raw.url.startsWith("/")) {
      const remoteAddress = (): string | null => c.env?.remoteAddress?.(raw) ?? null;
      return app.fetch(new Request(`http://localhost${raw.url}`, raw), { remoteAddress });
    }
    const error = refusalOf(c.req.path, allowed.get(c.req.path));
    if (c.req.method === "POST" || error.code === "method_not_allowed") {
      options.refusals?.add("", error.code);
      options.log.rejected(
        shownPath(c.req.path, options.sources).slice(0, MAX_LOGGED).replaceAll(/\p{C}/gu, "?"),
        withNearPath(error, c.req.path, [...options.sources.values()].flatMap(pathsOf)),
        performance.now(),
      );
    }
    return answerError(
      error,
      error.code === "method_not_allowed" ? { allow: allowed.get(c.req.path) ?? "" } : {},
    );
  });
  app.onError((error) => answerError(error));
  return app;
}

/**
 * `within`: how old the last successful write may be to count as proof, in milliseconds. 0 forces a write.
 */
const readyQuery = z.object({
  within: z._default(z.pipe(z.coerce.number(), z.int().check(z.minimum(0), z.maximum(60_000))), 1000),
});

function refuseQuery(result: { success: boolean }): Response | undefined {
  return result.success
    ? undefined
    : answerError(
        new HookonceError("invalid_query", "within must be a whole number of milliseconds from 0 to 60000."),
      );
}

/** How many characters of an unknown path are logged. */
const MAX_LOGGED = 100;

function refusalOf(path: string, allowed: string | undefined): HookonceError {
  if (allowed !== undefined) {
    return new HookonceError("method_not_allowed", `This path accepts only ${allowed}.`);
  }
  if (path === "/webhook") {
    return new HookonceError(
      "unknown_source",
      "There is no source named default. Deliver to POST /webhook/<source>.",
    );
  }
  return /^\/webhook\/[^/]+$/.test(path)
    ? new HookonceError(
        "unknown_source",
        "There is no source with this name. Add it as [sources.<name>] to hookonce.toml.",
      )
    : new HookonceError("not_found", "There is nothing at this path. Deliver to POST /webhook/<source>.");
}

/** Names a near path in the log. The answer does not, because it would reveal which sources exist. */
function withNearPath(error: HookonceError, path: string, paths: readonly string[]): HookonceError {
  const near = nearPath(path, paths);
  return near === undefined || near === path
    ? error
    : new HookonceError(error.code, `${error.message} Did the sender mean ${near}?`);
}

async function take(
  options: RoutesOptions,
  source: Source,
  request: Request,
  env: Env["Bindings"] | undefined,
): Promise<Response> {
  const startedAt = performance.now();
  let read: { readonly head: Head; readonly body?: Uint8Array } | undefined;
  /** Once: the body is freed with the delivery. */
  const keepRefused = (error: unknown): void => {
    if (read !== undefined) options.refused?.keep(source, read.head, options.clock, read.body, error);
    read = undefined;
  };
  try {
    if (options.stopping()) {
      throw new HookonceError("shutting_down", "hookonce is shutting down. Try again later.");
    }
    // toJSON is native, ten times as fast as iterating over the entries, and returns names in lower case.
    const headers = request.headers.toJSON();
    refuseEncoding(headers);
    const { provider } = source;
    const head: Head = {
      method: request.method,
      url: request.url,
      headers,
      remoteAddress: once(() => env?.remoteAddress?.(request) ?? null),
    };
    read = { head };
    const admission = source.admit(head);
    // Of a source with a handshake by POST, only the body shows what arrives. The engine refuses its events.
    if (options.isRefusing?.(source.name) === true && !shakesHandsByPost(source))
      throw sourcePaused(source.name);
    const body = await options.bodies.read(request, headers["content-length"], admission);
    read = { head, body: body.bytes };
    try {
      const delivery = { ...head, body: body.bytes, receivedAt: options.clock() };
      const received = await receive(delivery, source, options.queue);
      options.onAccepted?.(source, delivery);
      if ("outcome" in received) {
        options.log.received(source, received, startedAt);
        return answerReceived(received, source);
      }
      if ("handshake" in received) {
        options.log.handshake(source.name, received, startedAt);
        return answerReply(received.reply);
      }
      for (const event of received.events) {
        if (event instanceof HookonceError) {
          options.log.rejected(source.name, event, startedAt);
          options.refusals?.add(source.name, knownCode(event));
          keepRefused(event);
        } else options.log.received(source, event, startedAt);
      }
      return answerBatch(received, provider);
    } catch (error) {
      keepRefused(error);
      throw error;
    } finally {
      body.release();
    }
  } catch (error) {
    keepRefused(error);
    options.refusals?.add(source.name, knownCode(error));
    options.log.rejected(source.name, error, startedAt);
    return answerError(error, closing(error), source.provider.emptyRefusals);
  }
}

function shakesHandsByPost({ handshakes }: Source): boolean {
  return (handshakes?.unsigned ?? handshakes?.signed) !== undefined;
}

/** Bun forgets the address of a client that has disconnected, and its delivery goes on. */
function once(read: () => string | null): () => string | null {
  let address: string | null | undefined;
  return () => (address === undefined ? (address = read()) : address);
}

/** The rest of a body that has stopped arriving would be taken for the next request, if it ever came. */
function closing(error: unknown): Record<string, string> {
  return error instanceof HookonceError && error.code === "body_timeout" ? { connection: "close" } : {};
}

async function shakeHands(
  options: RoutesOptions,
  source: Source,
  method: HandshakeMethod,
  request: Request,
  env: Env["Bindings"] | undefined,
): Promise<Response> {
  const startedAt = performance.now();
  const delivery: Delivery = {
    method: request.method,
    url: request.url,
    headers: request.headers.toJSON(),
    body: new Uint8Array(),
    receivedAt: options.clock(),
    remoteAddress: () => env?.remoteAddress?.(request) ?? null,
  };
  try {
    const done = await answerHandshake(delivery, method, source);
    options.log.handshake(source.name, done, startedAt);
    return answerReply(done.reply);
  } catch (error) {
    options.refused?.keep(source, delivery, options.clock, delivery.body, error);
    options.refusals?.add(source.name, knownCode(error));
    options.log.rejected(source.name, error, startedAt);
    return answerError(error);
  }
}

/**
 * Refuses every Content-Encoding except gzip and identity. The signature covers the bytes as received, so
 * gzip is decoded only after verification (providers/body/payload.ts).
 */
function refuseEncoding(headers: Headers): void {
  const encoding = headers["content-encoding"]?.toLowerCase();
  if (encoding === undefined || encoding === "identity" || isGzip(headers)) return;
  throw new HookonceError(
    "unsupported_content_encoding",
    "Content-Encoding must be gzip, identity or absent.",
  );
}
