import { chmodSync, existsSync, realpathSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { hc } from "hono/client";
import { HookonceError, messageOf } from "../../errors.ts";
import type { AdminApp } from "./routes.ts";
import { refuseForeignSocket } from "./socket-owner.ts";
import { userName } from "./user-name.ts";

/**
 * The longest file name of a socket, in bytes. Linux allows 107 for the whole path, and Bun shortens the folder to
 * /proc/self/fd/N: https://man7.org/linux/man-pages/man7/unix.7.html
 */
const MAX_NAME = 80;

/** Whether this system can restrict a unix socket to its owner. Windows cannot. */
export const HAS_SOCKET = process.platform !== "win32";

/**
 * The path of the socket for a database: beside it, whatever the environment of a process is. It is the same for
 * all names of the database.
 */
export function socketPathOf(database: string): string {
  const path = `${existsSync(database) ? realpathSync(database) : database}.sock`;
  if (Buffer.byteLength(basename(path)) <= MAX_NAME) return path;
  const name = new Bun.CryptoHasher("sha256").update(basename(path)).digest("hex").slice(0, 32);
  return join(dirname(path), `hookonce-${name}.sock`);
}

/** The name of the user who runs a command. Only the socket believes it. */
export const ACTOR_HEADER = "x-hookonce-actor";

export interface AdminSocket {
  /** Closes all connections and removes the socket. */
  stop(): Promise<void>;
}

/**
 * Listens on a unix socket that only its owner can use. Call it only while holding the lock of the database,
 * because it removes a socket that a killed process left behind.
 *
 * @throws HookonceError `listen_failed`, or `permission_denied` if another user could replace the socket
 */
export function listenOnSocket(
  app: { fetch(request: Request): Response | Promise<Response> },
  database: string,
): AdminSocket {
  const path = socketPathOf(database);
  // The umask is set before the bind, so that other users can never open the socket.
  const umask = process.umask(0o177);
  try {
    rmSync(path, { force: true });
    const server = Bun.serve({ unix: path, development: false, fetch: (request) => app.fetch(request) });
    chmodSync(path, 0o600);
    return {
      async stop() {
        await server.stop(true);
        rmSync(path, { force: true });
      },
    };
  } catch (error) {
    if (error instanceof HookonceError) throw error;
    throw new HookonceError("listen_failed", `Cannot listen on the socket ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  } finally {
    process.umask(umask);
  }
}

export type AdminClient = ReturnType<typeof createAdminClient>;

/**
 * Creates the typed client of the API.
 *
 * @param send passes a request to the app, over the socket or within this process
 */
export function createAdminClient(send: (request: Request) => Response | Promise<Response>) {
  const fetch = (input: string | URL | Request, init?: RequestInit): Promise<Response> =>
    Promise.resolve(send(new Request(input as string, init)));
  let actor: string | undefined;
  return hc<AdminApp>("http://localhost", {
    fetch,
    headers: () => ({ [ACTOR_HEADER]: (actor ??= userName()) }),
  });
}

/**
 * Connects to the process that serves a database.
 *
 * @returns undefined if no process does. The client throws `shutting_down` if that process ends, and
 *   `serve_unreachable` if it does not answer
 * @throws HookonceError `permission_denied` if it runs as another user, or if the socket is another user's.
 *   `serve_unreachable` if it does not answer
 */
export async function connectToServe(
  database: string,
  { firstMs, laterMs }: AnswerLimits = ANSWER_LIMITS,
): Promise<AdminClient | undefined> {
  const unix = socketPathOf(database);
  if (!HAS_SOCKET || !existsSync(unix)) return undefined;
  refuseForeignSocket(unix, database);
  const send = async (request: Request, limitMs: number): Promise<Response> => {
    const { method, headers } = request;
    const body = request.body === null ? undefined : await request.text();
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(silent(unix, limitMs)), limitMs);
    try {
      const signal = AbortSignal.any([request.signal, late.signal]);
      return await fetch(request.url, {
        unix,
        method,
        headers,
        signal,
        ...(body === undefined ? {} : { body }),
      });
    } finally {
      // Only until the answer begins: a stream of events goes on.
      clearTimeout(timer);
    }
  };
  try {
    await send(new Request("http://localhost/"), firstMs);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EACCES" || code === "EPERM") {
      throw new HookonceError(
        "permission_denied",
        `You may not use the socket ${unix}. Run this as the user of hookonce serve, for example: sudo -u hookonce hookonce …`,
      );
    }
    if (error instanceof HookonceError) throw error;
    // A killed process left the socket behind.
    return undefined;
  }
  return createAdminClient((request) =>
    send(request, laterMs).catch((cause: unknown) => {
      if (cause instanceof HookonceError || request.signal.aborted) throw cause;
      throw new HookonceError(
        "shutting_down",
        "hookonce serve stopped before the command was done. What was done stays done. If a job had begun, it continues when serve starts again.",
        { cause },
      );
    }),
  );
}

/** How long to wait for an answer, in milliseconds. */
interface AnswerLimits {
  readonly firstMs: number;
  readonly laterMs: number;
}

/** A handler can keep the process busy for 30 s, until the watchdog ends it. */
const ANSWER_LIMITS: AnswerLimits = { firstMs: 10_000, laterMs: 60_000 };

function silent(socket: string, limitMs: number): HookonceError {
  return new HookonceError(
    "serve_unreachable",
    `hookonce serve has not answered on ${socket} for ${limitMs / 1000} s. Either the process is stopped (SIGSTOP), or a handler keeps it busy. Wait and run the command again, or restart hookonce serve.`,
  );
}
