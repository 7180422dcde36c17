import type { Provider } from "../provider.ts";
import { DAYS, HOURS, MIB, SECONDS, SVIX } from "./common.ts";

/** Mail. */
export const mail: readonly Provider[] = [
  {
    name: "sendgrid",
    title: "SendGrid Event Webhook",
    docs: "https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features",
    checkedAgainst: "npm @sendgrid/eventwebhook 8.0.0",
    scheme: {
      kind: "public-key",
      algorithm: "ecdsa-sha256",
      encoding: "base64",
      key: "spki",
      signature: { header: "x-twilio-email-event-webhook-signature" },
      signed: "{timestamp}{body}",
      timestamp: { from: { header: "x-twilio-email-event-webhook-timestamp" }, unit: "s" },
    },
    secretIs: "the verification key",
    batch: ["body:$[*]"],
    // An element without an id must not refuse the others.
    eventId: ["body:$.sg_event_id", "sha256:body"],
    earlierEventIds: ["body:$.sg_event_id"],
    eventIdSigned: true,
    type: "body:$.event",
    timeoutMs: 10 * SECONDS,
    retryWindowMs: 1 * DAYS,
    retries: "for 24 h",
    unverified:
      "that sg_event_id is the same in a retry, and that each event has one; timeout and retries; how old a signature may be: SendGrid does not say, so any age is accepted",
  },
  {
    name: "mailgun",
    title: "Mailgun",
    docs: "https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks",
    checkedAgainst: "its documentation, November 2026",
    // Mailgun does not say whether it signs a retry again, so a signature is accepted for as long as Mailgun
    // retries.
    scheme: { kind: "mailgun", tolerance: 9 * 3600 },
    secretIs: "the HTTP webhook signing key",
    // Routes send mail as a form without an id. Its Message-Id comes from the sender of the mail.
    eventId: [
      "body:$['event-data'].id",
      { hash_without: ["body:$.timestamp", "body:$.token", "body:$.signature"] },
    ],
    earlierEventIds: ["body:$['event-data'].id"],
    eventIdSigned: false,
    type: "body:$['event-data'].event",
    untyped:
      "a route forwards inbound mail as a form, which has no type: the handler is _any, and an attachment is in the field attachment-1, its bytes in event.files; without attachments it may have 1 MiB, unless max_body says more",
    maxBody: 30 * MIB, // a mail has at most 25 MB; JSON, which is parsed to be verified, 1 MiB
    timeoutMs: 10 * SECONDS,
    retryWindowMs: 8 * HOURS,
    retries: "after 5 or 10 min, then at growing intervals of up to 4 h; 406 stops them",
    caution: "only a time and a token are signed, not the body",
    unverified:
      "timeout and retries; whether a retry of a mail is signed again, so its signature is not in its id",
  },
  {
    name: "postmark",
    title: "Postmark",
    docs: "https://postmarkapp.com/developer/webhooks/webhooks-overview",
    checkedAgainst: "its documentation, November 2026",
    scheme: { kind: "static", secretIn: "basic" },
    secretIs: "user:password, as in the webhook's URL",
    eventId: [{ join: ["body:$.RecordType", "body:$.ID"], with: ":" }, "sha256:body"],
    eventIdSigned: false,
    type: "body:$.RecordType",
    untyped: "inbound mail has no RecordType: the handler is _any; $.Attachments has the files in Base64",
    maxBody: 35 * MIB, // inbound mail with its attachments
    timeoutMs: 10 * SECONDS,
    retryWindowMs: 1 * DAYS,
    retries: "bounces and inbound mail ten times over 10.5 h, other events less often; 403 stops them",
    unverified: "timeout and retries; that the body of a retry is the same byte for byte",
  },
  {
    name: "resend",
    title: "Resend",
    docs: "https://resend.com/docs/dashboard/webhooks/verify-webhooks-requests",
    checkedAgainst: "npm resend 6.38.0",
    scheme: SVIX,
    eventId: "header:svix-id",
    eventIdSigned: true,
    type: "body:$.type",
    timeoutMs: 15 * SECONDS,
    retryWindowMs: 3 * DAYS,
    signsRetries: true,
  },
];
