import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { SECRET, TYPE } from "./events.ts";

export const HANDLER_FILE = `handlers/stripe/${TYPE}.sql`;

/** The table that the handler of every design updates, including the tutorial's. */
export const CREDITS_TABLE =
  "create table credits (customer text primary key, cents integer not null) strict;";

const files: Readonly<Record<string, string>> = {
  "hookonce.toml": `version = 1

[sources.stripe]
provider = "stripe"
secret = "env:STRIPE_WEBHOOK_SECRET"
`,
  ".env": `STRIPE_WEBHOOK_SECRET=${SECRET}\n`,
  "migrations/0001_credits.sql": CREDITS_TABLE,
  [HANDLER_FILE]: `insert into credits (customer, cents)
values (:payload ->> '$.data.object.customer', :payload ->> '$.data.object.amount_total')
on conflict (customer) do update set cents = cents + excluded.cents;
`,
};

export function databaseOf(folder: string): string {
  return join(folder, "data/hookonce.db");
}

/** Writes an inbox folder with one Stripe source and one SQL handler. */
export function writeInboxFolder(folder: string): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  chmodSync(join(folder, ".env"), 0o600);
}
