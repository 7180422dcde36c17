import { generateKeyPairSync } from "node:crypto";
import type { Fetch, OutgoingRequest, SigningKeys } from "../../src/providers/context.ts";
import { providers } from "../../src/providers/presets.ts";
import { newPart, writeMultipart } from "../../src/providers/body/multipart.ts";
import type { Provider } from "../../src/providers/provider.ts";
import { kindOf, type Scheme } from "../../src/providers/schemes.ts";
import { generateKeyPair } from "../../src/providers/schemes/public-key.ts";
import { coversUrl, sign } from "../../src/providers/verifier.ts";

export const URL_OF_IT = "https://hooks.example.test/webhook/it";

/** The headers and the body of a delivery with the event number `n`. */
export interface Sample {
  readonly headers?: (n: number, attempt: number) => Record<string, string>;
  readonly body: (n: number, attempt: number) => unknown;
  /** Sent as a form instead of JSON. Each multipart form has another boundary, and a file. */
  readonly form?: true | "multipart";
  /** A retry cannot be recognized, so it is another event. */
  readonly neverTheSame?: true;
  /** How many events are in a delivery. */
  readonly events?: number;
}

const id = (n: number): { id: string; type: string } => ({ id: `evt_${n}`, type: "thing.happened" });
const webhookId = (n: number): Record<string, string> => ({ "webhook-id": `msg_${n}` });
const svixId = (n: number): Record<string, string> => ({ "svix-id": `msg_${n}` });
const standard: Sample = {
  headers: webhookId,
  body: () => ({ type: "thing.happened", status: "succeeded" }),
};
const svix: Sample = { headers: svixId, body: () => ({ type: "thing.happened" }) };
const alerts = (n: number): unknown => ({
  status: "firing",
  alerts: ["a", "b"].map((fingerprint) => ({
    status: "firing",
    startsAt: `2026-09-21T14:13:2${n}Z`,
    fingerprint,
  })),
});
/** The id is in a header, and the bodies of all events are the same. */
const inHeader = (name: string, more: Record<string, string> = {}): Sample => ({
  headers: (n) => ({ [name]: `id-${n}`, ...more }),
  body: () => ({ event: "thing", type: "thing", action: "made", webhookEvent: "thing" }),
});

/** One row for each preset. */
export const samples: Readonly<Record<string, Sample>> = {
  hmac: { body: id },
  static: { body: id },
  "public-key": { body: id },
  jwt: { body: id },
  "standard-webhooks": standard,
  "standard-webhooks-asymmetric": standard,
  svix,
  // libraries/library.ts replaces U+FFFD with a byte that is not UTF-8.
  stripe: { body: (n) => ({ ...id(n), note: "caf\uFFFD" }) },
  razorpay: { ...inHeader("x-razorpay-event-id"), body: () => ({ event: "thing", note: "caf\uFFFD" }) },
  paddle: {
    body: (n) => ({ event_id: `evt_${n}`, event_type: "transaction.paid", notification_id: `ntf_${n}` }),
  },
  "lemon-squeezy": {
    headers: () => ({ "x-event-name": "order_created" }),
    body: (n) => ({ data: { type: "orders", id: `${n}` } }),
  },
  paystack: { body: (n) => ({ event: "charge.success", data: { id: n } }) },
  "flutterwave-v3": { body: (n) => ({ event: "charge.completed", data: { id: n } }) },
  "flutterwave-v4": {
    body: (n) => ({ type: "charge.completed", webhook_id: "wbk_1", data: { id: `chg_${n}` } }),
  },
  square: { body: (n) => ({ event_id: `evt_${n}`, type: "payment.updated" }) },
  mollie: { body: id },
  "mollie-classic": { form: true, body: () => ({ id: "tr_1" }), neverTheSame: true },
  "coinbase-commerce": {
    body: (n, attempt) => ({
      id: attempt,
      attempt_number: attempt,
      event: { id: `evt_${n}`, type: "charge:confirmed" },
    }),
  },
  polar: standard,
  adyen: {
    body: (n) => ({
      live: "false",
      notificationItems: [0, 1].map((item) => ({
        NotificationRequestItem: {
          pspReference: `psp-${n}-${item}`,
          merchantAccountCode: "Shop",
          amount: { value: 1130, currency: "EUR" },
          eventCode: "AUTHORISATION",
          success: "true",
        },
      })),
    }),
    events: 2,
  },
  "adyen-platform": { body: (n) => ({ type: "balancePlatform.transfer.created", data: { id: n } }) },
  paypal: { body: (n) => ({ id: `WH-${n}`, event_type: "PAYMENT.CAPTURE.COMPLETED" }) },
  plaid: {
    body: () => ({ webhook_type: "TRANSACTIONS", webhook_code: "DEFAULT_UPDATE" }),
    neverTheSame: true,
  },
  shopify: inHeader("x-shopify-webhook-id", { "x-shopify-topic": "orders/create" }),
  "shopify-events": inHeader("shopify-webhook-id", { "shopify-topic": "Order" }),
  woocommerce: {
    headers: () => ({ "x-wc-webhook-topic": "order.updated", "x-wc-webhook-delivery-id": "same-second" }),
    body: (n) => ({ id: n }),
  },
  bigcommerce: {
    headers: (n, attempt) => webhookId(n * 10 + attempt),
    // Two updates of an order within their hash.
    body: (n) => ({ scope: "store/order/updated", hash: "h1", created_at: n }),
  },
  xero: {
    body: (n, attempt) => ({
      events: [1, 2].map((item) => ({
        tenantId: "t",
        resourceId: `r${n}-${item}`,
        eventCategory: "INVOICE",
        eventType: "UPDATE",
        eventDateUtc: "2026-09-21T14:13:20.000",
      })),
      entropy: `x${attempt}`,
    }),
    events: 2,
  },
  "ko-fi": { form: true, body: (n) => ({ data: JSON.stringify({ message_id: `m${n}`, type: "Donation" }) }) },
  "buy-me-a-coffee": { body: (n) => ({ event_id: n, type: "donation.created" }) },
  patreon: { headers: () => ({ "x-patreon-event": "members:create" }), body: (n) => ({ data: { id: n } }) },
  github: inHeader("x-github-delivery", { "x-github-event": "issues" }),
  gitlab: {
    headers: (n) => ({ ...webhookId(n), "x-gitlab-event": "Push Hook" }),
    body: () => ({ object_kind: "push" }),
  },
  "gitlab-token": inHeader("idempotency-key", { "x-gitlab-event": "Push Hook" }),
  bitbucket: inHeader("x-request-uuid", { "x-event-key": "repo:push" }),
  gitea: inHeader("x-gitea-delivery", { "x-gitea-event": "push" }),
  gogs: inHeader("x-gogs-delivery", { "x-gogs-event": "push" }),
  jira: inHeader("x-atlassian-webhook-identifier"),
  "jira-data-center": inHeader("x-atlassian-webhook-identifier"),
  linear: inHeader("linear-delivery"),
  sentry: {
    headers: (n, attempt) => ({ "request-id": `${n}-${attempt}`, "sentry-hook-resource": "issue" }),
    body: (n) => ({ action: "created", data: { issue: { id: n } } }),
  },
  vercel: { body: id },
  netlify: { body: (n) => ({ id: `deploy-${n}`, state: "ready" }) },
  "cloudflare-stream": { body: (n) => ({ uid: `video-${n}`, status: { state: "ready" } }) },
  "cloudflare-notifications": { body: (n) => ({ text: "Hello", alert_type: "x", ts: 1_790_000_000 + n }) },
  "aws-sns": {
    body: (n) => ({
      Type: "Notification",
      MessageId: `m-${n}`,
      Message: "Hello wörld!",
      Timestamp: "2026-09-21T14:13:20.000Z",
    }),
  },
  slack: { body: (n) => ({ type: "event_callback", event_id: `Ev${n}`, event: { type: "message" } }) },
  zoom: { body: (n) => ({ event: "meeting.started", event_ts: n }) },
  discord: { body: (n) => ({ id: `${n}`, type: 2 }) },
  telegram: { body: (n) => ({ update_id: n, message: { text: "/start" } }) },
  meta: {
    body: (n) => ({
      object: "whatsapp_business_account",
      entry: [
        { changes: [{ field: "messages", value: { messages: [{ id: `wamid.${n}` }] } }] },
        { changes: [{ field: "messages", value: { statuses: [{ id: `wamid.${n}`, status: "read" }] } }] },
        { messaging: [{ sender: {}, recipient: {}, timestamp: n, message: { mid: `mid.${n}` } }] },
        { changes: [{ field: "feed", value: { post_id: n } }] },
      ],
    }),
    events: 4,
  },
  twilio: { form: true, body: (n) => ({ MessageSid: `SM${n}`, MessageStatus: "delivered", To: "+1" }) },
  intercom: {
    body: (n, attempt) => ({ id: `notif_${n}`, topic: "contact.created", delivery_attempts: attempt }),
  },
  sendgrid: {
    body: (n) => [0, 1].map((item) => ({ sg_event_id: `sg-${n}-${item}`, event: "open" })),
    events: 2,
  },
  mailgun: { body: (n) => ({ "event-data": { id: `mg${n}`, event: "opened" } }) },
  postmark: { body: (n) => ({ RecordType: "Delivery", MessageID: `m${n}` }) },
  resend: svix,
  hubspot: {
    body: (n, attempt) =>
      [0, 1].map((item) => ({
        eventId: n * 10 + item,
        subscriptionId: 1,
        objectId: 123,
        occurredAt: 1_564_113_600_000,
        subscriptionType: "contact.creation",
        attemptNumber: attempt,
      })),
    events: 2,
  },
  "hubspot-v1": {
    body: (n, attempt) =>
      [0, 1].map((item) => ({
        eventId: n * 10 + item,
        subscriptionId: 1,
        objectId: 123,
        occurredAt: 1_564_113_600_000,
        subscriptionType: "contact.creation",
        attemptNumber: attempt,
      })),
    events: 2,
  },
  "hubspot-workflow": { body: (n) => ({ vid: n, properties: { email: { value: "a@example.com" } } }) },
  notion: { body: (n, attempt) => ({ id: `n${n}`, type: "page.created", attempt_number: attempt }) },
  typeform: { body: (n) => ({ event_id: `tf${n}`, event_type: "form_response" }) },
  calendly: { body: (n) => ({ event: "invitee.created", payload: { uri: `https://calendly.com/${n}` } }) },
  docusign: {
    body: (n, attempt) => ({
      event: "envelope-completed",
      retryCount: attempt,
      data: { envelopeId: `e-${n}` },
    }),
  },
  dropbox: { body: () => ({ list_folder: { accounts: ["dbid:1"] } }), neverTheSame: true },
  figma: { body: (n) => ({ event_type: "FILE_UPDATE", timestamp: `2026-09-21T14:13:2${n}Z` }) },
  sanity: inHeader("idempotency-key", { "sanity-operation": "update" }),
  contentful: {
    headers: () => ({ "x-contentful-topic": "ContentManagement.Entry.publish" }),
    body: (n) => ({ sys: { id: `entry${n}` } }),
  },
  clerk: svix,
  workos: { body: (n) => ({ id: `wh_${n}`, event: "dsync.user.created" }) },
  openai: standard,
  anthropic: standard,
  replicate: standard,
  discourse: {
    headers: (n, attempt) => ({
      "x-discourse-event": "post_created",
      "x-discourse-event-id": `${n * 10 + attempt}`,
    }),
    body: (n) => ({ post: { id: n } }),
  },
  ghost: { body: (n) => ({ event: "post.edited", post: { current: { id: n }, previous: {} } }) },
  cal: { body: (n) => ({ triggerEvent: "BOOKING_CREATED", payload: { bookingId: n } }) },
  twitch: {
    headers: (n, attempt) => ({
      "twitch-eventsub-message-id": `id-${n}`,
      "twitch-eventsub-message-type": "notification",
      "twitch-eventsub-message-retry": `${attempt - 1}`,
    }),
    body: () => ({ subscription: { type: "stream.online" }, event: {} }),
  },
  btcpay: {
    body: (n, attempt) => ({
      deliveryId: `d${n}-${attempt}`,
      originalDeliveryId: `d${n}-1`,
      isRedelivery: attempt > 1,
      type: "InvoiceSettled",
    }),
  },
  braintree: {
    form: true,
    body: (n) => ({
      bt_payload: Buffer.from(
        `<notification><timestamp type="datetime">2026-09-21T14:13:20Z</timestamp><kind>subscription_canceled</kind><subject><subscription><id>s${n}</id><transactions type="array"/><discounts type="array"/><add-ons type="array"/></subscription></subject></notification>`,
      ).toString("base64"),
    }),
  },
  strava: {
    body: (n) => ({
      object_type: "activity",
      object_id: n,
      aspect_type: "create",
      event_time: 1_790_000_000,
    }),
  },
  "docker-hub": {
    body: (n) => ({
      push_data: { tag: "latest", pushed_at: 1_790_000_000 + n },
      repository: { repo_name: "a/b" },
    }),
  },
  gumroad: {
    form: true,
    body: (n, attempt) => ({
      sale_id: `s${n}==`,
      resource_name: "sale",
      "card[visual]": "**** 4242",
      ...(attempt > 1 ? { retry_count: `${attempt - 1}` } : {}),
    }),
  },
  "uptime-kuma": {
    body: (n) => ({
      heartbeat: { monitorID: 1, status: 0, time: `2026-09-21 14:13:2${n}.000` },
      msg: "down",
    }),
  },
  alertmanager: { body: alerts, events: 2 },
  grafana: { body: alerts, events: 2 },
  supabase: {
    headers: (n, attempt) => webhookId(n * 10 + attempt),
    body: (n) => ({ metadata: { uuid: `u${n}`, name: "send-email" }, user: {} }),
  },
  "supabase-database": {
    body: () => ({ type: "UPDATE", table: "orders", schema: "public", record: {}, old_record: {} }),
    neverTheSame: true,
  },
  trello: { body: (n) => ({ action: { id: `a${n}`, type: "updateCard" }, model: {} }) },
  plex: {
    form: "multipart",
    body: () => ({ payload: JSON.stringify({ event: "media.play", Metadata: {} }) }),
    neverTheSame: true,
  },
  revenuecat: { body: (n) => ({ api_version: "1.0", event: { id: `e${n}`, type: "RENEWAL" } }) },
};

/** A preset with the config of a source, and signed deliveries to it. */
export interface Signer {
  readonly provider: Provider;
  readonly keys: SigningKeys;
  /** Returns the keys and certificates that the provider's hosts return. */
  readonly fetch: Fetch;
  /** hookonce.toml with `[sources.it]`, whose secret is `env:S`. */
  readonly config: string;
  /** @param signingKeys other keys than the provider's, for a wrong signature */
  request(n: number, attempt: number, nowMs: number, signingKeys?: SigningKeys): Promise<OutgoingRequest>;
}

// Generating keys takes time, so all samples share these.
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });

const extra: Readonly<Record<string, string>> = {
  hmac: 'signature = { header = "x-signature" }\nevent_id = "body:$.id"\ntype = "body:$.type"\n',
  "public-key": 'signature = { header = "x-signature" }\nevent_id = "body:$.id"\ntype = "body:$.type"\n',
  jwt: `${Object.entries({
    jwks_url: "https://issuer.test/jwks.json",
    issuer: "https://issuer.test",
    audience: URL_OF_IT,
  })
    .map(([key, value]) => `signature.${key} = "${value}"\n`)
    .join("")}event_id = "body:$.id"\ntype = "body:$.type"\n`,
  static: 'secret_in = "header:authorization"\nevent_id = "body:$.id"\ntype = "body:$.type"\n',
  "mollie-classic": "allow_public = true\n",
};

/** @param certificate PEM of the RSA key above, for SNS and PayPal */
export function signerFor(name: string, certificate: (rsaPrivateKey: string) => string): Signer {
  const preset = providers.get(name) as Provider;
  const provider = { ...preset, scheme: completed(preset.scheme) };
  const { keys, fetch } = keysFor(provider, certificate);
  const sample = samples[name] as Sample;
  return {
    provider,
    keys,
    fetch,
    config: `[sources.it]\nprovider = "${name}"\n${kindOf(provider.scheme).needsSecret ? 'secret = "env:S"\n' : ""}${coversUrl(provider.scheme) ? `public_url = "${URL_OF_IT}"\n` : ""}${extra[name] ?? neededBy(provider)}`,
    request(n, attempt, nowMs, signingKeys = keys) {
      const { type, body } = encoded(sample.body(n, attempt), sample.form);
      const headers = { "content-type": type, ...sample.headers?.(n, attempt) };
      return sign(provider, { method: "POST", url: URL_OF_IT, headers, body }, signingKeys, nowMs);
    },
  };
}

/** The lines of a config that the preset requires. */
export function neededBy({ needs = {} }: Provider): string {
  return Object.values(needs)
    .map((line) => `${line}\n`)
    .join("");
}

function encoded(payload: unknown, form: Sample["form"]): { type: string; body: Buffer } {
  if (form === undefined) return { type: "application/json", body: Buffer.from(JSON.stringify(payload)) };
  const fields = Object.entries(payload as Record<string, string>);
  if (form === true)
    return {
      type: "application/x-www-form-urlencoded",
      body: Buffer.from(new URLSearchParams(fields).toString()),
    };
  const type = `multipart/form-data; boundary=${crypto.randomUUID()}`;
  const file = { filename: "thumb.jpg", type: "image/jpeg" };
  const parts = fields.map(([name, value]) => newPart(name, value));
  const body = writeMultipart({ "content-type": type }, [
    ...parts,
    newPart("thumb", Buffer.of(0xff, 0xd8, 0), file),
  ]);
  return { type, body };
}

/** Fills in what only the config can say. */
export function completed(scheme: Scheme): Scheme {
  if (scheme.kind === "jwt")
    return {
      ...scheme,
      jwksUrl: "https://issuer.test/jwks.json",
      issuer: ["https://issuer.test"],
      audience: [URL_OF_IT],
    };
  if (scheme.kind !== "hmac" && scheme.kind !== "public-key") return scheme;
  return scheme.signature.header === "" ? { ...scheme, signature: { header: "x-signature" } } : scheme;
}

const nothing: Fetch = () => Promise.reject(new Error("nothing to fetch"));

function keysFor(
  provider: Provider,
  certificate: (rsaPrivateKey: string) => string,
): { keys: SigningKeys; fetch: Fetch } {
  const { scheme } = provider;
  const rsaKey = rsa.privateKey.export({ format: "pem", type: "pkcs8" });
  switch (scheme.kind) {
    case "public-key":
      return { keys: generateKeyPair(scheme), fetch: nothing };
    case "sns":
    case "paypal": {
      const pem = certificate(rsaKey);
      const secret =
        scheme.kind === "sns" ? "arn:aws:sns:us-east-1:123456789012:MyTopic" : "1JE4291016473214C";
      return {
        keys: { secret, privateKey: rsaKey },
        fetch: (url) =>
          Promise.resolve(new Response(pem, { status: /-simulated(?:\.pem)?$/.test(url) ? 200 : 404 })),
      };
    }
    case "jwt": {
      const key = { ...ec.publicKey.export({ format: "jwk" }), kid: "k1", use: "sig" };
      const privateKey = JSON.stringify({ ...ec.privateKey.export({ format: "jwk" }), kid: "k1" });
      return {
        keys: { secret: "", privateKey },
        fetch: () => Promise.resolve(Response.json({ keys: [key] })),
      };
    }
    case "plaid": {
      const key = JSON.stringify({ ...ec.publicKey.export({ format: "jwk" }), kid: "k1", alg: "ES256" });
      const privateKey = JSON.stringify({
        ...ec.privateKey.export({ format: "jwk" }),
        kid: "k1",
        alg: "ES256",
      });
      return {
        keys: { secret: "client:secret", privateKey },
        fetch: () => Promise.resolve(new Response(`{"key":${key}}`)),
      };
    }
    case "hmac":
      return {
        keys: {
          secret: scheme.key.startsWith("whsec")
            ? "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
            : "deadbeef",
        },
        fetch: nothing,
      };
    case "braintree":
      return { keys: { secret: "public_key:private_key" }, fetch: nothing };
    case "adyen":
      return { keys: { secret: "deadbeef" }, fetch: nothing };
    case "contentful":
      return { keys: { secret: "0123456789abcdef".repeat(4) }, fetch: nothing };
    case "mailgun":
    case "netlify":
    case "static":
    case "twilio":
    case "unsigned":
      return { keys: { secret: "user:secret-1" }, fetch: nothing };
  }
}
