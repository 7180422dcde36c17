import { closeSync, openSync } from "node:fs";
import type { Logger } from "pino";
import { HookonceError } from "../errors.ts";
import type { Services } from "./services.ts";

/** How often to look, in milliseconds. */
const EVERY_MS = 5000;

/**
 * Without a free descriptor no connection is accepted any more. Those that are open are still answered, and the
 * database is already open.
 *
 * @throws HookonceError `too_many_files`
 */
export function requireFreeDescriptor(): void {
  try {
    closeSync(openSync("/dev/null", "r"));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EMFILE" && code !== "ENFILE") return;
    throw new HookonceError(
      "too_many_files",
      `hookonce has as many connections and files open as the system allows (${code}), so it accepts no connection. Allow more, for example with LimitNOFILE=65536 in the systemd unit, or find out who holds so many connections.`,
      { cause: error },
    );
  }
}

/** Logs once that the last descriptor is in use, and once that there is a free one again. */
export async function watchDescriptors(services: Services, log: Logger, everyMs = EVERY_MS): Promise<void> {
  let isOut = false;
  const look = (): void => {
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
  const timer = setInterval(look, everyMs);
  await services.start(() => ({ name: "descriptors", stop: () => clearInterval(timer) }));
}
