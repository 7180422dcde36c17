// serve, from its source, with alerts that begin and end at once.
import { serve } from "../../src/app/serve.ts";
import { createLog } from "../../src/logging/log.ts";

process.exitCode = await serve({
  folder: process.argv[2]!,
  listen: "127.0.0.1:0",
  dev: true,
  log: await createLog({ readable: false }),
  open: { alerts: { everyMs: 5, holdMs: 0 } },
});
