import { Database } from "bun:sqlite";
import { chmod, mkdir, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { secret } from "./stripe-events.ts";

export interface InboxFolder {
  readonly root: string;
  /** The folder for `serve`. */
  readonly folder: string;
  readonly data: string;
  readonly database: string;
  [Symbol.asyncDispose](): Promise<void>;
}

const config = `version = 1
database = "data/hookonce.db"

[sources.stripe]
provider = "stripe"
secret = "env:STRIPE_WEBHOOK_SECRET"
`;

// `n` counts how often an event was applied, which shows a second application. The second table shows a
// partial one.
const migration = `create table effects (event_id text primary key, n integer not null) strict;
create table credits (customer text primary key, cents integer not null) strict;
`;

const handler = `insert into effects (event_id, n) values (:event_id, 1)
on conflict (event_id) do update set n = n + 1;

insert into credits (customer, cents)
values (:payload ->> '$.data.object.customer', :payload ->> '$.data.object.amount_total')
on conflict (customer) do update set cents = cents + excluded.cents;
`;

/** An inbox folder with one Stripe source and a handler that counts how often each event is applied. */
export async function makeInboxFolder(): Promise<InboxFolder> {
  const root = await realpath(await mkdtemp(join(tmpdir(), "hookonce-crash-")));
  const folder = join(root, "inbox");
  const data = join(folder, "data");
  const database = join(data, "hookonce.db");
  await mkdir(data, { recursive: true });
  await Bun.write(join(folder, "hookonce.toml"), config);
  await Bun.write(join(folder, ".env"), `STRIPE_WEBHOOK_SECRET=${secret}\n`);
  await chmod(join(folder, ".env"), 0o600);
  await Bun.write(join(folder, "migrations", "0001_effects.sql"), migration);
  await Bun.write(join(folder, "handlers", "stripe", "_any.sql"), handler);
  return {
    root,
    folder,
    data,
    database,
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
}

export interface Effects {
  /** How often each event was applied. */
  readonly applied: Map<string, number>;
  readonly cents: number;
  /** How many events hookonce has recorded. */
  readonly listed: number;
  readonly integrity: string;
}

/** Reads the database from another process than the one that serves it. */
export function readEffects(path: string): Effects {
  using database = new Database(path, { readonly: true });
  database.run("pragma busy_timeout = 5000");
  const rows = database.query<{ event_id: string; n: number }, []>("select event_id, n from effects").all();
  const one = (sql: string) => database.query<{ value: unknown }, []>(sql).get()?.value;
  return {
    applied: new Map(rows.map(({ event_id, n }) => [event_id, n])),
    cents: Number(one("select coalesce(sum(cents), 0) as value from credits")),
    listed: Number(one("select count(*) as value from hookonce_events")),
    integrity: String(one("select integrity_check as value from pragma_integrity_check limit 1")),
  };
}
