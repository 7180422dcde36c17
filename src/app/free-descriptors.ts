import { readFileSync } from "node:fs";
import type { Logger } from "pino";
import { lowestFree } from "../engines/free-descriptors.ts";
import { HookonceError } from "../errors.ts";
import type { HttpServer } from "../http/server.ts";
import type { Services } from "./services.ts";

/** How often to look, in milliseconds. A look takes 10 µs. */
const EVERY_MS = 250;

/** How many descriptors should be free. At a low limit, an eighth of them. */
const RESERVE = 64;

/** How long the line about idle connections is not repeated, in milliseconds. */
const QUIET_MS = 60_000;

/**
 * Without a free descriptor no connection is accepted any more. Those that are open are still answered, and the
 * database is already open.
 *
 * @throws HookonceError `too_many_files`
 */
export function requireFreeDescriptor(): void {
  if (lowestFree() < Number.POSITIVE_INFINITY) return;
  throw new HookonceError(
    "too_many_files",
    `hookonce has as many connections and files open as the system allows, so it accepts no connection. Allow more, for example with LimitNOFILE=65536 in the systemd unit, or find out who holds so many connections.`,
  );
}

/**
 * Closes idle connections while few descriptors are free. At the limit, Bun cannot accept a connection, reports
 * no error, and asks the system again at once, so that it takes a whole processor. Logs once that idle
 * connections are closed, once that the last descriptor is in use, and once that there is a free one again.
 */
export async function watchDescriptors(
  services: Services,
  server: Pick<HttpServer, "closeIdle">,
  log: Logger,
): Promise<void> {
  const limit = descriptorLimit();
  const enough = limit - Math.min(RESERVE, Math.floor(limit / 8));
  let isOut = false;
  let saidAt = Number.NEGATIVE_INFINITY;

  function closeIdle(): void {
    if (lowestFree() < enough) return;
    const closed = server.closeIdle();
    const now = performance.now();
    if (closed === 0 || now - saidAt < QUIET_MS) return;
    saidAt = now;
    log.warn(
      { limit, closed },
      "few file descriptors are free, so idle connections are closed: allow more, for example with LimitNOFILE=65536 in the systemd unit",
    );
  }

  const look = (): void => {
    closeIdle();
    try {
      requireFreeDescriptor();
      if (isOut) log.info("connections are accepted again");
      isOut = false;
    } catch (error) {
      const { code, message } = error as HookonceError;
      if (!isOut) log.warn({ code, cause: message }, "no further connection is accepted");
      isOut = true;
    }
  };
  const timer = setInterval(look, EVERY_MS);
  await services.start(() => ({ name: "descriptors", stop: () => clearInterval(timer) }));
}

/** Infinity if the system does not say, as on macOS. Bun has raised the soft limit to the hard one. */
function descriptorLimit(): number {
  try {
    const soft = /Max open files\s+(\d+)/.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
