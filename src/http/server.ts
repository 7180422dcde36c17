import type { Hono } from "hono";
import { HookonceError, messageOf } from "../errors.ts";
import { answerError } from "./answers.ts";
import type { Env } from "./routes.ts";

export interface HttpServer {
  readonly url: string;
  /** From now on requests are answered by these routes. */
  serve(app: Hono<Env>): void;
  /** Takes no new connections; resolves when every request has been answered, or after `timeoutMs`, when the rest is cut off. */
  stop(timeoutMs: number): Promise<void>;
}

export interface ListenOptions {
  readonly hostname: string;
  /** 0 takes a free one. */
  readonly port: number;
}

/** In seconds, for the whole of a request's body: dripping it in does not gain time. */
const BODY_TIMEOUT = 30;

/**
 * @param app null: until there is one ({@link HttpServer.serve}) the answer to everything is 503
 * @throws HookonceError `listen_failed`
 */
export function listen(app: Hono<Env> | null, options: ListenOptions): HttpServer {
  let server: Bun.Server<undefined>;
  let routes = app;
  const env: Env["Bindings"] = { remoteAddress: (request) => server.requestIP(request)?.address ?? null };
  try {
    server = Bun.serve({
      hostname: options.hostname,
      port: options.port,
      // Without development Bun shares the port with whoever asks likewise, and each of two hookonces gets half of the deliveries.
      reusePort: false,
      // Bun's error pages would show source and paths, even compiled.
      development: false,
      idleTimeout: BODY_TIMEOUT,
      // None of Bun's own, which answers without a body and without a line in the log: a source's limit (body.ts) is looked at before a
      // body is read and while it is. What nobody reads Bun throws away: 300 MB sent on cost 11 MB of memory.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      fetch: (request) => (routes === null ? answerError(starting()) : routes.fetch(request, env)),
      error: (error) => answerError(error),
    });
  } catch (error) {
    throw new HookonceError(
      "listen_failed",
      `Cannot listen on ${options.hostname}:${options.port}: ${messageOf(error)}. Is something else there? Set listen in hookonce.toml, or --listen.`,
      { cause: error },
    );
  }
  return {
    url: `http://${options.hostname.includes(":") ? `[${options.hostname}]` : options.hostname}:${server.port}`,
    serve(app) {
      routes = app;
    },
    async stop(timeoutMs) {
      const timer = setTimeout(() => void server.stop(true), timeoutMs);
      await server.stop();
      clearTimeout(timer);
    },
  };
}

function starting(): HookonceError {
  return new HookonceError("starting", "hookonce is starting; the retry finds it ready.");
}
