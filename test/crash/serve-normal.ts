// The control of crash.test.ts: the same serve, from its source, with the one setting that loses answered
// events.
import { createLog } from "../../src/logging/log.ts";
import { serve } from "../../src/app/serve.ts";

process.exitCode = await serve({
  folder: process.argv[2]!,
  listen: "127.0.0.1:0",
  log: await createLog({ readable: false }),
  open: { storage: { synchronous: "NORMAL" } },
});
