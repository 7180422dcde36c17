import { Database } from "bun:sqlite";
import { join } from "node:path";
import { messageOf } from "../errors.ts";
import { providers } from "../providers/presets.ts";
import type { Provider } from "../providers/provider.ts";
import { createSource } from "../providers/source.ts";
import { creditsTable, creditStatement } from "./payments.ts";
import type { Receiver } from "./receiver.ts";

/**
 * How long a receipt takes to send, in ms, with a fast mail service. If it takes longer, more events double.
 */
export const RECEIPT_MS = 5;

/**
 * The receiver as tutorials write it: look up the id, do the work, store the id. It is a fair comparison:
 * hookonce's own code verifies the signatures, the database uses WAL and synchronous=FULL as hookonce's does,
 * the id is a primary key, and a sender that delivers one after the other gets each event applied once. It
 * lacks only one thing: the three steps are not one transaction.
 */
export async function openTutorialReceiver(folder: string, secret: string): Promise<Receiver> {
  const databasePath = join(folder, "tutorial.db");
  const database = new Database(databasePath, { create: true, strict: true });
  database.run("pragma journal_mode = wal");
  database.run("pragma synchronous = full");
  database.run(creditsTable);
  database.run("create table processed_events (id text primary key) strict");

  const find = database.prepare("select 1 from processed_events where id = :id");
  const credit = database.prepare(creditStatement);
  const remember = database.prepare("insert into processed_events (id) values (:id) on conflict do nothing");
  const stripe = createSource(
    { name: "stripe", provider: providers.get("stripe") as Provider, secrets: [secret] },
    Date.now,
  );

  const receive = async (request: Request): Promise<Response> => {
    const body = await request.bytes();
    const { method, url } = request;
    const headers = request.headers.toJSON();
    const delivery = { method, url, headers, body, receivedAt: Date.now(), remoteAddress: () => null };
    try {
      await stripe.verify(delivery);
    } catch (error) {
      return new Response(messageOf(error), { status: 401 });
    }
    const { id } = stripe.identify(delivery);
    const payload = new TextDecoder().decode(body);

    if (find.get({ id }) !== null) return new Response("Event already processed");
    credit.run({ payload });
    await sendReceipt();
    remember.run({ id });
    return new Response("Webhook received and processed");
  };
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, development: false, fetch: receive });
  return {
    url: `http://127.0.0.1:${server.port}/webhook/stripe`,
    databasePath,
    async [Symbol.asyncDispose]() {
      await server.stop();
      database.close(true);
    },
  };
}

/** Represents any call that leaves the process. While it waits, the next delivery is processed. */
async function sendReceipt(): Promise<void> {
  await Bun.sleep(RECEIPT_MS);
}
