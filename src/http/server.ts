import type { Hono } from "hono";
import { HookonceError, messageOf } from "../errors.ts";
import { answerError } from "./answers.ts";
import type { Env } from "./routes.ts";

export interface HttpServer {
  readonly url: string;
  /** Answers requests with the routes that this returns, from now on. */
  serve(routes: () => Hono<Env>): void;
  /** Closes the connections on which no request is in progress. Returns how many. */
  closeIdle(): number;
  /**
   * Stops accepting connections. Resolves once every request has been answered. After `timeoutMs` it closes
   * the connections that are still open.
   */
  stop(timeoutMs: number): Promise<void>;
}

export interface ListenOptions {
  readonly hostname: string;
  /** 0 picks a free port. */
  readonly port: number;
}

/**
 * How long a connection may rest between two requests, in seconds. It is longer than a proxy keeps one (nginx
 * 60 s, Caddy 120 s), so that the proxy closes it and never sends a request into a connection that hookonce
 * is closing. Bodies have limits of their own (body.ts), and Bun gives the first headers 10 s.
 */
const KEEP_ALIVE = 180;

/**
 * Starts listening.
 *
 * @param app asked for each request; null answers every request with 503 until {@link HttpServer.serve} is called
 * @throws HookonceError `listen_failed`
 */
export function listen(app: (() => Hono<Env>) | null, options: ListenOptions): HttpServer {
  let server: Bun.Server<undefined>;
  let routes = app;
  const env: Env["Bindings"] = { remoteAddress: (request) => server.requestIP(request)?.address ?? null };
  try {
    server = Bun.serve({
      hostname: options.hostname,
      port: options.port,
      // With `development: false`, Bun shares the port by default, and each of two servers would receive half
      // of the deliveries.
      reusePort: false,
      // Bun's error pages show source code and paths, even in a compiled binary.
      development: false,
      idleTimeout: KEEP_ALIVE,
      // Bun's own limit answers without a body and without a log line, so it is off. The limit of the source
      // (body.ts) is checked before a body is read and while it is read. Bun discards what is not read: a
      // client that went on to send 300 MB cost 11 MB of memory.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      fetch: (request) => (routes === null ? answerError(starting()) : routes().fetch(request, env)),
      error: (error) => answerError(error),
    });
  } catch (error) {
    const address = `${options.hostname}:${options.port}`;
    const why =
      (error as NodeJS.ErrnoException).code === "EADDRINUSE"
        ? "another process uses this port. Stop it, or set"
        : `${messageOf(error)}. Set`;
    throw new HookonceError(
      "listen_failed",
      `Cannot listen on ${address}: ${why} another address with listen in hookonce.toml or with --listen.`,
      { cause: error },
    );
  }
  return {
    url: `http://${options.hostname.includes(":") ? `[${options.hostname}]` : options.hostname}:${server.port}`,
    serve(app) {
      routes = app;
    },
    closeIdle: () => server.closeIdleConnections(),
    async stop(timeoutMs) {
      const timer = setTimeout(() => void server.stop(true), timeoutMs);
      await server.stop();
      clearTimeout(timer);
    },
  };
}

function starting(): HookonceError {
  return new HookonceError("starting", "hookonce is starting. Try again later.");
}
