import { existsSync } from "node:fs";
import { join } from "node:path";
import { createLog } from "../app/log.ts";
import { serve } from "../app/serve.ts";
import { CONFIG_FILE } from "../config/load.ts";

export interface ServeFlags {
  listen?: string;
  database?: string;
  production?: boolean;
  acceptIdChange?: boolean;
  init?: boolean;
}

/** `hookonce serve`: until a signal ends it. */
export async function runServe(folder: string, flags: ServeFlags): Promise<number> {
  if (flags.init === true && !existsSync(join(folder, CONFIG_FILE))) {
    const { initSummary, writeInbox } = await import("./init.ts");
    process.stderr.write(initSummary(writeInbox(folder), folder));
  }
  return serve({
    folder,
    listen: flags.listen,
    database: flags.database,
    production: flags.production,
    acceptIdChange: flags.acceptIdChange,
    log: await createLog({ readable: process.stdout.isTTY }),
  });
}
