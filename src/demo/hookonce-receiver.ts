import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import pino from "pino";
import { check } from "../app/check.ts";
import { DEFAULT_DATABASE } from "../config/schema.ts";
import { createReceiver, openInbox } from "../app/open-inbox.ts";
import { createServices } from "../app/services.ts";
import { HookonceError, messageOf } from "../errors.ts";
import { listen } from "../http/server.ts";
import { creditsTable, creditStatement } from "./payments.ts";
import type { Receiver } from "./receiver.ts";

const inboxFiles = {
  "hookonce.toml": `version = 1
listen  = "127.0.0.1:0"

[sources.stripe]
provider = "stripe"
secret   = "env:STRIPE_WEBHOOK_SECRET"
`,
  "migrations/0001_credits.sql": creditsTable,
  "handlers/stripe/checkout.session.completed.sql": creditStatement,
};

/** How long a stop waits for deliveries in flight, in milliseconds. */
const DRAIN_MS = 2000;

/** hookonce itself, opened as `serve` opens it, on an inbox folder made here. It logs only errors. */
export async function openHookonceReceiver(folder: string, secret: string): Promise<Receiver> {
  const inboxFolder = join(folder, "inbox");
  for (const [path, text] of Object.entries(inboxFiles)) {
    mkdirSync(dirname(join(inboxFolder, path)), { recursive: true });
    writeFileSync(join(inboxFolder, path), text);
  }
  const clock = Date.now;
  const { config, sources, handlers, problems } = await check(inboxFolder, {
    environment: { STRIPE_WEBHOOK_SECRET: secret },
    clock,
  });
  if (config === null || problems.length > 0) {
    throw new HookonceError("config_invalid", "The demo's own inbox folder has problems.", { problems });
  }
  const log = pino({ level: "error", base: null }, pino.destination({ dest: 2, sync: true }));
  const services = createServices();
  const onFatal = (error: unknown): void =>
    log.fatal({ cause: messageOf(error) }, "the demo's database failed");
  const inbox = await openInbox(services, { config, sources, handlers, log, clock, onFatal });
  try {
    const server = listen(createReceiver(inbox, { log, clock }).routes, config.listen);
    return {
      url: `${server.url}/webhook/stripe`,
      databasePath: join(inboxFolder, DEFAULT_DATABASE),
      async [Symbol.asyncDispose]() {
        await server.stop(DRAIN_MS);
        await services.stop();
      },
    };
  } catch (error) {
    await services.stop();
    throw error;
  }
}
