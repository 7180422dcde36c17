// `hookonce serve --dev` with a watchdog that is as impatient as a test: serve-watched.ts FOLDER TICK_MS
// LIMIT
import { serve } from "../../src/app/serve.ts";
import { exitProcess } from "../../src/engines/handler-process.ts";
import { createLog } from "../../src/logging/log.ts";

const [folder = "", tickMs, limit] = process.argv.slice(2);
const code = await serve({
  folder,
  listen: "127.0.0.1:0",
  dev: true,
  log: await createLog({ readable: false }),
  open: { watch: { tickMs: Number(tickMs), limit: Number(limit) } },
});
exitProcess(code);
