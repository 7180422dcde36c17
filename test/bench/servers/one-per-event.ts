// hookonce with one transaction, and so one fsync, for each event. Group commit is measured against it.
// Usage: bun one-per-event.ts <port> <inbox folder>
import { createLog } from "../../../src/logging/log.ts";
import { serve } from "../../../src/app/serve.ts";

const [port, folder] = process.argv.slice(2) as [string, string];

process.exitCode = await serve({
  folder,
  listen: `127.0.0.1:${port}`,
  log: await createLog({ readable: false }),
  open: { queue: { maxEvents: 1 } },
});
