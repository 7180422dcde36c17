import { join } from "node:path";
import { hookonce, run, scratch, serve, type Scratch, type Serving } from "../../cli/support/hookonce.ts";
import { stripeSignature } from "../../support/stripe.ts";

/** An inbox with two providers, and what happened to it: some events are applied, some fail, some have no handler. */

const STRIPE_SECRET = "whsec_c2VjcmV0IG9mIGEgdGVzdCwgbm90IG9mIGFueWJvZHk";
const GITHUB_SECRET = "a secret of a test, and of nobody else";

const FILES = {
  "hookonce.toml": `version = 1

[sources.stripe]
provider = "stripe"
secret = ["env:STRIPE_NEW", "env:STRIPE_OLD"]

[sources.github]
provider = "github"
secret = "env:GITHUB_SECRET"
`,
  ".env": `STRIPE_NEW=whsec_bm90IHVzZWQgeWV0LCBub3QgdXNlZCB5ZXQsIG5vdA
STRIPE_OLD=${STRIPE_SECRET}
GITHUB_SECRET=${GITHUB_SECRET}
`,
  "migrations/0001_payments.sql": `create table payments (id text primary key, customer text not null, cents integer not null) strict;
create table refunds (id text primary key, payment text not null references payments) strict;
`,
  "handlers/stripe/payment_intent.succeeded.sql": `insert into payments values (
  :payload ->> '$.data.object.id', :payload ->> '$.data.object.customer', :payload ->> '$.data.object.amount');
`,
  "handlers/stripe/charge.refunded.ts": `import { sql } from "drizzle-orm";
import { handler } from "hookonce";

export default handler(({ event, db }) => {
  const { id, payment_intent: payment } = event.payload.data.object;
  const known = db.get(sql\`select 1 from payments where id = \${payment}\`);
  if (known === undefined) throw new Error("The payment of this refund has not arrived yet");
  db.run(sql\`insert into refunds values (\${id}, \${payment})\`);
});
`,
};

export interface Shop extends AsyncDisposable {
  readonly folder: Scratch;
  readonly serving: Serving;
  /** Where the page is. */
  readonly page: string;
  readonly token: string;
  stripe(event: StripeEvent): Promise<number>;
  github(id: string, type: string, payload: unknown): Promise<number>;
  /** Delivers bytes that Stripe has signed. */
  stripeBody(body: string): Promise<number>;
  /** A delivery with a wrong signature. */
  forged(): Promise<number>;
}

export interface StripeEvent {
  readonly id: string;
  readonly type: string;
  readonly object: Record<string, unknown>;
}

export async function openShop({ program = hookonce }: { program?: readonly string[] } = {}): Promise<Shop> {
  const folder = scratch(FILES);
  const serving = await serve(folder.path, { program, dev: false });
  const page = String((await serving.logged("listening"))["page"]);
  const made = await run(
    ["token", "create", "--name", "me", "--scopes", "read,steer", "--folder", folder.path],
    { program },
  );
  const token = made.stdout.trim();
  if (made.code !== 0) throw new Error(`no token: ${made.stderr}`);

  const post = async (source: string, body: string, headers: Record<string, string>): Promise<number> => {
    const url = `${serving.url}/webhook/${source}`;
    const answer = await fetch(url, {
      method: "POST",
      body,
      headers: { "content-type": "application/json", ...headers },
    });
    await answer.text();
    return answer.status;
  };
  const stripeBody = (body: string): Promise<number> =>
    post("stripe", body, { "stripe-signature": stripeSignature(STRIPE_SECRET, body) });
  return {
    folder,
    serving,
    page,
    token,
    stripeBody,
    stripe: ({ id, type, object }) =>
      stripeBody(JSON.stringify({ id, object: "event", type, created: 1_795_780_800, data: { object } })),
    github(id, type, payload) {
      const body = JSON.stringify(payload);
      const signature = new Bun.CryptoHasher("sha256", GITHUB_SECRET).update(body).digest("hex");
      return post("github", body, {
        "x-github-delivery": id,
        "x-github-event": type,
        "x-hub-signature-256": `sha256=${signature}`,
      });
    },
    forged: () => {
      const body = '{"id":"evt_forged","type":"payment_intent.succeeded"}';
      return post("stripe", body, { "stripe-signature": stripeSignature("whsec_another", body) });
    },
    async [Symbol.asyncDispose]() {
      await serving[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

/** What a shop receives in a while. */
export async function fillShop(shop: Shop, payments = 24): Promise<void> {
  const customers = ["cus_Nq81", "cus_P0aa", "cus_R7tz"];
  for (let n = 1; n <= payments; n += 1) {
    const event = {
      id: `evt_1QyX${n}Kd`,
      type: "payment_intent.succeeded",
      object: {
        id: `pi_3QyX${n}`,
        amount: 1900 + n * 100,
        currency: "eur",
        customer: customers[n % 3],
        metadata: { order: 1000 + n, gift: n % 2 === 0 },
        receipt_email: null,
      },
    };
    await shop.stripe(event);
    // Stripe delivers more than once.
    if (n % 5 === 0) await shop.stripe(event);
    if (n === 11) for (let copy = 0; copy < 3; copy += 1) await shop.stripe(event);
  }
  for (let n = 1; n <= 3; n += 1) await shop.stripe(refund(n));
  for (let n = 1; n <= 6; n += 1) {
    await shop.github(`7b1f${n}a00-8c0e-11ef-9d5b-2f1c0f6e000${n}`, "push", {
      ref: "refs/heads/main",
      repository: { full_name: "acme/shop", private: true },
      commits: [{ id: `4f2c${n}`, message: "Fix the total of an order" }],
    });
  }
  await shop.forged();
}

/** A refund whose payment has not arrived. */
export function refund(n: number): StripeEvent {
  return {
    id: `evt_refund${n}`,
    type: "charge.refunded",
    object: { id: `re_${n}`, payment_intent: `pi_late${n}`, amount: 500 },
  };
}

/** The payment of a refund. */
export function latePayment(n: number): StripeEvent {
  return {
    id: `evt_late${n}`,
    type: "payment_intent.succeeded",
    object: { id: `pi_late${n}`, amount: 500, currency: "eur", customer: "cus_late" },
  };
}

/** What is in one of the shop's own tables. */
export async function countIn(shop: Shop, table: "payments" | "refunds"): Promise<number> {
  const { Database } = await import("bun:sqlite");
  using database = new Database(join(shop.folder.path, "data/hookonce.db"), { readonly: true });
  return (database.query(`select count(*) as count from ${table}`).get() as { count: number }).count;
}
