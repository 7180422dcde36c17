import { uuidOf, type Example, type Seed } from "../example.ts";

/** Stripe's objects, by the first part of the event type: https://docs.stripe.com/api/events/types */
function stripeObject({ id, type, s }: Seed): Record<string, unknown> {
  const money = { currency: "eur", customer: "cus_NffrFeUfNV2Hib", livemode: true };
  if (type.startsWith("invoice."))
    return { id: `in_${id}`, object: "invoice", amount_paid: 4900, ...money, status: "paid" };
  if (type.startsWith("customer.subscription."))
    return {
      id: `sub_${id}`,
      object: "subscription",
      ...money,
      status: "active",
      items: { data: [{ price: { id: "price_1", unit_amount: 4900 }, current_period_end: s + 2_592_000 }] },
    };
  if (type.startsWith("payment_intent."))
    return { id: `pi_${id}`, object: "payment_intent", amount: 4900, ...money, status: "succeeded" };
  if (type.startsWith("charge."))
    return { id: `ch_${id}`, object: "charge", amount: 4900, amount_refunded: 0, ...money, paid: true };
  return {
    id: `cs_test_${id}`,
    client_reference_id: "user_1",
    metadata: { plan: "pro" },
    payment_status: "paid",
    amount_total: 4900,
    ...money,
    mode: "payment",
    object: "checkout.session",
  };
}

/** https://docs.stripe.com/api/checkout/sessions/object */
const CHECKOUT_UPDATE = `Your own keys are in client_reference_id and metadata, as you set them when you made the checkout session. customer is
Stripe's id, and is null unless you asked for a customer. A session can be completed before it is paid: then
payment_status is "unpaid", and checkout.session.async_payment_succeeded follows.

  insert into orders (user_id, plan, cents, session_id)
  select :payload ->> '$.data.object.client_reference_id',
         :payload ->> '$.data.object.metadata.plan',
         :payload ->> '$.data.object.amount_total',
         :payload ->> '$.data.object.id'
  where :payload ->> '$.data.object.payment_status' <> 'unpaid';`;

export const payments: Readonly<Record<string, Example>> = {
  stripe: {
    types: ["checkout.session.completed", "invoice.paid", "customer.subscription.deleted"],
    event: (seed) => ({
      id: `evt_${seed.id}`,
      object: "event",
      api_version: "2026-08-27.basil",
      created: seed.s,
      type: seed.type,
      livemode: true,
      pending_webhooks: 1,
      data: { object: stripeObject(seed) },
    }),
    contentType: "application/json; charset=utf-8",
    update: (type) => (type.startsWith("checkout.session.") ? CHECKOUT_UPDATE : undefined),
    dashboard: "https://dashboard.stripe.com/webhooks (Workbench, Webhooks, Add destination)",
    develop: "stripe listen --forward-to URL   (then the secret is the whsec_… that it prints)",
  },
  razorpay: {
    types: ["payment.captured", "order.paid"],
    headers: ({ id }) => ({ "x-razorpay-event-id": id }),
    event: ({ id, type, s }) => ({
      entity: "event",
      account_id: "acc_BFQ7uQEaa7j2z7",
      event: type,
      contains: ["payment"],
      payload: {
        payment: {
          entity: {
            id: `pay_${id.slice(0, 14)}`,
            amount: 50000,
            currency: "INR",
            status: "captured",
            order_id: "order_DESlLckIVRkHWj",
            email: "ada@example.com",
          },
        },
      },
      created_at: s,
    }),
    dashboard: "https://dashboard.razorpay.com/app/webhooks (Account & Settings, Webhooks)",
  },
  paddle: {
    types: ["transaction.completed", "subscription.created", "subscription.canceled"],
    event: ({ id, type, iso }) => ({
      event_id: `evt_${id}`,
      event_type: type,
      occurred_at: iso,
      notification_id: `ntf_${id}`,
      data: {
        id: "txn_01hv8wptq8987qeep44cyrewp9",
        status: "completed",
        customer_id: "ctm_01hv6y1jedq4p1n0yqn5ba3ky4",
        currency_code: "EUR",
        details: { totals: { total: "4900" } },
      },
    }),
    dashboard: "https://vendors.paddle.com/notifications (Developer tools, Notifications)",
  },
  "lemon-squeezy": {
    types: ["order_created", "subscription_created", "subscription_cancelled"],
    headers: ({ type }) => ({ "x-event-name": type }),
    event: ({ id, type, iso, number }) => ({
      meta: { event_name: type, webhook_id: id, custom_data: { user_id: "user_1" } },
      data: {
        type: "orders",
        id: String(number),
        attributes: { store_id: 1, status: "paid", total: 4900, currency: "EUR", updated_at: iso },
      },
    }),
    dashboard: "https://app.lemonsqueezy.com/settings/webhooks",
  },
  paystack: {
    types: ["charge.success", "transfer.success"],
    event: ({ type, number, iso }) => ({
      event: type,
      data: {
        id: number,
        reference: "qTPrJoy9Bx",
        amount: 10000,
        currency: "NGN",
        status: "success",
        paid_at: iso,
        customer: { email: "ada@example.com", customer_code: "CUS_1" },
      },
    }),
    dashboard: "https://dashboard.paystack.com/#/settings/developers (API Keys & Webhooks)",
    subscribe: "nothing to tick: Paystack sends all of them",
  },
  "flutterwave-v3": {
    types: ["charge.completed"],
    event: ({ type, number, iso }) => ({
      event: type,
      data: {
        id: number,
        tx_ref: "order_1001",
        amount: 100,
        currency: "NGN",
        status: "successful",
        created_at: iso,
        customer: { id: 215604089, email: "ada@example.com" },
      },
    }),
    dashboard: "https://app.flutterwave.com/dashboard/settings/webhooks",
  },
  "flutterwave-v4": {
    types: ["charge.completed"],
    event: ({ type, id, ms }) => ({
      webhook_id: `wbk_${id}`,
      timestamp: ms,
      type,
      data: {
        id: `chg_${id}`,
        amount: 100,
        currency: "NGN",
        status: "succeeded",
        reference: "order_1001",
        customer: { id: "cus_1", email: "ada@example.com" },
      },
    }),
    dashboard: "https://app.flutterwave.com/dashboard/settings/webhooks",
  },
  square: {
    types: ["payment.updated", "order.updated"],
    event: (seed) => ({
      merchant_id: "MLEFBHHSJGVHD",
      type: seed.type,
      event_id: uuidOf(seed),
      created_at: seed.iso,
      data: {
        type: "payment",
        id: "KkAkhdMsgzn59SM8A89WgKwekxLZY",
        object: {
          payment: {
            id: "KkAkhdMsgzn59SM8A89WgKwekxLZY",
            amount_money: { amount: 4900, currency: "USD" },
            status: "COMPLETED",
            order_id: "CAISENgvlJ6jLWAzERDzjyHVybY",
          },
        },
      },
    }),
    dashboard: "https://developer.squareup.com/apps (your application, Webhooks, Subscriptions)",
  },
  mollie: {
    types: ["payment-link.paid"],
    event: ({ id, type, iso }) => ({
      resource: "event",
      id: `event_${id}`,
      type,
      entityId: "pl_qng5gbbv8NAZ5gpM5ZYgx",
      createdAt: iso,
    }),
    dashboard: "https://my.mollie.com/dashboard/developers/webhooks",
  },
  "mollie-classic": {
    types: [""],
    form: "fields",
    event: ({ id }) => ({ id: `tr_${id.slice(0, 10)}` }),
    dashboard: "the webhookUrl that your code gives when it creates a payment",
    subscribe: "nothing to tick: the ping only says which payment has changed; ask Mollie's API how",
  },
  "coinbase-commerce": {
    types: ["charge:confirmed", "charge:failed"],
    event: (seed) => ({
      id: 1,
      scheduled_for: seed.iso,
      attempt_number: 1,
      event: {
        id: uuidOf(seed),
        resource: "event",
        type: seed.type,
        api_version: "2018-03-22",
        created_at: seed.iso,
        data: {
          code: "66BEOV2A",
          name: "Order 1001",
          pricing: { local: { amount: "49.00", currency: "EUR" } },
        },
      },
    }),
    dashboard: "https://beta.commerce.coinbase.com/settings/notifications (Settings, Notifications)",
  },
  polar: {
    types: ["order.paid", "subscription.active", "subscription.revoked"],
    headers: ({ id }) => ({ "webhook-id": `msg_${id}` }),
    event: (seed) => ({
      type: seed.type,
      timestamp: seed.iso,
      data: {
        id: uuidOf(seed),
        status: "paid",
        total_amount: 4900,
        currency: "eur",
        customer: { id: "cus_1", email: "ada@example.com" },
      },
    }),
    dashboard: "https://polar.sh/dashboard (your organization, Settings, Webhooks)",
  },
  adyen: {
    types: ["AUTHORISATION", "REFUND"],
    event: ({ id, type, iso }) => ({
      additionalData: {},
      amount: { currency: "EUR", value: 1130 },
      pspReference: id.slice(0, 16).toUpperCase(),
      eventCode: type,
      eventDate: iso,
      merchantAccountCode: "TestMerchant",
      merchantReference: "TestPayment-1407325143704",
      originalReference: "",
      paymentMethod: "visa",
      success: "true",
    }),
    wrap: (events) => ({
      live: "true",
      notificationItems: events.map((event) => ({ NotificationRequestItem: event })),
    }),
    dashboard: "https://ca-test.adyen.com (Developers, Webhooks, Standard webhook)",
    develop: "the webhook's Test configuration button",
  },
  "adyen-platform": {
    types: ["balancePlatform.transfer.created"],
    event: ({ id, type, iso }) => ({
      data: {
        balancePlatform: "YOUR_BALANCE_PLATFORM",
        id: id.slice(0, 16).toUpperCase(),
        creationDate: iso,
        amount: { currency: "EUR", value: 1130 },
        status: "received",
      },
      environment: "live",
      type,
    }),
    dashboard: "https://balanceplatform-test.adyen.com (Developers, Webhooks)",
  },
  paypal: {
    types: ["PAYMENT.CAPTURE.COMPLETED", "BILLING.SUBSCRIPTION.ACTIVATED"],
    event: ({ id, type, iso }) => ({
      id: `WH-${id.toUpperCase()}`,
      event_version: "1.0",
      create_time: iso,
      resource_type: "capture",
      event_type: type,
      resource: {
        id: "42311647XV020574X",
        amount: { currency_code: "EUR", value: "49.00" },
        status: "COMPLETED",
        custom_id: "user_1",
      },
    }),
    dashboard: "https://developer.paypal.com/dashboard/applications (your app, Webhooks)",
  },
  plaid: {
    types: ["TRANSACTIONS.SYNC_UPDATES_AVAILABLE"],
    event: ({ type }) => ({
      webhook_type: type.split(".")[0],
      webhook_code: type.split(".")[1],
      item_id: "wz666MBjYWTp2PDzzggYhM6oWWmBb",
      environment: "production",
    }),
    dashboard: "the webhook that your code gives to /link/token/create",
    subscribe: "nothing to tick: the product decides",
    develop: "/sandbox/item/fire_webhook of Plaid's API",
  },
  btcpay: {
    types: ["InvoiceSettled", "InvoiceExpired"],
    event: ({ id, type, s }) => ({
      deliveryId: id,
      webhookId: "Lq4CGhKoGtGBqPvQJUkVS",
      originalDeliveryId: id,
      isRedelivery: false,
      type,
      timestamp: s,
      storeId: "9CiNzKoANXxmk5ayZngSXrHTiVvvgCrwrpFQd4m2K776",
      invoiceId: `inv_${id}`,
    }),
    dashboard: "https://your-server/stores (the store's Settings, Webhooks)",
  },
  revenuecat: {
    types: ["INITIAL_PURCHASE", "RENEWAL", "CANCELLATION"],
    event: (seed) => ({
      api_version: "1.0",
      event: {
        id: uuidOf(seed).toUpperCase(),
        type: seed.type,
        event_timestamp_ms: seed.ms,
        app_user_id: "user_1001",
        product_id: "monthly",
        store: "APP_STORE",
        environment: "PRODUCTION",
      },
    }),
    dashboard: "https://app.revenuecat.com (the project, Integrations, Webhooks)",
  },
};
