import { afterAll, beforeAll, expect, test } from "bun:test";
import { providers } from "../../src/providers/presets.ts";
import type { Fetch } from "../../src/providers/context.ts";
import { coversUrl } from "../../src/providers/verifier.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import examples from "../fixtures/provider-examples.json";
import vectors from "../fixtures/provider-vectors.json";
import { isAccepted, libraries } from "./libraries/libraries.ts";
import { neededBy } from "./preset-samples.ts";
import type { Library } from "./libraries/library.ts";
import { addedSince, effectsTable, NOTHING, ONE, storedIn } from "./signed-inbox.ts";

interface Vector {
  provider: string;
  description: string;
  secret?: string;
  secrets?: string[];
  verify_token?: string;
  webhook_id?: string;
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string;
  now_unix: number;
  expect: "valid" | "invalid";
  event_id: string | null;
  event_type: string | null;
  handshake_response?: { status: number; body?: string; content_type?: string };
}

interface Row {
  preset: string;
  /** Headers that the vector lacks. */
  headers?: Record<string, string>;
  /** What hookonce reads, if it is not the vector's id or type. */
  id?: string | RegExp;
  type?: string;
  /** The tolerance of the vector, if the preset's is wider so that it loses no retries. */
  tolerance?: string;
}

const HASH = /^[0-9a-f]{64}$/;
/** The vector has no event id, so after its signature is verified it is answered 400. */
const NO_EVENT = "";

/** One row for each provider of the vectors. */
const rows: Record<string, Row> = {
  stripe: { preset: "stripe" },
  github: { preset: "github", id: /^[0-9a-f-]{36}:[a-z]+$/ },
  razorpay: { preset: "razorpay", headers: { "x-razorpay-event-id": "evt_vector" }, id: "evt_vector" },
  standardwebhooks: { preset: "standard-webhooks" },
  "standardwebhooks-asymmetric": { preset: "standard-webhooks-asymmetric" },
  svix: { preset: "svix" },
  resend: { preset: "resend" },
  clerk: { preset: "clerk" },
  openai: { preset: "openai" },
  anthropic: { preset: "anthropic" },
  polar: { preset: "polar" },
  bigcommerce: {
    preset: "bigcommerce",
    id: "store/order/statusUpdated:3f9ea420af83450d7ef9f78b08c8af25b2213637:1688588419",
  },
  gitlab: { preset: "gitlab" },
  "gitlab-token": { preset: "gitlab-token" },
  replicate: { preset: "replicate" },
  shopify: { preset: "shopify" },
  "shopify-events": { preset: "shopify-events" },
  // A slash command: its trigger id is unique.
  slack: {
    preset: "slack",
    id: "398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
    type: "/webhook-collect",
  },
  // The body is "Hello World!", and the type would be in JSON.
  jira: { preset: "jira", id: NO_EVENT },
  bitbucket: { preset: "bitbucket", id: "2a4b0c7e-5d38-4c1f-9f4c-0c7b5d1f2a11/repo:push" },
  paddle: { preset: "paddle", id: NO_EVENT },
  square: { preset: "square" },
  // With pspReference and success, because a success that becomes a failure is another event.
  "adyen-standard": { preset: "adyen", id: "AUTHORISATION:7914073381342284:true" },
  "adyen-platform": { preset: "adyen-platform", id: HASH },
  "coinbase-commerce": { preset: "coinbase-commerce" },
  twilio: { preset: "twilio", id: HASH },
  sendgrid: { preset: "sendgrid" },
  discord: { preset: "discord", id: HASH },
  linear: { preset: "linear", tolerance: "60s" },
  notion: { preset: "notion" },
  sanity: { preset: "sanity" },
  contentful: {
    preset: "contentful",
    tolerance: "30s",
    id: /^ContentManagement\.Entry\.publish:[0-9a-f]{64}$/,
  },
  // HubSpot does not promise that eventId is unique.
  "hubspot-v3": { preset: "hubspot", id: "1:12345:123:1564113600000" },
  "hubspot-v1": { preset: "hubspot-v1", id: "1:12345:123:1564113600000" },
  "hubspot-v2": { preset: "hubspot-workflow", id: HASH },
  workos: { preset: "workos" },
  mollie: { preset: "mollie" },
  "aws-sns": { preset: "aws-sns" },
  zoom: { preset: "zoom", id: HASH },
  typeform: { preset: "typeform" },
  paystack: { preset: "paystack", id: HASH },
  mailgun: { preset: "mailgun" },
  meta: { preset: "meta" },
  calendly: { preset: "calendly", id: HASH },
  xero: { preset: "xero" },
  docusign: { preset: "docusign", id: HASH },
  dropbox: { preset: "dropbox", id: /^[0-9a-f-]{36}$/, type: "delta" },
  woocommerce: {
    preset: "woocommerce",
    id: /^order\.updated:7dd1fd4c1f4ec4c6b5a4f0f9a6b7c8d9:[0-9a-f]{64}$/,
  },
  gitea: { preset: "gitea" },
  lemonsqueezy: { preset: "lemon-squeezy", id: HASH },
  vercel: { preset: "vercel" },
  intercom: { preset: "intercom" },
  sentry: { preset: "sentry", id: /^issue:[0-9a-f]{64}$/, type: "issue.created" },
  patreon: { preset: "patreon", id: /^members\\:pledge\\:create:[0-9a-f]{64}$/ },
  "cloudflare-stream": { preset: "cloudflare-stream", id: HASH, type: "ready" },
  "cloudflare-notifications": { preset: "cloudflare-notifications", id: /^[0-9a-f-]{36}$/ },
  telegram: { preset: "telegram" },
  "flutterwave-v3": { preset: "flutterwave-v3", id: HASH },
  "flutterwave-v4": { preset: "flutterwave-v4", id: HASH },
  "ko-fi": { preset: "ko-fi" },
  figma: { preset: "figma" },
  netlify: { preset: "netlify", id: HASH },
  plaid: { preset: "plaid", id: /^[0-9a-f-]{36}$/ },
  paypal: { preset: "paypal" },
  discourse: { preset: "discourse" },
  ghost: { preset: "ghost", tolerance: "5m", id: HASH },
  cal: { preset: "cal", id: HASH },
  twitch: { preset: "twitch" },
  btcpay: { preset: "btcpay" },
  revenuecat: { preset: "revenuecat" },
  braintree: { preset: "braintree" },
  strava: { preset: "strava", id: HASH },
  "docker-hub": { preset: "docker-hub" },
  gumroad: { preset: "gumroad", id: HASH },
  "uptime-kuma": { preset: "uptime-kuma", id: /^1\/2026|^[0-9a-f-]{36}$/ },
  alertmanager: { preset: "alertmanager" },
  grafana: { preset: "grafana" },
  supabase: { preset: "supabase" },
  "supabase-database": { preset: "supabase-database", id: /^[0-9a-f-]{36}$/ },
  trello: { preset: "trello" },
  plex: { preset: "plex", id: /^[0-9a-f-]{36}$/ },
};

/** The types of requests that carry no event: of SNS and of Figma. */
const HANDSHAKES = new Set(["SubscriptionConfirmation", "PING"]);

/** The certificate is newer than the vector's clock. Neither scheme checks the time. */
const MADE_LATER = new Set(["aws-sns", "paypal"]);
const AFTER = Date.parse("2027-01-01T00:00:00Z");

const all = [...vectors, ...examples] as unknown as Vector[];

test("each provider of the vectors has a row, and each row has a preset", () => {
  const known = new Set(all.map(({ provider }) => provider));
  expect([...known].sort()).toEqual(Object.keys(rows).sort());
  for (const { preset } of Object.values(rows)) expect(providers.has(preset)).toBe(true);
});

/** A network with one host that always returns the same text. */
function answer(text: string, host: string): Fetch {
  return (url) =>
    url.startsWith(host) ? Promise.resolve(new Response(text)) : Promise.reject(new Error(url));
}

/** The source's secrets, and what the provider's hosts return. */
function setUp({ provider, secret, secrets, webhook_id: webhookId }: Vector): {
  secrets: string[];
  fetch: Fetch;
} {
  switch (provider) {
    case "aws-sns":
      return {
        secrets: ["arn:aws:sns:us-east-1:123456789012:MyTopic"],
        fetch: answer(secret ?? "", "https://sns.us-east-1.amazonaws.com/"),
      };
    case "paypal":
      return { secrets: [webhookId ?? ""], fetch: answer(secret ?? "", "https://api.paypal.com/") };
    case "plaid":
      return {
        secrets: ["client:secret"],
        fetch: answer(`{"key":${secret ?? ""}}`, "https://production.plaid.com/"),
      };
    default:
      return {
        secrets: secrets ?? [secret ?? ""],
        fetch: () => Promise.reject(new Error("nothing to fetch")),
      };
  }
}

const taken = all.map((vector, index) => ({ vector, source: `vector-${index}` }));

/** @param environment receives the secrets */
function configOf({ vector, source }: (typeof taken)[number], environment: Record<string, string>): string {
  const named = (key: string, secret: string): string => {
    const name = `${source}_${key}`.toUpperCase().replaceAll("-", "_");
    environment[name] = secret;
    return `env:${name}`;
  };
  const { preset, tolerance } = rows[vector.provider] as Row;
  const provider = providers.get(preset);
  const { scheme } = provider ?? {};
  const secrets = setUp(vector).secrets.map((secret, index) => named(`${index}`, secret));
  return `[sources.${source}]
provider = "${preset}"
secret = ${JSON.stringify(secrets)}
${tolerance === undefined ? "" : `tolerance = "${tolerance}"`}
${provider === undefined ? "" : neededBy(provider)}
${scheme !== undefined && coversUrl(scheme) ? `public_url = "${vector.url}"` : ""}
${vector.verify_token === undefined ? "" : `verify_token = "${named("token", vector.verify_token)}"`}
`;
}

let inbox: TestInbox;
/** The vector whose clock and network the inbox has. */
let current = taken[0]?.vector as Vector;
beforeAll(async () => {
  const environment: Record<string, string> = {};
  inbox = await testInbox({
    config: taken.map((one) => configOf(one, environment)).join("\n"),
    files: {
      ...effectsTable,
      ...Object.fromEntries(
        taken.map(({ source }) => [
          `handlers/${source}/_any.sql`,
          "insert into effects values (:source, :event_id, :type);",
        ]),
      ),
    },
    environment,
    clock: () => (MADE_LATER.has(current.provider) ? AFTER : current.now_unix * 1000),
    fetch: (...request) => setUp(current).fetch(...request),
  });
});
afterAll(() => inbox[Symbol.asyncDispose]());

const named = taken.map((one) => [`${one.vector.provider}: ${one.vector.description}`, one] as const);

test.each(named)("%s", async (_, { vector, source }) => {
  const row = rows[vector.provider] as Row;
  current = vector;
  const before = storedIn(inbox);
  const { search } = new URL(vector.url);
  const response = await inbox.request(`/webhook/${source}${search}`, {
    method: vector.method,
    headers: { ...row.headers, ...vector.headers },
    ...(vector.method !== "POST" ? {} : { body: vector.body }),
  });
  const text = await response.text();
  const { handshake_response: handshake } = vector;
  if (handshake !== undefined) {
    expect(response.status).toBe(handshake.status);
    if (handshake.body !== undefined) expect(text).toBe(handshake.body);
    if (handshake.content_type !== undefined)
      expect(response.headers.get("content-type")).toStartWith(handshake.content_type);
    expect(addedSince(before, inbox)).toEqual(NOTHING);
    return;
  }
  if (vector.expect === "invalid") {
    expect({ status: response.status, text }).toMatchObject({ status: 401 });
    expect(addedSince(before, inbox)).toEqual(NOTHING);
    return;
  }
  if (HANDSHAKES.has(vector.event_type ?? "")) {
    expect({ status: response.status, text }).toEqual({ status: 200, text: "" });
    expect(addedSince(before, inbox)).toEqual(NOTHING);
    return;
  }
  if (row.id === NO_EVENT && (vector.event_id === null || vector.event_type === null)) {
    expect(response.status).toBe(400);
    expect(text).toMatch(/missing_event_id|invalid_json/);
    return;
  }
  expect({ ok: response.ok, text }).toMatchObject({ ok: true });
  const [stored] = inbox.rows(
    `select event_id, type, cast(bytes as text) as body from hookonce_events e
       join hookonce_results r on r.event = e.id join hookonce_bodies b on b.id = r.body where source = ?`,
    source,
  ) as { event_id: string; type: string; body: string }[];
  const id = row.id === undefined || row.id === NO_EVENT ? vector.event_id : row.id;
  if (typeof id === "string") expect(stored?.event_id).toBe(id);
  else expect(stored?.event_id).toMatch(id ?? /./);
  expect(stored?.type ?? "").toBe(row.type ?? vector.event_type ?? "");
  expect(addedSince(before, inbox)).toEqual(ONE);
  // Byte for byte, unless the body holds the secret.
  if (providers.get(row.preset)?.scheme.kind !== "static") expect(stored?.body).toBe(vector.body);
});

const judged = named.filter(
  ([, { vector }]) =>
    vector.handshake_response === undefined && libraries[(rows[vector.provider] as Row).preset] !== undefined,
);

test.each(judged)("%s: the provider's library agrees", async (_, { vector }) => {
  const library = libraries[(rows[vector.provider] as Row).preset] as Library;
  const { secrets, fetch } = setUp(vector);
  const headers = new Headers({ ...library.headers, ...vector.headers }).toJSON();
  const arrival = { url: vector.url, headers, body: vector.body, laterMs: 0 };
  const accepted = await isAccepted(library, arrival, secrets, vector.now_unix * 1000, fetch);
  expect(accepted).toBe(vector.expect === "valid");
});
