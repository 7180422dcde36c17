import { createRandomText, type NextId } from "./event-ids.ts";

/** The secret of every server of the bench. */
export const SECRET = "whsec_bench_0123456789abcdefghijklmnopqr";

/** How many rows the handler's update spreads over. */
export const CUSTOMERS = 1000;

/** The size of a body, in bytes. */
export const BODY_BYTES = 1200;

export const TYPE = "checkout.session.completed";

export function customerOf(n: number): string {
  return `cus_NffrFeUfNV${String(n).padStart(4, "0")}`;
}

export interface BenchEvent {
  readonly id: string;
  readonly body: string;
}

/** Makes events like Stripe's, all of the same length, so that a file of them needs no index. */
export function createEvents(nextId: NextId): () => BenchEvent {
  const random = createRandomText();
  const created = Math.floor(Date.now() / 1000);
  const make = (id: string, padding: string): string => {
    const n = Math.floor(Math.random() * CUSTOMERS);
    const customer = String(n).padStart(4, "0");
    const cents = 1000 + Math.floor(Math.random() * 9000);
    return `{"id":"${id}","object":"event","api_version":"2024-06-20","created":${created},"type":"${TYPE}","livemode":true,"pending_webhooks":1,"request":{"id":null,"idempotency_key":null},"data":{"object":{"id":"cs_live_${random(48)}","object":"checkout.session","amount_subtotal":${cents},"amount_total":${cents},"currency":"eur","customer":"${customerOf(n)}","customer_details":{"address":{"city":null,"country":"DE","line1":null,"line2":null,"postal_code":null,"state":null},"email":"customer.${customer}@example.com","name":"Customer ${customer}","phone":null,"tax_exempt":"none"},"mode":"payment","payment_intent":"pi_${random(24)}","payment_status":"paid","status":"complete","success_url":"https://example.com/thanks","metadata":{"note":"${padding}"}}}}`;
  };
  const padding = "a note that fills the body "
    .repeat(40)
    .slice(0, BODY_BYTES - make("x".repeat(28), "").length);
  return () => {
    const id = nextId();
    return { id, body: make(id, padding) };
  };
}

/** Signs as Stripe does: a timestamp, and the HMAC of the timestamp and the body. */
function signatureOf(body: string, unixSeconds: number): string {
  const hex = new Bun.CryptoHasher("sha256", SECRET).update(`${unixSeconds}.${body}`).digest("hex");
  return `t=${unixSeconds},v1=${hex}`;
}

/** The headers that Stripe sends. */
export function headersOf({ body }: BenchEvent, unixSeconds: number): Record<string, string> {
  return {
    "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    Accept: "*/*; q=0.5, application/xml",
    "Cache-Control": "no-cache",
    "Content-Type": "application/json; charset=utf-8",
    "Stripe-Signature": signatureOf(body, unixSeconds),
  };
}

/** The complete HTTP request. */
export function requestOf(event: BenchEvent, unixSeconds: number): string {
  const headers = { Host: "127.0.0.1", ...headersOf(event, unixSeconds), "Content-Length": BODY_BYTES };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST /webhook/stripe HTTP/1.1\r\n${lines.join("")}\r\n${event.body}`;
}
