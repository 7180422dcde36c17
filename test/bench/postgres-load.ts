import type { PostgresTarget } from "../../src/config/postgres.ts";

/** What both designs on PostgreSQL are given to do, and what they say of it. */

/** What the parent process sends. */
export interface Order {
  readonly target: PostgresTarget;
  /** Begins the ids of this process. */
  readonly name: string;
  readonly warmUpMs: number;
  readonly measuredMs: number;
}

export interface Done {
  /** Within the measured time. */
  readonly events: number;
  readonly p99Ms: number;
}

export const CUSTOMERS = 1000;

export const MIGRATION = "create table balances (customer text primary key, cents bigint not null)";

export const HANDLER = `insert into balances values (:payload ->> 'customer', (:payload ->> 'cents')::bigint)
on conflict (customer) do update set cents = balances.cents + excluded.cents`;

const FILLING = "x".repeat(1100);

/** An event of about 1.2 kB. */
export const bodyOf = (id: string): string =>
  JSON.stringify({
    id,
    customer: `customer_${Math.floor(Math.random() * CUSTOMERS)}`,
    cents: 1,
    text: FILLING,
  });

/**
 * Delivers one event after another from many clients, and prints what came of it.
 *
 * @param deliver resolves once the event is durable
 */
export async function measure(
  { name, warmUpMs, measuredMs }: Order,
  clients: number,
  deliver: (id: string, client: number) => Promise<void>,
): Promise<void> {
  const begin = performance.now() + warmUpMs;
  const end = begin + measuredMs;
  const times: number[] = [];
  let next = 0;
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      for (let at = performance.now(); at < end;) {
        // oxlint-disable-next-line no-await-in-loop -- a client waits for its answer
        await deliver(`${name}_${next++}`, client);
        const now = performance.now();
        if (now >= begin && now < end) times.push(now - at);
        at = now;
      }
    }),
  );
  times.sort((a, b) => a - b);
  const done: Done = { events: times.length, p99Ms: times[Math.floor(times.length * 0.99)] ?? 0 };
  console.log(JSON.stringify(done));
}

export const orderOf = (): Order => JSON.parse(process.argv[2] ?? "") as Order;
