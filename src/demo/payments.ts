import { Database } from "bun:sqlite";

/** One Stripe event of the storm: a customer, different in each event, has paid and must be credited once. */
export interface Payment {
  readonly eventId: string;
  readonly cents: number;
  /** The event's JSON, as Stripe would send it. */
  readonly body: string;
}

const PRICES = [500, 1000, 2500, 4900];

/**
 * Payments of several amounts, each by its own customer, so that a doubled credit shows in a customer's row.
 */
export function makePayments(count: number): Payment[] {
  return Array.from({ length: count }, (_, n) => {
    const serial = String(n + 1).padStart(6, "0");
    const eventId = `evt_demo_${serial}`;
    const cents = PRICES[n % PRICES.length] as number;
    const object = {
      id: `cs_demo_${serial}`,
      object: "checkout.session",
      customer: `cus_demo_${serial}`,
      amount_total: cents,
      currency: "usd",
      payment_status: "paid",
    };
    return {
      eventId,
      cents,
      body: JSON.stringify({
        id: eventId,
        object: "event",
        type: "checkout.session.completed",
        data: { object },
      }),
    };
  });
}

/** The business table. Each receiver has it in its own database. */
export const creditsTable = `create table credits (
  customer  text primary key,
  purchases integer not null,
  cents     integer not null
) strict;
`;

/** The business update. Both receivers run this SQL; `:payload` is the event's JSON. */
export const creditStatement = `insert into credits (customer, purchases, cents)
values (:payload ->> '$.data.object.customer', 1, :payload ->> '$.data.object.amount_total')
on conflict (customer) do update set purchases = purchases + 1, cents = cents + excluded.cents;
`;

export interface Credited {
  readonly customers: number;
  readonly cents: number;
  /** Events that were credited more than once. */
  readonly doubled: number;
}

/** Reads the credits in a receiver's database, on a new connection. */
export function readCredited(databasePath: string): Credited {
  using database = new Database(databasePath, { readonly: true });
  const row = database
    .query<Credited, []>(
      `select count(*) as customers, coalesce(sum(cents), 0) as cents, count(*) filter (where purchases > 1) as doubled
       from credits`,
    )
    .get();
  return row ?? { customers: 0, cents: 0, doubled: 0 };
}
