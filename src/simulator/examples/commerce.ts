import { uuidOf, type Example, type Seed } from "../example.ts";

/** https://shopify.dev/docs/api/webhooks */
function shopifyOrder({ number, iso }: Seed): unknown {
  return {
    id: number,
    admin_graphql_api_id: `gid://shopify/Order/${number}`,
    email: "jon@example.com",
    created_at: iso,
    total_price: "598.94",
    currency: "EUR",
    financial_status: "paid",
    customer: { id: 1153106273147, email: "jon@example.com" },
    line_items: [{ id: 8665503117664, product_id: 7880321196742, quantity: 1, price: "199.00" }],
  };
}

/** https://developer.paypal.com/braintree/docs/guides/webhooks/testing-go-live */
function braintreeXml({ id, type, iso }: Seed): string {
  const subject = type.startsWith("dispute")
    ? `<dispute><id>${id}</id><amount>250.00</amount><status>open</status></dispute>`
    : `<subscription><id>${id}</id><status>Active</status><price>19.99</price><transactions type="array"/></subscription>`;
  return `<notification><timestamp type="datetime">${iso.slice(0, 19)}Z</timestamp><kind>${type}</kind><subject>${subject}</subject></notification>`;
}

export const commerce: Readonly<Record<string, Example>> = {
  shopify: {
    types: ["orders/paid", "orders/create", "app/uninstalled"],
    headers: (seed) => ({
      "x-shopify-topic": seed.type,
      "x-shopify-webhook-id": uuidOf(seed),
      "x-shopify-shop-domain": "example.myshopify.com",
      "x-shopify-api-version": "2026-07",
    }),
    event: shopifyOrder,
    dashboard:
      "shopify.app.toml, [[webhooks.subscriptions]]; or the shop's Settings, Notifications, Webhooks",
    develop: "shopify app webhook trigger --topic … --address URL --api-version … --client-secret …",
  },
  "shopify-events": {
    types: ["Order", "Product"],
    headers: (seed) => ({
      "shopify-topic": seed.type,
      "shopify-action": "update",
      "shopify-webhook-id": uuidOf(seed),
      "shopify-event-id": uuidOf({ ...seed, id: seed.id.split("").toReversed().join("") }),
      "shopify-shop-domain": "example.myshopify.com",
    }),
    event: shopifyOrder,
    dashboard: "shopify.app.toml, the section on events",
  },
  woocommerce: {
    types: ["order.updated", "order.created"],
    headers: ({ id, type }) => ({
      "x-wc-webhook-topic": type,
      "x-wc-webhook-resource": type.split(".")[0] ?? "",
      "x-wc-webhook-event": type.split(".")[1] ?? "",
      "x-wc-webhook-id": "1",
      "x-wc-webhook-delivery-id": id,
    }),
    event: ({ number, iso }) => ({
      id: number,
      status: "processing",
      currency: "EUR",
      total: "49.00",
      customer_id: 25,
      billing: { email: "ada@example.com" },
      date_modified: iso.slice(0, 19),
    }),
    dashboard: "WooCommerce, Settings, Advanced, Webhooks",
  },
  bigcommerce: {
    types: ["store/order/statusUpdated", "store/order/created"],
    headers: ({ id }) => ({ "webhook-id": id }),
    event: ({ id, type, s }) => ({
      producer: "stores/abcde",
      hash: id.padEnd(40, "0"),
      created_at: s,
      store_id: "11111",
      scope: type,
      data: { type: "order", id: 173331, status: { previous_status_id: 0, new_status_id: 11 } },
    }),
    dashboard: "POST /stores/{store_hash}/v3/hooks of BigCommerce's API",
    subscribe: "a hook for each scope",
  },
  xero: {
    types: ["INVOICE.UPDATE", "CONTACT.UPDATE"],
    ticksHeads: true,
    event: (seed) => ({
      resourceUrl: `https://api.xero.com/api.xro/2.0/Invoices/${uuidOf(seed)}`,
      resourceId: uuidOf(seed),
      eventDateUtc: seed.iso.slice(0, 23),
      eventType: seed.type.split(".")[1],
      eventCategory: seed.type.split(".")[0],
      tenantId: "c2cc9b6e-9458-4c7d-93cc-f02b81b0594f",
      tenantType: "ORGANISATION",
    }),
    wrap: (events) => ({
      events,
      lastEventSequence: events.length,
      firstEventSequence: 1,
      entropy: "S0m3r4Nd0mt3xt",
    }),
    dashboard: "https://developer.xero.com/app/manage (your app, Webhooks)",
  },
  "ko-fi": {
    types: ["Donation", "Subscription", "Shop Order"],
    form: { field: "data" },
    event: (seed) => ({
      message_id: uuidOf(seed),
      timestamp: seed.iso,
      type: seed.type,
      is_public: true,
      from_name: "Ada",
      message: "Good luck!",
      amount: "3.00",
      currency: "EUR",
      email: "ada@example.com",
      kofi_transaction_id: uuidOf(seed),
    }),
    dashboard: "https://ko-fi.com/manage/webhooks",
    subscribe: "nothing to tick: Ko-fi sends all of them",
    develop: "the Send Test buttons on that page",
  },
  "buy-me-a-coffee": {
    types: ["donation.created", "membership.started"],
    event: ({ number, type, s }) => ({
      type,
      live_mode: true,
      attempt: 1,
      created: s,
      event_id: number,
      data: { id: 58, amount: 5, currency: "EUR", supporter_name: "Ada", supporter_email: "ada@example.com" },
    }),
    dashboard: "https://studio.buymeacoffee.com/webhooks",
    develop: "the Send Test button on that page",
  },
  patreon: {
    types: ["members:pledge:create", "members:pledge:delete"],
    headers: ({ type }) => ({ "x-patreon-event": type }),
    event: (seed) => ({
      data: {
        id: uuidOf(seed),
        type: "member",
        attributes: {
          full_name: "Ada",
          patron_status: "active_patron",
          currently_entitled_amount_cents: 500,
          last_charge_date: seed.iso,
        },
      },
    }),
    dashboard: "https://www.patreon.com/portal/registration/register-webhooks",
    develop: "the Send Test button on that page",
  },
  braintree: {
    types: ["subscription_charged_successfully", "subscription_canceled", "dispute_opened"],
    form: "fields",
    event: (seed) => ({ bt_payload: Buffer.from(braintreeXml(seed)).toString("base64") }),
    dashboard: "https://www.braintreegateway.com (Settings, API, Webhooks)",
    develop: "gateway.webhookTesting of Braintree's libraries, or the button there that checks the webhook",
  },
};
