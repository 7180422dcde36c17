// The receiver of a tutorial: it looks up the id, does the work, and then stores the id, and each statement
// commits by itself. It keeps only the id of the event. Tutorials do not set WAL and FULL. They are set here
// so that only the design differs.
// Usage: bun tutorial.ts <port> <database>
import { Database } from "bun:sqlite";
import { createHmac, timingSafeEqual } from "node:crypto";
import { SECRET } from "../events.ts";
import { CREDITS_TABLE } from "../inbox-folder.ts";

interface StripeEvent {
  readonly id: string;
  readonly data: { readonly object: { readonly customer: string; readonly amount_total: number } };
}

const [port, path] = process.argv.slice(2) as [string, string];
const db = new Database(path, { create: true });
db.run("pragma journal_mode = wal");
db.run("pragma synchronous = full");
db.run("create table processed_events (id text primary key)");
db.run(CREDITS_TABLE);
const lookUp = db.prepare("select 1 from processed_events where id = ?");
const credit = db.prepare(
  "insert into credits (customer, cents) values (?, ?) on conflict (customer) do update set cents = cents + excluded.cents",
);
const remember = db.prepare("insert into processed_events (id) values (?)");

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(port),
  development: false,
  async fetch(request) {
    if (request.method !== "POST") return new Response("alive");
    const body = await request.text();
    if (!isSigned(body, request.headers.get("stripe-signature") ?? "")) {
      return new Response("Bad signature", { status: 400 });
    }
    const event = JSON.parse(body) as StripeEvent;
    if (lookUp.get(event.id) !== null) return Response.json({ message: "Event already processed" });
    credit.run(event.data.object.customer, event.data.object.amount_total);
    remember.run(event.id);
    return Response.json({ message: "Webhook received and processed" });
  },
});

function isSigned(body: string, header: string): boolean {
  const { t, v1 } = Object.fromEntries(header.split(",").map((pair) => pair.split("="))) as Record<
    string,
    string
  >;
  const expected = createHmac("sha256", SECRET).update(`${t}.${body}`).digest();
  const given = Buffer.from(v1 ?? "", "hex");
  return given.length === expected.length && timingSafeEqual(given, expected);
}

process.once("SIGTERM", () => {
  db.close();
  process.exit(0);
});
