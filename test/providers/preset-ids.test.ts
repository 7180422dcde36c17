import { expect, test } from "bun:test";
import { HookonceError } from "../../src/errors.ts";
import { certificateFor } from "../support/certificate.ts";
import { sourceOf } from "./handed-on.ts";
import { signerFor } from "./preset-samples.ts";

const association = {
  eventId: 3,
  subscriptionId: 12345,
  portalId: 62515,
  occurredAt: 1_564_113_600_000,
  subscriptionType: "contact.associationChange",
  attemptNumber: 0,
  associationType: "CONTACT_TO_COMPANY",
  fromObjectId: 25,
  toObjectId: 95,
};

/** What the samples do not show: an event whose id or type stands elsewhere than most. */
const rows: {
  preset: string;
  what: string;
  headers?: Record<string, string>;
  body: unknown;
  id: string;
  type?: string;
}[] = [
  {
    preset: "shopify-events",
    what: "told by its delivery",
    headers: { "shopify-webhook-id": "w1", "shopify-event-id": "e1", "shopify-topic": "Order" },
    body: {},
    id: "w1",
    type: "Order",
  },
  {
    preset: "shopify-events",
    what: "told by its event alone, as Shopify's library takes it",
    headers: { "shopify-event-id": "e1", "shopify-topic": "Order" },
    body: {},
    id: "e1",
    type: "Order",
  },
  {
    preset: "hubspot",
    what: "an association that is made",
    body: [{ ...association, associationRemoved: false }],
    id: "3:12345:25:95:1564113600000",
    type: "contact.associationChange",
  },
  {
    preset: "hubspot",
    what: "an association that is removed",
    body: [{ ...association, associationRemoved: true }],
    id: "3:12345:25:95:associationRemoved:1564113600000",
    type: "contact.associationChange",
  },
  {
    preset: "hubspot",
    what: "an object",
    body: [{ ...association, subscriptionType: "contact.creation", objectId: 7 }],
    id: "3:12345:7:1564113600000",
    type: "contact.creation",
  },
];

test.each(rows.map((row) => [`${row.preset}: ${row.what}`, row] as const))("%s", (_, row) => {
  const source = sourceOf(signerFor(row.preset, certificateFor));
  const delivery = { headers: row.headers ?? {}, body: Buffer.from(JSON.stringify(row.body)) };
  const [found] = source.split?.(delivery) ?? [source.identify(delivery)];
  if (found === undefined || found instanceof HookonceError) throw found ?? new Error("nothing");
  expect(found.id).toBe(row.id);
  expect(found.type).toBe(row.type ?? "");
});
