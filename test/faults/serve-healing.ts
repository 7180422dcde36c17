// serve, from its source, with a shorter wait for what may pass by itself.
import { serve } from "../../src/app/serve.ts";
import { printRefusal } from "../../src/cli/refusal.ts";
import { createLog } from "../../src/logging/log.ts";

try {
  process.exitCode = await serve({
    folder: process.argv[2]!,
    listen: "127.0.0.1:0",
    log: await createLog({ readable: false }),
    open: { healMs: Number(process.argv[3]) },
  });
} catch (error) {
  printRefusal(error);
  process.exit(1);
}
