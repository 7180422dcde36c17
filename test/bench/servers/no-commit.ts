// hookonce without the commit: HTTP, verification, parsing, log and answer run, but nothing is written.
// Usage: bun no-commit.ts <port> <inbox folder>
import { check } from "../../../src/app/check.ts";
import { createLog } from "../../../src/logging/log.ts";
import { openInbox } from "../../../src/app/open-inbox.ts";
import { createBodyReader } from "../../../src/http/body.ts";
import { createDeliveryLog } from "../../../src/http/log.ts";
import { createRoutes } from "../../../src/http/routes.ts";
import { listen } from "../../../src/http/server.ts";
import { createServices } from "../../../src/app/services.ts";

const [port, folder] = process.argv.slice(2) as [string, string];
const log = await createLog({ readable: false });
const clock = Date.now;
const { config, sources, handlers } = await check(folder, { environment: process.env, clock });
if (config === null) throw new Error(`${folder} is not an inbox folder`);

const services = createServices();
const inbox = await openInbox(services, {
  config,
  sources,
  handlers,
  log: log.logger,
  clock,
  onFatal(error) {
    throw error;
  },
});
const routes = createRoutes({
  sources,
  queue: {
    deliver: ({ source, input: { id, type } }) =>
      Promise.resolve({
        eventId: id,
        type,
        outcome: "processed",
        handler: inbox.live().handlers.for(source.handlersOf, type)?.file ?? null,
        rowsChanged: 1,
        durationUs: 0,
        changedBody: false,
        error: null,
        reply: null,
      }),
  },
  bodies: createBodyReader({
    total: 64 * 1024 * 1024,
    reserve: 3 * 1024 * 1024,
    pauseMs: 10_000,
    wholeMs: 60_000,
  }),
  log: createDeliveryLog(log.logger, { writeLine: log.writeDelivery }),
  clock,
  probe: () => ({ warnings: [] }),
  stopping: () => false,
});
listen(() => routes, { hostname: "127.0.0.1", port: Number(port) });

process.once("SIGTERM", () => {
  void services.stop().then(() => process.exit(0));
});
