import { existsSync, fstatSync } from "node:fs";
import { join } from "node:path";
import { onStrayOutput } from "../engines/handler-output.ts";
import { createLog } from "../logging/log.ts";
import type { Ready } from "../app/announce.ts";
import { serve } from "../app/serve.ts";
import { CONFIG_FILE } from "../config/load.ts";

export interface ServeFlags {
  listen?: string;
  database?: string;
  dev?: boolean;
  acceptIdChange?: boolean;
  init?: boolean;
}

/** `hookonce serve`: runs until a signal ends it. */
export async function runServe(folder: string, flags: ServeFlags): Promise<number> {
  if (flags.init === true && !existsSync(join(folder, CONFIG_FILE))) {
    const [{ writeInbox }, { complain }] = await Promise.all([
      import("./write-inbox.ts"),
      import("./terminal.ts"),
    ]);
    const { written } = writeInbox(folder);
    complain(`Made the inbox folder ${folder}: ${written.join(", ")}`);
  }
  const terminal = onTerminal();
  const log = await createLog({ readable: terminal });
  onStrayOutput(({ level, text }) => log.logger[level](text));
  try {
    return await serve({
      folder,
      listen: flags.listen,
      database: flags.database,
      dev: flags.dev,
      acceptIdChange: flags.acceptIdChange,
      onTerminal: terminal,
      onReady: terminal ? await bannerPrinter(folder, flags) : undefined,
      log,
    });
  } finally {
    // The problems of a refused start are printed with console as well.
    onStrayOutput(undefined);
  }
}

/** Loaded only for a terminal. */
async function bannerPrinter(
  folder: string,
  { listen, dev = false }: ServeFlags,
): Promise<(ready: Ready) => void> {
  const [{ banner }, { say }] = await Promise.all([import("./banner.ts"), import("./terminal.ts")]);
  return (ready) => say(banner(ready, { folder, elsewhere: listen !== undefined, dev }));
}

/**
 * Whether standard output is a terminal. Only a character device can be one, so `process.stdout` is not
 * loaded for anything else: it takes 20 ms, an eighth of the start of a service.
 */
function onTerminal(): boolean {
  try {
    return fstatSync(1).isCharacterDevice() && process.stdout.isTTY;
  } catch {
    return false; // standard output is closed
  }
}
