import { describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import type { Cause, DoctorContext } from "../../src/doctor/diagnosis.ts";
import type { Delivery } from "../../src/event.ts";
import type { SourceSettings } from "../../src/providers/source.ts";
import { BODY, examineIt, NOW, preset, signed, source, withBody, withHeaders } from "./patient.ts";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";

const STRIPE = "whsec_Q2hlY2tNZU91dFBsZWFzZTEyMzQ1Njc4";
const LISTEN = `whsec_${"0a1b2c3d".repeat(8)}`;
const HEX = "00112233445566778899aabbccddeeff";
const TEXT = "it's a secret, not a key";
const OTHER = "quite-another-secret-of-somebody";

interface Planted {
  name: string;
  source: SourceSettings;
  delivery: () => Promise<Delivery>;
  context?: Partial<DoctorContext>;
  /** The causes of all findings, in this order. */
  causes: Cause[];
  says: string | RegExp;
  remedy?: string;
}

const changed = async (provider: string, secret: string, body: string | Uint8Array, text = BODY) =>
  withBody(await signed(provider, secret, { text }), body);

const secrets: Planted[] = [
  {
    name: "a Standard Webhooks secret used as text",
    source: source("standard-webhooks", STRIPE),
    delivery: () => signed("stripe", STRIPE, { scheme: { ...hmacOf("standard-webhooks"), key: "text" } }),
    causes: ["key_decoding"],
    says: "the key is the secret's text",
    remedy: 'signature.secret_encoding = "text"',
  },
  {
    name: "a key in hex that was used as text",
    source: source("github", HEX),
    delivery: () => signed("github", HEX, { scheme: { ...hmacOf("github"), key: "hex" } }),
    causes: ["key_decoding"],
    says: "the key is the secret, decoded from hex",
    remedy: 'signature.secret_encoding = "hex"',
  },
  {
    name: "a key in base64 that was used as text",
    source: source("shopify", HEX),
    delivery: () => signed("shopify", HEX, { scheme: { ...hmacOf("shopify"), key: "base64" } }),
    causes: ["key_decoding"],
    says: "the key is the secret, decoded from base64",
  },
  {
    name: "a whsec_ secret that the sender decoded and Stripe's preset uses as text",
    source: source("stripe", STRIPE),
    delivery: () => signed("stripe", STRIPE, { scheme: { ...hmacOf("stripe"), key: "whsec" } }),
    causes: ["key_decoding"],
    says: "the key is the secret without whsec_, decoded from base64",
  },
  {
    name: "a secret that cannot be decoded as the preset requires",
    source: source("standard-webhooks", TEXT),
    delivery: () => signed("x", TEXT, { scheme: { ...hmacOf("standard-webhooks"), key: "text" } }),
    causes: ["key_decoding"],
    says: "the secret's text",
  },
  {
    name: "the secret of another source",
    source: source("github", TEXT),
    context: { sources: [source("github", TEXT), source("linear", OTHER)] },
    delivery: () => signed("github", OTHER),
    causes: ["secret_of_another_source"],
    says: "the source linear",
    remedy: "/webhook/linear",
  },
  {
    name: "a secret in .env that no source uses",
    source: source("stripe", STRIPE),
    context: { otherSecrets: [{ name: "STRIPE_CLI in .env", secret: LISTEN }] },
    delivery: () => signed("stripe", LISTEN),
    causes: ["another_secret"],
    says: "STRIPE_CLI in .env",
  },
  {
    name: "a Twilio delivery signed with another source's secret",
    source: source("twilio", TEXT, { publicUrl: "https://a.example/webhook/twilio" }),
    context: { sources: [source("github", OTHER)] },
    delivery: () => signed("twilio", OTHER, { url: "https://a.example/webhook/twilio" }),
    causes: ["secret_of_another_source"],
    says: "the source github",
  },
  {
    name: "a static secret of another source",
    source: source("gitlab-token", TEXT),
    context: { sources: [source("telegram", OTHER)] },
    delivery: () => signed("gitlab-token", OTHER),
    causes: ["secret_of_another_source"],
    says: "the source telegram",
  },
  {
    name: "a secret in the URL of another source",
    source: source("strava", TEXT),
    context: { sources: [source("plex", OTHER)] },
    delivery: () => signed("strava", OTHER),
    causes: ["secret_of_another_source"],
    says: "the source plex",
  },
  {
    name: "a Trello delivery to another URL than public_url",
    source: source("trello", TEXT, { publicUrl: "https://a.example/webhook/trello" }),
    delivery: () => signed("trello", TEXT, { url: "https://a.example/webhook/trello/" }),
    causes: ["url"],
    says: "another URL than public_url: the signature was made for https://a.example/webhook/trello/",
  },
  {
    name: "Braintree's keys in the wrong order",
    source: source("braintree", "private:public"),
    delivery: () =>
      signed("braintree", "public:private", {
        text: new URLSearchParams({
          bt_payload: Buffer.from("<notification/>").toString("base64"),
        }).toString(),
        headers: { "content-type": "application/x-www-form-urlencoded" },
      }),
    causes: ["key_decoding"],
    says: "the private key first",
    remedy: "PUBLIC_KEY:PRIVATE_KEY",
  },
  {
    name: "a secret in quotation marks",
    source: source("razorpay", `"${OTHER}"`),
    delivery: () => signed("razorpay", OTHER),
    causes: ["secret_spelled_otherwise"],
    says: "quotation marks",
  },
  {
    name: "a secret whose quotation mark is not closed in .env",
    source: source("razorpay", `"${OTHER}`),
    delivery: () => signed("razorpay", OTHER),
    causes: ["secret_spelled_otherwise"],
    says: "a quotation mark that is not closed",
  },
  {
    name: "a secret that takes in the next line, because its quotation mark is not closed in .env",
    source: source("razorpay", `${OTHER}\nNEXT=`),
    delivery: () => signed("razorpay", OTHER),
    causes: ["secret_spelled_otherwise"],
    says: "the lines after it have become part of it",
  },
  {
    name: "a secret with a space after it",
    source: source("razorpay", `${OTHER} `),
    delivery: () => signed("razorpay", OTHER),
    causes: ["secret_spelled_otherwise"],
    says: "spaces or line breaks",
  },
  {
    name: "a secret without its whsec_ prefix",
    source: source("stripe", STRIPE.slice(6)),
    delivery: () => signed("stripe", STRIPE),
    causes: ["secret_spelled_otherwise"],
    says: "whsec_ is part of the key",
  },
  {
    name: "a delivery of the dashboard's endpoint, with the secret of stripe listen",
    source: source("stripe", LISTEN),
    delivery: () => signed("stripe", STRIPE),
    causes: ["stripe_listen", "unknown"],
    says: "looks like the one that `stripe listen` prints",
  },
  {
    name: "a delivery of stripe listen, with the secret of the dashboard's endpoint",
    source: source("stripe", STRIPE),
    delivery: () => signed("stripe", LISTEN),
    causes: ["stripe_listen", "unknown"],
    says: "looks like that of an endpoint in the dashboard",
    remedy: "stripe listen --print-secret",
  },
  {
    name: "an unknown secret",
    source: source("github", TEXT),
    delivery: () => signed("github", OTHER),
    causes: ["unknown"],
    says: "Nothing that was tried",
  },
];

const PRETTY = JSON.stringify(JSON.parse(BODY), null, 2);
const ESCAPED = BODY.replaceAll("ë", String.raw`\u00eb`);

const bodies: Planted[] = (
  [
    ["pretty-printed", PRETTY, BODY, /is now pretty-printed. The signed text was written without spaces/],
    ["compacted", BODY, PRETTY, /now has no spaces. The signed text was written with 2 spaces/],
    ["compacted from four spaces", BODY, JSON.stringify(JSON.parse(BODY), null, 4), /4 spaces/],
    ["without a line break at its end", BODY, `${BODY}\n`, /at the end of the body was lost/],
    ["with a line break more", `${BODY}\n`, BODY, /was added at the end/],
    ["with CRLF for LF", PRETTY.replaceAll("\n", "\r\n"), PRETTY, /from LF to CRLF/],
    ["with LF for CRLF", PRETTY, PRETTY.replaceAll("\n", "\r\n"), /from CRLF to LF/],
    ["with a BOM", `\ufeff${BODY}`, BODY, /added before the body/],
    ["without its BOM", BODY, `\ufeff${BODY}`, /before the body was lost/],
    ["with its escapes written out", BODY, ESCAPED, /\\u escapes/],
    ["with its slashes unescaped", BODY, BODY.replaceAll("/", String.raw`\/`), /escaped slashes/],
    ["as Python wrote it", BODY, pythonic(ESCAPED), /json\.dumps writes it, with letters/],
    ["encoded twice", Buffer.from(Buffer.from(BODY).toString("latin1")), BODY, /encoded twice/],
    ["compressed on the way", gzipSync(BODY), BODY, /compressed on the way/],
  ] as [string, string | Uint8Array, string, RegExp][]
).flatMap(([what, now, then, says]) =>
  ["stripe", "github", "standard-webhooks"].map((provider): Planted => ({
    name: `a body ${what}, of ${provider}`,
    source: source(provider, STRIPE),
    delivery: () => changed(provider, STRIPE, now, then),
    causes: ["body_changed"],
    says,
    remedy: "raw bytes",
  })),
);

const PUBLIC = "https://hooks.a.example/in/square?x=1";

const urls: Planted[] = [
  {
    name: "http in public_url behind a proxy with TLS",
    source: source("square", TEXT, { publicUrl: "http://a.example/webhook/square" }),
    delivery: () => signed("square", TEXT, { url: "https://a.example/webhook/square" }),
    causes: ["url"],
    says: "another URL than public_url",
    remedy: 'public_url = "https://a.example/webhook/square"',
  },
  {
    name: "a port in public_url that the provider did not sign",
    source: source("hubspot", TEXT, { publicUrl: "https://a.example:8787/webhook/hubspot" }),
    delivery: () => signed("hubspot", TEXT, { url: "https://a.example/webhook/hubspot" }),
    causes: ["url"],
    says: "https://a.example/webhook/hubspot",
  },
  {
    name: "a path prefix that the proxy strips, without public_url",
    source: source("square", TEXT),
    delivery: async () => ({
      ...withHeaders(await signed("square", TEXT, { url: PUBLIC }), {
        "x-forwarded-host": "hooks.a.example",
        "x-forwarded-proto": "https",
        "x-forwarded-prefix": "/in",
      }),
      url: "http://127.0.0.1:8787/square?x=1",
    }),
    causes: ["url"],
    says: "with the query",
    remedy: 'public_url = "https://hooks.a.example/in/square"',
  },
  {
    name: "a slash at the end of the signed URL",
    source: source("twilio", TEXT, { publicUrl: "https://a.example/webhook/twilio" }),
    delivery: async () => ({
      ...(await signed("twilio", TEXT, {
        url: "https://a.example/webhook/twilio/",
        headers: { "content-type": "application/x-www-form-urlencoded" },
        text: "From=%2B1&Body=hi",
      })),
      url: "http://localhost:8787/webhook/twilio",
    }),
    causes: ["url"],
    says: "webhook/twilio/",
  },
  {
    name: "another path, with Contentful",
    source: source("contentful", TEXT, { publicUrl: "https://a.example/webhook/contentful" }),
    delivery: () => signed("contentful", TEXT, { url: "https://a.example/api/webhook/contentful" }),
    causes: ["url"],
    says: "/api/webhook/contentful",
  },
  {
    name: "a URL that cannot be guessed",
    source: source("square", TEXT, { publicUrl: "https://a.example/webhook/square" }),
    delivery: async () => ({
      ...(await signed("square", TEXT, { url: "https://other.example/in" })),
      url: "http://localhost/webhook/square",
    }),
    causes: ["unknown"],
    says: "no other URL that the request hints at",
    remedy: 'the URL is wrong: compare public_url = "https://a.example/webhook/square" letter for letter',
  },
  {
    name: "no public_url, and nothing to guess the URL from",
    source: source("square", TEXT),
    delivery: async () => ({
      ...(await signed("square", TEXT, { url: "https://elsewhere.example/a" })),
      url: "http://localhost/b",
    }),
    causes: ["public_url_missing"],
    says: "covers the URL",
    remedy: "public_url",
  },
];

const rejections = (ageS: number, code = "timestamp_stale") =>
  Array.from({ length: 20 }, (_, index) => ({ code, ageS: ageS + index }));

const ages: Planted[] = [
  {
    name: "an old delivery",
    source: source("stripe", STRIPE),
    delivery: () => signed("stripe", STRIPE, { at: NOW - 4000_000 }),
    causes: ["age"],
    says: "but its age is not. It was signed at 2026-01-31T10:53:20.000Z, which is 67 min (4000 s) before",
    remedy: "--at 2026-01-31T10:53:20.000Z",
  },
  {
    name: "a delivery from the future",
    source: source("slack", TEXT),
    delivery: () => signed("slack", TEXT, { at: NOW + 400_000 }),
    causes: ["age"],
    says: "(400 s) after",
  },
  ...["linear", "mailgun", "contentful"].map((provider): Planted => ({
    name: `an old delivery of ${provider}`,
    source: source(provider, TEXT, { publicUrl: `http://localhost:8787/webhook/${provider}` }),
    delivery: () => signed(provider, TEXT, { at: NOW - 7 * 86_400_000 }),
    causes: ["age"],
    says: "7 days (604800 s) before",
  })),
  {
    name: "a clock that is ahead",
    source: source("stripe", STRIPE),
    context: { rejections: rejections(730) },
    delivery: () => signed("stripe", STRIPE, { at: NOW - 731_000 }),
    causes: ["clock", "age"],
    says: "by 730 to 749 s, so this machine's clock is about 730 s ahead",
  },
  {
    name: "a clock that is behind",
    source: source("stripe", STRIPE),
    context: { rejections: rejections(-730, "timestamp_in_future") },
    delivery: () => signed("stripe", STRIPE, { at: NOW + 731_000 }),
    causes: ["clock", "age"],
    says: "behind",
  },
  {
    name: "only the age, if the log also has rejections of other kinds",
    source: source("stripe", STRIPE),
    context: { rejections: [...rejections(730), { code: "signature_mismatch" }] },
    delivery: () => signed("stripe", STRIPE, { at: NOW - 731_000 }),
    causes: ["age"],
    says: "731 s",
  },
];

const OF_STRAVA = source("strava", TEXT);

const parameters: Planted[] = (
  [
    [`?tokn=${TEXT}`, "The URL has the parameter tokn, but this source expects the secret in token."],
    [`?a=b&Token=${TEXT}`, "The URL has the parameter Token, but"],
    // Two other characters make another name of a short one.
    ["?open=x", "The URL has a query, but not the parameter token"],
    ["", "The URL has no query, so the secret is missing: this source expects it in the parameter token."],
    ["#token=x", "The URL has no query"],
    ["?token=&a=b", "The parameter token of the URL is empty, so the secret is missing."],
    [
      `?${TEXT}`,
      "The URL has a query, but not the parameter token, in which this source expects the secret.",
    ],
  ] as const
).map(([query, says]) => ({
  name: `a secret that is not in its parameter of the URL: ${query}`,
  source: OF_STRAVA,
  delivery: () => Promise.resolve(unsigned({}, `http://localhost:8787/webhook/strava${query}`)),
  causes: ["near_parameter"],
  says,
  remedy: "At Strava, enter the URL with ?token= and the secret at its end.",
}));

const headers: Planted[] = [
  {
    name: "only GitHub's older signature",
    source: source("github", TEXT),
    delivery: async () =>
      withHeaders(await signed("github", TEXT), {
        "x-hub-signature-256": undefined,
        "x-hub-signature": "sha1=0123456789012345678901234567890123456789",
        "x-github-event": "push",
      }),
    causes: ["near_header"],
    says: "x-hub-signature-256 is missing; the request has x-hub-signature. x-hub-signature is the older signature, made with SHA-1",
  },
  {
    name: "a header that a proxy renamed",
    source: source("stripe", STRIPE),
    delivery: async () => {
      const delivery = await signed("stripe", STRIPE);
      return withHeaders(delivery, {
        "stripe-signature": undefined,
        "x-stripe-signature": delivery.headers["stripe-signature"],
      });
    },
    causes: ["signature_elsewhere"],
    says: "in the header x-stripe-signature, but this source expects it in stripe-signature",
  },
  {
    name: "a renamed header of a scheme that no config can change",
    source: source("twilio", TEXT, { publicUrl: "https://a.example/webhook/twilio" }),
    delivery: async () => {
      const delivery = await signed("twilio", TEXT, { url: "https://a.example/webhook/twilio" });
      return withHeaders(delivery, {
        "x-twilio-signature": undefined,
        "x-proxy-twilio-signature": delivery.headers["x-twilio-signature"],
      });
    },
    causes: ["signature_elsewhere"],
    says: "in the header x-proxy-twilio-signature, but this source expects it in x-twilio-signature",
  },
  {
    name: "no signature at all",
    source: source("razorpay", TEXT),
    delivery: async () => withHeaders(await signed("razorpay", TEXT), { "x-razorpay-signature": undefined }),
    causes: ["near_header"],
    says: "no other header resembles it",
  },
  {
    name: "another provider's delivery",
    source: source("stripe", STRIPE),
    context: { sources: [source("github", TEXT, { name: "code" })] },
    delivery: async () =>
      withHeaders(await signed("github", OTHER), { "x-github-event": "push", "x-github-delivery": "1" }),
    causes: ["other_provider"],
    says: "This looks like a delivery of GitHub",
    remedy: "/webhook/code",
  },
  {
    name: "a delivery for another source",
    source: source("stripe", STRIPE),
    context: { sources: [source("stripe", STRIPE), source("github", OTHER, { name: "code" })] },
    delivery: () => signed("github", OTHER),
    causes: ["other_source"],
    says: "a delivery for the source code (GitHub)",
    remedy: "/webhook/code",
  },
  {
    name: "a delivery for another source, whose URL is signed",
    source: source("twilio", TEXT, { publicUrl: "https://a.example/webhook/twilio" }),
    context: { sources: [source("square", OTHER, { publicUrl: "https://a.example/webhook/square" })] },
    delivery: () => signed("square", OTHER, { url: "https://a.example/webhook/square" }),
    causes: ["other_source"],
    says: "the source square",
  },
  {
    name: "a source that has no secret yet",
    source: source("notion", "", { secrets: [] }),
    delivery: () => signed("notion", OTHER),
    causes: ["no_secret"],
    says: "no secret yet",
  },
  {
    name: "a request that hands out another secret than the source's, signed with it",
    source: source("notion", TEXT),
    delivery: () => signed("notion", OTHER, { text: JSON.stringify({ verification_token: OTHER }) }),
    causes: ["carried_secret"],
    says: "signed with the verification_token that it carries",
  },
  {
    name: "a request that hands out a secret, unsigned, to a source that has one",
    source: source("notion", TEXT),
    delivery: async () => ({
      ...(await signed("notion", OTHER, { text: JSON.stringify({ verification_token: OTHER }) })),
      headers: {},
    }),
    causes: ["carried_secret"],
    says: "answered only while the source has none",
    remedy: "remove secret from the source",
  },
  {
    name: "another provider's delivery, with this source's secret",
    source: source("stripe", TEXT),
    delivery: async () => withHeaders(await signed("linear", TEXT, { at: NOW }), { "linear-delivery": "1" }),
    causes: ["other_provider"],
    says: "a delivery of Linear: verified as one, its signature is right",
    remedy: 'provider = "linear"',
  },
  {
    name: "a signature in hex instead of base64",
    source: source("shopify", TEXT),
    delivery: () => signed("shopify", TEXT, { scheme: { ...hmacOf("shopify"), encoding: "hex" } }),
    causes: ["signature_written_otherwise"],
    says: "written in hex instead of base64",
  },
  {
    name: "a signature with an unexpected prefix",
    source: source("razorpay", TEXT),
    delivery: async () => {
      const delivery = await signed("razorpay", TEXT);
      const name = "x-razorpay-signature";
      return withHeaders(delivery, { [name]: `sha256=${delivery.headers[name] ?? ""}` });
    },
    causes: ["signature_written_otherwise"],
    says: "has the prefix sha256=",
  },
  {
    name: "a plain hash instead of an HMAC",
    source: source("github", TEXT),
    delivery: () => signed("github", TEXT, { scheme: { ...hmacOf("github"), signed: "{secret}{body}" } }),
    causes: ["signature_written_otherwise"],
    says: "It is a plain hash, SHA256 over {secret}{body}, not HMAC-SHA256 over {body}",
    remedy: 'signature.signed = "{secret}{body}"',
  },
  {
    name: "an HMAC instead of a plain hash",
    source: source("github", TEXT, { scheme: { ...hmacOf("github"), signed: "{body}{secret}" } }),
    delivery: () => signed("github", TEXT),
    causes: ["signature_written_otherwise"],
    says: "It is a keyed hash, HMAC-SHA256 over {body}, not SHA256 over {body}{secret}",
    remedy: 'signature.signed = "{body}"',
  },
  {
    name: "a time in the signature's header, which the config does not name",
    source: source("razorpay", TEXT),
    delivery: () => {
      const signature = { header: "x-razorpay-signature", separator: "." };
      const timestamp = { from: { amongParts: true }, unit: "s" } as const;
      const signedText = "{timestamp}.{body}";
      return signed("razorpay", TEXT, {
        scheme: { ...hmacOf("razorpay"), signature, timestamp, signed: signedText },
      });
    },
    causes: ["signature_written_otherwise"],
    says: "The header x-razorpay-signature also holds the time",
    remedy: 'separator = "." and signed = "{timestamp}.{body}"',
  },
  {
    name: "a body that was compressed after it was signed, as its headers say",
    source: source("github", TEXT),
    delivery: async () =>
      withHeaders(withBody(await signed("github", TEXT), gzipSync(BODY)), { "content-encoding": "gzip" }),
    causes: ["signature_written_otherwise"],
    says: "The signature covers the body without its compression",
    remedy: 'signature.over = "decompressed"',
  },
  {
    name: "a body that was compressed before it was signed",
    source: source("github", TEXT, { scheme: { ...hmacOf("github"), over: "decompressed" } }),
    delivery: () => signed("github", TEXT, { body: gzipSync(BODY), headers: { "content-encoding": "gzip" } }),
    causes: ["signature_written_otherwise"],
    says: "The signature covers the body as it was sent, compressed",
    remedy: 'signature.over = "raw"',
  },
  {
    name: "another hash algorithm",
    source: source("paystack", TEXT),
    delivery: () => signed("paystack", TEXT, { scheme: { ...hmacOf("paystack"), algorithm: "sha256" } }),
    causes: ["signature_written_otherwise"],
    says: "HMAC-SHA256, not HMAC-SHA512",
  },
  {
    name: "a missing time of Discord, without blaming the secret",
    source: source("discord", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
    delivery: async () =>
      withHeaders(await signed("github", OTHER), {
        "x-hub-signature-256": undefined,
        "x-signature-ed25519": "00".repeat(64),
      }),
    causes: ["as_refused"],
    says: /^The header x-signature-timestamp is missing\.$/,
    remedy: "a proxy must pass on all headers",
  },
  {
    name: "a missing time of Stripe, without blaming stripe listen",
    source: source("stripe", STRIPE),
    delivery: async () => withHeaders(await signed("github", OTHER), { "stripe-signature": "v1=00" }),
    causes: ["as_refused"],
    says: "t= part of the signature header is missing",
  },
  {
    name: "a PayPal certificate at another host",
    source: source("paypal", TEXT),
    delivery: async () =>
      withHeaders(await signed("github", OTHER), {
        "x-hub-signature-256": undefined,
        "paypal-transmission-id": "1",
        "paypal-transmission-time": "2026-01-31T12:00:00Z",
        "paypal-transmission-sig": "AAAA",
        "paypal-auth-algo": "SHA256withRSA",
        "paypal-cert-url": "https://api.paypal.com.evil.com/v1/notifications/certs/1",
      }),
    causes: ["as_refused"],
    says: /^The paypal-cert-url is not at one of the provider's own hosts\.$/,
  },
  {
    name: "a body that was cut off",
    source: source("github", TEXT),
    delivery: async () =>
      withHeaders(withBody(await signed("github", TEXT), BODY.slice(0, -9)), {
        "content-length": `${Buffer.byteLength(BODY)}`,
      }),
    causes: ["body_length"],
    says: "9 are missing",
  },
];

const pairs: Planted[] = [
  {
    name: "another source's secret and a lost line break",
    source: source("github", TEXT),
    context: { sources: [source("linear", OTHER)] },
    delivery: () => changed("github", OTHER, BODY, `${BODY}\n`),
    causes: ["secret_of_another_source", "body_changed"],
    says: "linear",
  },
  {
    name: "the wrong decoding and a pretty-printed body",
    source: source("github", HEX),
    delivery: async () =>
      withBody(await signed("github", HEX, { scheme: { ...hmacOf("github"), key: "hex" } }), PRETTY),
    causes: ["key_decoding", "body_changed"],
    says: "decoded from hex",
  },
  {
    name: "another source's delivery signed with none of its secrets, as two causes",
    source: source("stripe", STRIPE, { name: "st" }),
    context: {
      sources: [
        source("meta", HEX),
        source("github", TEXT, { name: "gh" }),
        source("stripe", STRIPE, { name: "st" }),
      ],
      otherSecrets: [{ name: "OLD_GH in .env", secret: OTHER }],
    },
    delivery: async () =>
      withHeaders(await signed("github", OTHER), { "x-github-event": "push", "x-github-delivery": "1" }),
    causes: ["other_source", "another_secret"],
    says: /^Two things are wrong at once\. The first: This is a delivery for the source gh \(GitHub\)\.\nThe second: It is signed with OLD_GH in \.env, which is not the secret of the source gh\.$/,
    remedy: "secret of the source gh",
  },
  {
    name: "Svix's headers without its name, as senders built on Svix can have them",
    source: source("svix", STRIPE),
    delivery: async () =>
      withHeaders(await signed("standard-webhooks", STRIPE, { headers: { "webhook-id": "msg_1" } }), {}),
    causes: ["other_provider"],
    says: "Standard Webhooks",
    remedy: 'provider = "standard-webhooks"',
  },
  {
    name: "a signature in capitals",
    source: source("github", TEXT),
    delivery: async () => {
      const delivery = await signed("github", TEXT);
      const given = delivery.headers["x-hub-signature-256"] ?? "";
      return withHeaders(delivery, { "x-hub-signature-256": `sha256=${given.slice(7).toUpperCase()}` });
    },
    causes: ["signature_written_otherwise"],
    says: "written in capitals",
    remedy: 'provider = "hmac"',
  },
  {
    name: "another source's delivery by its secret, although its headers differ",
    source: source("stripe", STRIPE),
    context: { sources: [source("standard-webhooks", OTHER, { name: "gl" })] },
    delivery: async () =>
      withHeaders(await signed("standard-webhooks", OTHER, { scheme: hmacOf("gitlab") }), {
        "x-gitlab-event": "Push Hook",
      }),
    causes: ["other_source"],
    says: "the source gl (Standard Webhooks): with that source its signature is right",
  },
  {
    name: "a lost line break and a time that is too old",
    source: source("stripe", STRIPE),
    delivery: async () =>
      withBody(await signed("stripe", STRIPE, { text: `${BODY}\n`, at: NOW - 500_000 }), BODY),
    causes: ["body_changed", "age"],
    says: "500 s",
  },
];

function hmacOf(name: string) {
  const { scheme } = preset(name);
  if (scheme.kind !== "hmac") throw new Error(`${name} is not an HMAC scheme`);
  return scheme;
}

function pythonic(json: string): string {
  return json.replaceAll('",', '", ').replaceAll('":', '": ');
}

describe("the doctor finds", () => {
  test.each(
    [...secrets, ...bodies, ...urls, ...ages, ...parameters, ...headers, ...pairs].map(
      (one) => [one.name, one] as const,
    ),
  )("%s", async (_, { source, delivery, context, causes, says, remedy }) => {
    const request = await delivery();
    const diagnosis = await examineIt(request, source, context);
    expect(diagnosis.verified).toBe(false);
    const told = diagnosis.findings.map(({ what }) => what).join("\n");
    expect({ causes: diagnosis.findings.map(({ cause }) => cause), told }).toEqual({ causes, told });
    expect(told).toMatch(
      typeof says === "string" ? new RegExp(says.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")) : says,
    );
    if (remedy !== undefined)
      expect(diagnosis.findings.map((one) => one.remedy).join("\n")).toContain(remedy);
    expectNothingSecret(diagnosis, request, [STRIPE, LISTEN, HEX, TEXT, OTHER, STRIPE.slice(6)]);
  });
});

/** Expects no secret, and no more than the beginning of a given or computed signature. */
function expectNothingSecret(diagnosis: unknown, { headers, body }: Delivery, secret: string[]): void {
  const text = JSON.stringify(diagnosis);
  for (const one of secret) expect(text).not.toContain(one);
  // Also no signature that hookonce itself would compute for the request.
  const computed = secret.flatMap((key) =>
    (["hex", "base64"] as const).map((encoding) =>
      new Bun.CryptoHasher("sha256", key).update(body).digest(encoding),
    ),
  );
  const given = Object.entries(headers)
    .filter(([name]) => /signature|token/.test(name))
    .flatMap(([, value]) => value.match(/[\w+/]{20,}/g) ?? []);
  for (const one of [...computed, ...given]) expect(text).not.toContain(one.slice(0, 10));
}

function unsigned(payload: unknown, url = "http://localhost:8787/webhook/it"): Delivery {
  return {
    method: "POST",
    url,
    headers: { "content-type": "application/json" },
    body: Buffer.from(JSON.stringify(payload)),
    receivedAt: NOW,
    remoteAddress: () => "127.0.0.1",
  };
}

describe("the doctor says", () => {
  test.each([
    ["stripe", STRIPE],
    ["github", TEXT],
    ["slack", TEXT],
    ["shopify", TEXT],
    ["standard-webhooks", STRIPE],
    ["gitlab-token", TEXT],
    ["mailgun", TEXT],
  ])("that a good delivery of %s verifies, without showing its signature", async (provider, secret) => {
    const delivery = await signed(provider, secret);
    const diagnosis = await examineIt(delivery, source(provider, secret));
    expect(diagnosis).toMatchObject({ verified: true, findings: [] });
    expect(diagnosis.refusal).toBeUndefined();
    expectNothingSecret(diagnosis, delivery, [secret]);
  });

  test("that one element without the secret refuses a batch, as serve does", async () => {
    const batch = source("static", TEXT, {
      scheme: { kind: "static", secretIn: "body:$[0].token" },
      batch: ["body:$[*]"],
    });
    const own = { id: "a", token: TEXT };
    expect((await examineIt(unsigned([own, { ...own, id: "b" }]), batch)).verified).toBe(true);
    const { verified, refusal } = await examineIt(unsigned([own, { id: "forged" }]), batch);
    expect({ verified, code: refusal?.code }).toEqual({ verified: false, code: "signature_missing" });
  });

  test("what is expected and what was found", async () => {
    const { expected, found } = await examineIt(await signed("stripe", OTHER), source("stripe", STRIPE));
    expect(expected).toEqual([
      { label: "header", text: "stripe-signature, each signature after v1=" },
      { label: "algorithm", text: "HMAC-SHA256, in hex" },
      { label: "signed", text: "{timestamp}.{body}" },
      { label: "key", text: "the secret's text as it is" },
      { label: "time", text: "the part t=, Unix seconds, at most 300 s away" },
      { label: "secret", text: "one is configured" },
    ]);
    const facts = Object.fromEntries(found.map(({ label, text }) => [label, text]));
    expect(facts["stripe-signature"]).toBe("present");
    expect(facts["time"]).toBe("2026-01-31T12:00:00.000Z");
    expect(facts["signature"]).toMatch(/^[0-9a-f]{6}… \(64 characters\)$/);
    expect(facts["computed"]).toMatch(/^[0-9a-f]{6}… \(64 characters\)$/);
    expect(facts["signature"]).not.toBe(facts["computed"]);
  });

  describeUnless(onlyInFullRun(), "within a bounded time", () => {
    test.each([
      ["large", () => JSON.stringify({ id: 1, text: "ä/".repeat(100_000) })],
      ["deep", () => "[".repeat(30_000) + "]".repeat(30_000)],
      ["as deep as allowed, and wide", () => `${"[".repeat(890)}${"1,".repeat(30_000)}1${"]".repeat(890)}`],
      ["wide", () => `[${"1,".repeat(200_000)}1]`],
      ["25 MB long", () => `[${"1,".repeat(12_500_000)}1]`],
      ["only line breaks", () => "\r\n".repeat(12_000_000)],
    ])(
      "that it found no cause, with a body that is %s",
      async (_, text) => {
        const delivery = await signed("github", OTHER, { text: text() });
        const context = { otherSecrets: [{ name: "OLD", secret: STRIPE }] };
        const { findings } = await examineIt(delivery, source("github", TEXT), context);
        expect(findings.map(({ cause }) => cause)).toEqual(["unknown"]);
      },
      30_000, // the bound
    );
  });

  test("before any other cause, that the body is larger than serve accepts", async () => {
    const delivery = await signed("stripe", OTHER, { text: " ".repeat(1024 * 1024 + 1) });
    const { refusal, findings } = await examineIt(delivery, source("stripe", STRIPE));
    expect(refusal?.code).toBe("body_too_large");
    expect(findings.map(({ remedy }) => remedy)).toEqual([expect.stringContaining("max_body")]);
    const { refusal: other } = await examineIt(delivery, source("stripe", STRIPE, { maxBody: 2 ** 21 }));
    expect(other?.code).toBe("signature_mismatch");
  });
});
