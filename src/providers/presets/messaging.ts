import type { Provider } from "../provider.ts";
import { BODY_SHA256, DAYS, FIVE_MINUTES, HOURS, MIB, MINUTES, SECONDS } from "./common.ts";

const META_STATUS = [
  "body:$.changes[0].value.statuses[0].id",
  "body:$.changes[0].value.statuses[0].status",
] as const;

/** Chat and calls. */
export const messaging: readonly Provider[] = [
  {
    name: "slack",
    title: "Slack",
    docs: "https://docs.slack.dev/authentication/verifying-requests-from-slack",
    checkedAgainst: "npm @slack/bolt 5.1.0",
    scheme: {
      ...BODY_SHA256,
      signature: { header: "x-slack-signature", prefix: "v0=" },
      signed: "v0:{timestamp}:{body}",
      timestamp: { from: { header: "x-slack-request-timestamp" }, unit: "s", tolerance: FIVE_MINUTES },
    },
    secretIs: "the signing secret",
    formField: "payload",
    // Events have an id. Commands and clicks have a trigger_id, which can be used once.
    eventId: ["body:$.event_id", "body:$.trigger_id", "sha256:body"],
    eventIdSigned: true,
    type: ["body:$.event.type", "body:$.type", "body:$.command"],
    handshakes: [
      {
        name: "URL verification",
        on: "signed",
        when: [{ at: "body:$.type", is: "url_verification" }],
        answer: { echo: "body:$.challenge" },
      },
      // A check of the certificate. Whether it is signed is not documented.
      { name: "SSL check", on: "GET", when: [{ at: "query:ssl_check", is: "1" }], answer: { status: 200 } },
      {
        name: "SSL check",
        on: "signed",
        when: [{ at: "body:$.ssl_check", is: "1" }],
        answer: { status: 200 },
      },
      {
        name: "SSL check",
        on: "unsigned",
        when: [
          { at: "header:x-slack-signature", absent: true },
          { at: "body:$.ssl_check", is: "1" },
        ],
        onlyKeys: ["ssl_check", "token"],
        answer: { status: 200 },
      },
    ],
    usesAnswer: "Slack shows the answer to a command or a click to the user",
    timeoutMs: 3 * SECONDS,
    retryWindowMs: 1 * HOURS,
    signsRetries: true,
    retries: "three times: at once, after 1 min and after 5 min",
    unverified: "the schedule of retries; trigger_id of interactive payloads",
  },
  {
    name: "zoom",
    title: "Zoom",
    docs: "https://developers.zoom.us/docs/api/webhooks/",
    checkedAgainst: "npm @zoom/rivet 0.4.0",
    scheme: {
      ...BODY_SHA256,
      signature: { header: "x-zm-signature", prefix: "v0=" },
      signed: "v0:{timestamp}:{body}",
      timestamp: { from: { header: "x-zm-request-timestamp" }, unit: "s", tolerance: 2 * 3600 },
    },
    secretIs: "the app's secret token",
    eventId: "sha256:body",
    eventIdSigned: true,
    type: "body:$.event",
    handshakes: [
      {
        name: "endpoint validation",
        on: "signed",
        when: [{ at: "body:$.event", is: "endpoint.url_validation" }],
        answer: { hashed: "body:$.payload.plainToken", as: ["plainToken", "encryptedToken"] },
      },
    ],
    timeoutMs: 3 * SECONDS,
    retryWindowMs: 2 * HOURS,
    retries: "three times, after 5, 20 and 60 min",
    unverified:
      "how old a signature may be; whether a retry is signed again; retries; that the body of a retry is the same byte for byte",
  },
  {
    name: "discord",
    title: "Discord",
    docs: "https://discord.com/developers/docs/interactions/overview#setting-up-an-endpoint",
    checkedAgainst: "npm discord-interactions 4.4.0",
    scheme: {
      kind: "public-key",
      algorithm: "ed25519",
      encoding: "hex",
      key: "raw-hex",
      signature: { header: "x-signature-ed25519" },
      signed: "{timestamp}{body}",
      timestamp: { from: { header: "x-signature-timestamp" }, unit: "s" },
    },
    secretIs: "the application's public key",
    eventId: ["body:$.id", "sha256:body"], // interactions have an id, webhook events have none
    eventIdSigned: true,
    type: ["body:$.event.type", "body:$.type"],
    handshakes: [
      {
        name: "ping (webhook events)",
        on: "signed",
        when: [{ at: "body:$.type", is: 0 }],
        answer: { status: 204, contentType: "application/json" },
      },
      {
        name: "ping (interactions)",
        on: "signed",
        when: [
          { at: "body:$.type", is: 1 },
          { at: "body:$.event", absent: true },
        ],
        answer: { status: 200, json: { type: 1 } },
      },
    ],
    answer: { status: 204, contentType: "application/json" },
    usesAnswer: "Discord shows the answer to an interaction to the user",
    timeoutMs: 3 * SECONDS,
    retryWindowMs: 10 * MINUTES,
    retries: "webhook events for up to 10 min; interactions never",
    unverified: "how old a signature may be: Discord does not say, so any age is accepted",
  },
  {
    name: "telegram",
    title: "Telegram Bot API",
    docs: "https://core.telegram.org/bots/api#setwebhook",
    checkedAgainst: "its documentation, November 2026",
    scheme: { kind: "static", secretIn: "header:x-telegram-bot-api-secret-token" },
    secretIs: "the secret_token given to setWebhook",
    eventId: "body:$.update_id",
    eventIdSigned: false,
    type: { key_beside: ["update_id"] },
    timeoutMs: 10 * SECONDS,
    retryWindowMs: 1 * DAYS,
    retries: 'according to Telegram "a reasonable amount of attempts"',
    unverified: "how long it waits for an answer",
  },
  {
    name: "meta",
    title: "Meta (WhatsApp, Facebook, Instagram)",
    aliases: ["whatsapp", "facebook", "instagram", "messenger"],
    docs: "https://developers.facebook.com/docs/graph-api/webhooks/getting-started",
    checkedAgainst: "its documentation, November 2026",
    scheme: { ...BODY_SHA256, signature: { header: "x-hub-signature-256", prefix: "sha256=" } },
    secretIs: "the app secret",
    // An entry without any of these lists is the event itself: some only name the fields that changed.
    batch: [
      "body:$.entry[*].changes[*].value.messages[*]",
      "body:$.entry[*].changes[*].value.statuses[*]",
      "body:$.entry[*].messaging[*]",
      "body:$.entry[*].standby[*]",
    ],
    eventId: [
      "body:$.changes[0].value.messages[0].id",
      // In a group, each participant has a status. A payment may be tried several times.
      {
        join: [...META_STATUS, "body:$.changes[0].value.statuses[0].recipient_participant_id"],
        with: ":",
      },
      { join: [...META_STATUS, "body:$.changes[0].value.statuses[0].payment.transaction.id"], with: ":" },
      { join: META_STATUS, with: ":" },
      // A deleted message arrives again with the same id.
      { join: ["body:$.messaging[0].message.mid", "key:$.messaging[0].message.is_deleted"], with: ":" },
      "body:$.messaging[0].message.mid",
      "body:$.standby[0].message.mid",
      // The hash covers the id and time of the entry, so the same change in another entry, or later, is
      // another event.
      "sha256:body",
    ],
    earlierEventIds: [
      [
        "body:$.changes[0].value.messages[0].id",
        { join: META_STATUS, with: ":" },
        { join: ["body:$.messaging[0].message.mid", "key:$.messaging[0].message.is_deleted"], with: ":" },
        "body:$.messaging[0].message.mid",
        "body:$.standby[0].message.mid",
        "sha256:body",
      ],
    ],
    eventIdSigned: true,
    type: [
      "body:$.changes[0].field",
      { key_beside: ["sender", "recipient", "timestamp"], of: "body:$.messaging[0]" },
      { key_beside: ["sender", "recipient", "timestamp"], of: "body:$.standby[0]" },
      { key_beside: ["id", "uid", "time"] },
    ],
    handshakes: [
      {
        name: "verification request",
        on: "GET",
        when: [
          { at: "query:hub.mode", is: "subscribe" },
          { at: "query:hub.verify_token", isVerifyToken: true },
        ],
        answer: { echo: "query:hub.challenge" },
      },
    ],
    maxBody: 3 * MIB,
    timeoutMs: 5 * SECONDS,
    retryWindowMs: 7 * DAYS,
    retries: "at growing intervals: WhatsApp for 7 days, Facebook and Instagram for 36 h",
    unverified: "the largest body; that the time of an entry is the same in a retry",
  },
  {
    name: "twilio",
    title: "Twilio",
    docs: "https://www.twilio.com/docs/usage/webhooks/webhooks-security",
    checkedAgainst: "npm twilio 6.2.0",
    scheme: { kind: "twilio" },
    secretIs: "the account's auth token",
    eventId: [
      { join: ["body:$.MessageSid", "body:$.MessageStatus"], with: ":" },
      { join: ["body:$.MessageSid", "body:$.SmsStatus"], with: ":" },
      { join: ["body:$.CallSid", "body:$.SequenceNumber", "body:$.CallStatus"], with: ":" },
      // A caller may press the same key twice, so an equal body does not mean the same event.
      "header:i-twilio-idempotency-token",
      "sha256:body",
    ],
    eventIdSigned: true,
    type: ["body:$.MessageStatus", "body:$.SmsStatus", "body:$.CallStatus"],
    deliversByGet: true,
    answer: { status: 200, contentType: "text/xml", body: "<Response/>" },
    usesAnswer: "Twilio does with a call or a message what the answer says",
    timeoutMs: 15 * SECONDS,
    retryWindowMs: 1 * HOURS,
    retries: "once, if it cannot connect, unless the URL says otherwise (#rc=…)",
    caution:
      "if there is no Sid, the id is a header, which is not signed; the boundaries between the fields of a form, and between the query and the form, are not signed either",
    unverified: "the header I-Twilio-Idempotency-Token; timeout and retries",
  },
  {
    name: "intercom",
    title: "Intercom",
    docs: "https://developers.intercom.com/docs/webhooks/setting-up-webhooks",
    checkedAgainst: "its documentation, November 2026",
    scheme: { ...BODY_SHA256, algorithm: "sha1", signature: { header: "x-hub-signature", prefix: "sha1=" } },
    secretIs: "the app's client secret",
    eventId: "body:$.id",
    eventIdSigned: true,
    type: "body:$.topic",
    handshakes: [
      { name: "URL check", on: "HEAD", when: [], answer: { status: 200 } },
      // Its id is null.
      { name: "ping", on: "signed", when: [{ at: "body:$.topic", is: "ping" }], answer: { status: 200 } },
    ],
    timeoutMs: 5 * SECONDS,
    retryWindowMs: 2 * HOURS,
    retries: "once, after 1 min",
    unverified: "timeout and retries",
  },
  {
    name: "twitch",
    title: "Twitch EventSub",
    docs: "https://dev.twitch.tv/docs/eventsub/handling-webhook-events/",
    checkedAgainst: "its documentation, November 2026",
    scheme: {
      ...BODY_SHA256,
      signature: { header: "twitch-eventsub-message-signature", prefix: "sha256=" },
      signed: "{id}{timestamp}{body}",
      timestamp: {
        from: { header: "twitch-eventsub-message-timestamp" },
        unit: "iso",
        tolerance: 3600, // a retry may have the first time
      },
      idHeader: "twitch-eventsub-message-id",
    },
    eventId: "header:twitch-eventsub-message-id",
    eventIdSigned: true,
    // A revocation has the type of the subscription that it ends.
    type: { join: ["header:twitch-eventsub-message-type", "body:$.subscription.type"], with: "." },
    handshakes: [
      {
        name: "callback verification",
        on: "signed",
        when: [{ at: "body:$.challenge" }],
        onlyKeys: ["challenge", "subscription"],
        answer: { echo: "body:$.challenge" },
      },
    ],
    timeoutMs: 3 * SECONDS,
    retryWindowMs: 1 * HOURS,
    retries: "a few times; after too many failures the subscription is revoked",
    caution: "the signature does not cover the header that tells a revocation from a notification",
    unverified: "timeout and retries, for which Twitch gives no numbers; whether a retry has a new time",
  },
];
