import { uuidOf, type Example } from "../example.ts";

const EVERYWHERE = "the sender's own settings";

export const generic: Readonly<Record<string, Example>> = {
  unsigned: {
    types: ["credit.added"],
    event: ({ id, type }) => ({ event_id: `evt_${id}`, type, customer: "ada", cents: 500 }),
    dashboard: EVERYWHERE,
  },
  hmac: {
    types: ["order.paid"],
    event: ({ id, type, iso }) => ({
      id: `evt_${id}`,
      type,
      created_at: iso,
      data: { order: "order_1001", total: 4900, currency: "EUR" },
    }),
    dashboard: EVERYWHERE,
  },
  static: {
    types: ["order.paid"],
    event: ({ id, type, iso }) => ({
      id: `evt_${id}`,
      type,
      created_at: iso,
      data: { order: "order_1001", total: 4900, currency: "EUR" },
    }),
    dashboard: EVERYWHERE,
  },
  "public-key": {
    types: ["order.paid"],
    event: ({ id, type, iso }) => ({
      id: `evt_${id}`,
      type,
      created_at: iso,
      data: { order: "order_1001", total: 4900, currency: "EUR" },
    }),
    dashboard: EVERYWHERE,
  },
  jwt: {
    types: ["order.paid"],
    event: ({ id, type, iso }) => ({
      id: `evt_${id}`,
      type,
      created_at: iso,
      data: { order: "order_1001", total: 4900, currency: "EUR" },
    }),
    dashboard: EVERYWHERE,
  },
  "standard-webhooks": {
    types: ["contact.updated"],
    headers: ({ id }) => ({ "webhook-id": `msg_${id}` }),
    event: ({ type, iso }) => ({ type, timestamp: iso, data: { id: "contact_1", first_name: "Ada" } }),
    dashboard: EVERYWHERE,
  },
  "standard-webhooks-asymmetric": {
    types: ["contact.updated"],
    headers: ({ id }) => ({ "webhook-id": `msg_${id}` }),
    event: ({ type, iso }) => ({ type, timestamp: iso, data: { id: "contact_1", first_name: "Ada" } }),
    dashboard: EVERYWHERE,
  },
  svix: {
    types: ["invoice.paid"],
    headers: ({ id }) => ({ "svix-id": `msg_${id}` }),
    event: (seed) => ({ type: seed.type, data: { id: uuidOf(seed), amount: 4900, currency: "EUR" } }),
    dashboard: "the sender's Svix portal: Endpoints, Add Endpoint",
    develop: "svix listen URL   (https://github.com/svix/svix-cli)",
  },
};
