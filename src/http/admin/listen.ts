import { HookonceError, messageOf } from "../../errors.ts";
import { answerError } from "../answers.ts";

/** The most bytes that a request may carry: 10,000 ids of 255 bytes, and room for JSON. */
const MAX_REQUEST_BYTES = 8 * 1024 * 1024;

export interface AdminListener {
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * Listens for the page and the API.
 *
 * @throws HookonceError `listen_failed`
 */
export function listenForAdmin(
  app: { fetch(request: Request, env: { readonly peer: string }): Response | Promise<Response> },
  { hostname, port }: { readonly hostname: string; readonly port: number },
): AdminListener {
  try {
    const server = Bun.serve({
      hostname,
      port,
      reusePort: false,
      development: false,
      maxRequestBodySize: MAX_REQUEST_BYTES,
      // In seconds, and longer than the heartbeat of the stream.
      idleTimeout: 60,
      fetch: (request, server) => app.fetch(request, { peer: server.requestIP(request)?.address ?? "" }),
      error: (error) => answerError(error),
    });
    const host = hostname.includes(":") ? `[${hostname}]` : hostname;
    return { url: `http://${host}:${server.port}`, stop: () => server.stop(true) };
  } catch (error) {
    const inUse = (error as NodeJS.ErrnoException).code === "EADDRINUSE";
    throw new HookonceError(
      "listen_failed",
      `Cannot listen on ${hostname}:${port}: ${inUse ? "another process uses this port" : messageOf(error)}.`,
      { cause: error },
    );
  }
}
