import { chmodSync, existsSync, realpathSync, rmSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { hc } from "hono/client";
import { HookonceError, messageOf } from "../../errors.ts";
import type { AdminApp } from "./routes.ts";
import { refuseForeignFolder, refuseForeignSocket } from "./socket-owner.ts";

/** The longest path of a unix socket on Linux, in bytes: https://man7.org/linux/man-pages/man7/unix.7.html */
const MAX_PATH = 107;

/** Whether this system can restrict a unix socket to its owner. Windows cannot. */
export const HAS_SOCKET = process.platform !== "win32";

/** The path of the socket for a database. It is the same for all names of the database. */
export function socketPathOf(database: string): string {
  const path = `${existsSync(database) ? realpathSync(database) : database}.sock`;
  if (Buffer.byteLength(path) <= MAX_PATH) return path;
  const runtime = process.env["XDG_RUNTIME_DIR"] ?? tmpdir();
  return join(
    runtime,
    `hookonce-${new Bun.CryptoHasher("sha256").update(path).digest("hex").slice(0, 32)}.sock`,
  );
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
    refuseForeignFolder(path, database);
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
  return hc<AdminApp>("http://localhost", { fetch, headers: { [ACTOR_HEADER]: userName() } });
}

/** The name of this process's user, as a header can hold it. */
function userName(): string {
  try {
    return userInfo().username.replaceAll(/[^\x21-\x7e]/g, "?");
  } catch {
    // A container may run as a user without a name.
    return `uid ${process.getuid?.() ?? "unknown"}`;
  }
}

/**
 * Connects to the process that serves a database.
 *
 * @returns undefined if no process does. The client throws `shutting_down` if that process ends
 * @throws HookonceError `permission_denied` if it runs as another user, or if the socket is another user's
 */
export async function connectToServe(database: string): Promise<AdminClient | undefined> {
  const unix = socketPathOf(database);
  if (!HAS_SOCKET || !existsSync(unix)) return undefined;
  refuseForeignFolder(unix, database);
  refuseForeignSocket(unix, database);
  const send = async (request: Request): Promise<Response> => {
    const { method, headers, signal } = request;
    const body = request.body === null ? undefined : await request.text();
    return fetch(request.url, { unix, method, headers, signal, ...(body === undefined ? {} : { body }) });
  };
  try {
    await send(new Request("http://localhost/"));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EACCES" || code === "EPERM") {
      throw new HookonceError(
        "permission_denied",
        `You may not use the socket ${unix}. Run this as the user of hookonce serve, for example: sudo -u hookonce hookonce …`,
      );
    }
    // A killed process left the socket behind.
    return undefined;
  }
  return createAdminClient((request) =>
    send(request).catch((cause: unknown) => {
      throw new HookonceError(
        "shutting_down",
        "hookonce serve stopped before the command was done. What was done stays done. If a job had begun, it continues when serve starts again.",
        { cause },
      );
    }),
  );
}
