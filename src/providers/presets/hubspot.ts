import type { Selector } from "../body/selector.ts";
import type { Provider } from "../provider.ts";
import { BODY_SHA256, DAYS, FIVE_MINUTES, SECONDS } from "./common.ts";

/** HubSpot does not promise that eventId alone is unique. An association has two objects instead of one. */
const HUBSPOT_EVENT: readonly Selector[] = [
  {
    join: ["body:$.eventId", "body:$.subscriptionId", "body:$.objectId", "body:$.occurredAt"],
    with: ":",
  },
  {
    join: [
      "body:$.eventId",
      "body:$.subscriptionId",
      "body:$.fromObjectId",
      "body:$.toObjectId",
      "key:$.associationRemoved",
      "body:$.occurredAt",
    ],
    with: ":",
  },
  {
    join: [
      "body:$.eventId",
      "body:$.subscriptionId",
      "body:$.fromObjectId",
      "body:$.toObjectId",
      "body:$.occurredAt",
    ],
    with: ":",
  },
];

const HUBSPOT: Provider = {
  name: "hubspot",
  title: "HubSpot",
  docs: "https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation",
  checkedAgainst: "npm @hubspot/api-client 14.0.1",
  scheme: {
    ...BODY_SHA256,
    encoding: "base64",
    signature: { header: "x-hubspot-signature-v3" },
    signed: "{method}{decoded_url}{body}{timestamp}",
    timestamp: { from: { header: "x-hubspot-request-timestamp" }, unit: "ms", tolerance: FIVE_MINUTES },
  },
  secretIs: "the app's client secret",
  batch: ["body:$[*]"],
  eventId: [
    ...HUBSPOT_EVENT,
    { join: ["body:$.eventId", "body:$.subscriptionId", "body:$.occurredAt"], with: ":" },
    { hash_without: ["body:$.attemptNumber"] },
  ],
  eventIdSigned: true,
  type: "body:$.subscriptionType",
  timeoutMs: 5 * SECONDS,
  retryWindowMs: 1 * DAYS,
  signsRetries: true,
  retries: "up to ten times over 24 h",
  unverified: "timeout and retries; that eventId is not unique",
};

/** HubSpot's three signatures. */
export const hubspot: readonly Provider[] = [
  { ...HUBSPOT, earlierEventIds: [HUBSPOT_EVENT] },
  {
    ...HUBSPOT,
    name: "hubspot-v1",
    title: "HubSpot (signature v1)",
    checkedAgainst: "the tests of npm @hubspot/api-client 13.5.0, November 2026",
    // Without a time: what a receiver that has only X-HubSpot-Signature can check.
    scheme: {
      ...BODY_SHA256,
      signature: { header: "x-hubspot-signature" },
      signed: "{secret}{body}",
    },
    caution:
      "the signature has no time and is a plain hash: anyone who has seen a delivery can send it again, or with bytes added at its end",
  },
  {
    name: "hubspot-workflow",
    title: "HubSpot workflows (signature v2)",
    docs: HUBSPOT.docs,
    checkedAgainst: "the tests of npm @hubspot/api-client 13.5.0, November 2026",
    scheme: {
      ...BODY_SHA256,
      signature: { header: "x-hubspot-signature" },
      signed: "{secret}{method}{url}{body}",
    },
    secretIs: "the app's client secret",
    // The body is a record, which has no id for the event.
    eventId: "sha256:body",
    eventIdSigned: true,
    type: [],
    caution:
      "two enrollments of a record that has not changed are one event, because nothing in the request distinguishes them; the signature has no time and is a plain hash: anyone who has seen a delivery can send it again, or with bytes added at its end",
    timeoutMs: 5 * SECONDS,
    retryWindowMs: 3 * DAYS,
    retries: "for up to 3 days, at growing intervals",
    unverified: "timeout and retries; that the body of a retry is the same byte for byte",
  },
];
