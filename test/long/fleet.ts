import { expect } from "bun:test";
import { join } from "node:path";
import type { PostgresTarget } from "../../src/config/postgres.ts";
import { fromSource, scratch, start, type Scratch, type Started } from "../cli/support/hookonce.ts";
import { connect } from "../engines/postgres/cluster.ts";

/** Several nodes on one PostgreSQL database, and a storm of deliveries on all of them. */

/** How many customers share all events: each is written to all the time. */
const CUSTOMERS = 20;

const files = {
  "migrations/0001.sql": `
create table credits (customer text primary key, cents bigint not null);
create table read_first (customer text primary key, cents bigint not null);
create table effects (event_id text not null);`,
  // Two nodes would deadlock on the customers, or lose an update, if their handlers ran at the same time.
  "handlers/default/paid.sql": `
insert into credits values (:payload ->> 'customer', (:payload ->> 'cents')::bigint)
on conflict (customer) do update set cents = credits.cents + excluded.cents;
insert into effects values (:event_id);`,
  "handlers/default/read.ts": `
import { handler } from "hookonce";
import { sql } from "drizzle-orm";

export default handler(async ({ event, db }) => {
  const { customer, cents } = event.payload;
  const [row] = await db.execute(sql\`select cents from read_first where customer = \${customer}\`);
  const sum = Number(row?.cents ?? 0) + cents;
  if (row === undefined) await db.execute(sql\`insert into read_first values (\${customer}, \${sum})\`);
  else await db.execute(sql\`update read_first set cents = \${sum} where customer = \${customer}\`);
  await db.execute(sql\`insert into effects values (\${event.id})\`);
});`,
};

const configOf = (urls: readonly string[]): string => `version = 1
database = ${JSON.stringify(urls)}

[admin]
listen = "off"

[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
`;

export interface Node {
  readonly name: string;
  /** Undefined while it is down. */
  readonly url: string | undefined;
  readonly pid: number;
  start(): Promise<void>;
  kill(): Promise<void>;
  signal(name: NodeJS.Signals): void;
}

export interface Fleet extends AsyncDisposable {
  readonly nodes: readonly Node[];
}

/** @param targets servers of the same database, over the network */
export async function createFleet(
  targets: readonly PostgresTarget[],
  count: number,
  program: readonly string[] = fromSource,
): Promise<Fleet> {
  const urls = targets.map(
    ({ user, servers, database }) => `postgres://${user}@127.0.0.1:${servers[0]?.port}/${database}`,
  );
  const nodes = Array.from({ length: count }, (_, index) => createNode(`node ${index + 1}`, urls, program));
  await Promise.all(nodes.map((node) => node.start()));
  return {
    nodes,
    async [Symbol.asyncDispose]() {
      for (const node of nodes) await node.end();
    },
  };
}

function createNode(name: string, urls: readonly string[], program: readonly string[]) {
  const folder: Scratch = scratch({ ...files, "hookonce.toml": configOf(urls) });
  let running: Started | undefined;
  let url: string | undefined;
  return {
    name,
    get url() {
      return url;
    },
    get pid() {
      return running?.pid ?? 0;
    },
    async start() {
      const started = start(folder.path, { program });
      running = started;
      try {
        const line = await started.logged("listening");
        if (running === started) url = String(line["url"]);
      } catch (error) {
        // It may be killed during its start.
        if (running === started) throw error;
      }
    },
    async kill() {
      url = undefined;
      const killed = running;
      running = undefined;
      await killed?.[Symbol.asyncDispose]();
      // For example, an uncaught error.
      const fatal = killed?.log.find(({ level }) => level === "fatal");
      expect(fatal).toBeUndefined();
    },
    signal: (signal: NodeJS.Signals) => running?.signal(signal),
    async end() {
      await this.kill();
      folder[Symbol.dispose]();
    },
  };
}

export interface Storm {
  /** Events that were answered 200 so far. */
  readonly answered: ReadonlySet<number>;
  /** The longest time in which no delivery was answered 200, in milliseconds. */
  readonly longestGapMs: () => number;
  readonly statuses: ReadonlyMap<number, number>;
  /** Resolves when all events were answered 200 often enough. */
  readonly ended: Promise<void>;
}

interface StormOptions {
  readonly events: number;
  readonly clients: number;
  /** How often each event is delivered, at about the same time and to any of the nodes. */
  readonly copies: number;
  /** How long one client waits for an answer, in milliseconds. */
  readonly patienceMs?: number;
}

export const eventOf = (n: number) => ({
  event_id: `evt_${n}`,
  type: n % 10 === 0 ? "read" : "paid",
  customer: `customer_${n % CUSTOMERS}`,
  cents: (n % 7) + 1,
});

/** Delivers each event until it is answered 200, as a provider does. */
export function storm(
  nodes: readonly Pick<Node, "url">[],
  { events, clients, copies, patienceMs = 10_000 }: StormOptions,
): Storm {
  const answered = new Set<number>();
  const statuses = new Map<number, number>();
  const order = Array.from({ length: events * copies }, (_, index) => Math.floor(index / copies));
  let next = 0;
  let lastAt = performance.now();
  let gap = 0;

  async function deliver(n: number): Promise<void> {
    for (;;) {
      const status = await post(n);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (status === 200) {
        answered.add(n);
        const now = performance.now();
        gap = Math.max(gap, now - lastAt);
        lastAt = now;
        return;
      }
      await Bun.sleep(20 + Math.random() * 200);
    }
  }

  /** @returns 0 if there was no answer */
  async function post(n: number): Promise<number> {
    const up = nodes.filter(({ url }) => url !== undefined);
    const node = up[Math.floor(Math.random() * up.length)];
    if (node === undefined) return 0;
    try {
      const response = await fetch(`${node.url}/webhook`, {
        method: "POST",
        body: JSON.stringify(eventOf(n)),
        headers: { "content-type": "application/json" },
        signal: AbortSignal.timeout(patienceMs),
      });
      await response.text();
      return response.status;
    } catch {
      return 0;
    }
  }

  const client = async (): Promise<void> => {
    while (next < order.length) await deliver(order[next++] as number);
  };
  return {
    answered,
    statuses,
    longestGapMs: () => Math.max(gap, performance.now() - lastAt),
    ended: Promise.all(Array.from({ length: clients }, client)).then(() => {}),
  };
}

/** Each of these events has taken effect once, and nothing else has. */
export async function checkEffects(target: PostgresTarget, events: ReadonlySet<number>): Promise<void> {
  const { lost, doubled } = await lostAndDoubled(target, events);
  expect({ lost, doubled }).toEqual({ lost: [], doubled: [] });
  const sums = { paid: new Map<string, number>(), read: new Map<string, number>() };
  for (const n of events) {
    const { type, customer, cents } = eventOf(n);
    const sum = sums[type as "paid" | "read"];
    sum.set(customer, (sum.get(customer) ?? 0) + cents);
  }
  const connection = await connect(target);
  for (const [table, sum] of [
    ["credits", sums.paid],
    ["read_first", sums.read],
  ] as const) {
    const rows = await connection.read<{ customer: string; cents: number }>(`select * from ${table}`);
    expect(new Map(rows.map(({ customer, cents }) => [customer, cents]))).toEqual(sum);
  }
  const outcomes = await connection.read("select outcome, count(*) from hookonce.events group by outcome");
  expect(outcomes).toEqual([{ outcome: "processed", count: events.size }]);
  expect(await connection.read("select from hookonce.failures")).toHaveLength(0);
  await connection.drop();
}

/** The answered events without an effect, and those with more than one. */
export async function lostAndDoubled(target: PostgresTarget, answered: ReadonlySet<number>) {
  const connection = await connect(target);
  const rows = await connection.read<{ id: string; count: number }>(
    "select event_id as id, count(*) from effects group by event_id",
  );
  await connection.drop();
  const counts = new Map(rows.map(({ id, count }) => [id, count]));
  const ids = Array.from(answered, (n) => `evt_${n}`);
  return {
    lost: ids.filter((id) => !counts.has(id)),
    doubled: rows.filter(({ count }) => count > 1).map(({ id }) => id),
  };
}

export const fromBinary = [join(import.meta.dir, "../../dist/hookonce")];
