import type { Provider } from "../provider.ts";
import { BODY_SHA256, DAYS, HOURS, MIB, SECONDS, STANDARD_WEBHOOKS } from "./common.ts";

/** The provider signs nothing and has no field for a secret, so the URL that it is given holds one. */
const SECRET_IN_URL = {
  scheme: { kind: "static", secretIn: "query:token" },
  needs: { secret_in: 'secret_in = "query:token"' },
  secretIs: "a secret that you choose; to make one: openssl rand -hex 24",
  eventIdSigned: false,
} as const;

/**
 * One event for each state of each alert: fired, or resolved. A reminder has the same bytes as a retry, and a
 * group that has grown repeats its alerts.
 */
const EACH_ALERT = {
  batch: ["body:$.alerts[*]"],
  eventId: [{ join: ["body:$.fingerprint", "body:$.startsAt", "body:$.status"], with: "/" }, "sha256:body"],
  type: "body:$.status",
} as const;

const ABOUT_ALERTS =
  "each alert is one event when it fires and one when it is resolved, so a reminder (repeat interval) is a duplicate; the group's labels are not in the events";

/** Applications that people host or use themselves, and monitoring. */
export const applications: readonly Provider[] = [
  {
    ...SECRET_IN_URL,
    name: "strava",
    title: "Strava",
    docs: "https://developers.strava.com/docs/webhooks/",
    checkedAgainst: "its documentation, November 2026",
    // Two updates of one second differ in what was updated.
    eventId: "sha256:body",
    type: { join: ["body:$.object_type", "body:$.aspect_type"], with: "." },
    handshakes: [
      {
        name: "validation of the subscription",
        on: "GET",
        when: [
          { at: "query:hub.mode", is: "subscribe" },
          { at: "query:hub.verify_token", isVerifyToken: true },
        ],
        answer: { echo: "query:hub.challenge", as: "json:hub.challenge" },
      },
    ],
    timeoutMs: 2 * SECONDS,
    retryWindowMs: 1 * HOURS,
    retries: "three attempts in all",
    unverified:
      "when it retries; that the body of a retry is the same byte for byte; that it keeps the query of the URL",
  },
  {
    ...SECRET_IN_URL,
    name: "docker-hub",
    title: "Docker Hub",
    aliases: ["docker", "dockerhub"],
    docs: "https://docs.docker.com/docker-hub/repos/manage/webhooks/",
    checkedAgainst: "its documentation, November 2026",
    eventId: [
      {
        join: ["body:$.repository.repo_name", "body:$.push_data.tag", "body:$.push_data.pushed_at"],
        with: ":",
      },
      "sha256:body",
    ],
    type: "key:$.push_data", // a push is the only event
    timeoutMs: 10 * SECONDS,
    retryWindowMs: 1 * HOURS,
    caution: "two pushes of one tag in the same second are one event",
    unverified: "timeout and retries, which Docker does not document; that it keeps the query of the URL",
  },
  {
    ...SECRET_IN_URL,
    name: "gumroad",
    title: "Gumroad",
    docs: "https://gumroad.com/ping",
    checkedAgainst: "Gumroad's source, November 2026",
    // A refund has the id of its sale, so there is no id of the event.
    eventId: { hash_without: ["body:$.retry_count"] },
    type: "body:$.resource_name",
    timeoutMs: 5 * SECONDS,
    retryWindowMs: 1 * HOURS,
    retries: "after 1, 3 and 10 min, if the answer is 499, 500, 502, 503 or 504",
    caution:
      "Gumroad does not retry after a timeout or if it cannot connect, so compare your sales with its API now and then",
    unverified: "that two refunds of one sale never have the same body",
  },
  {
    ...SECRET_IN_URL,
    name: "uptime-kuma",
    title: "Uptime Kuma",
    docs: "https://github.com/louislam/uptime-kuma/wiki/Notification-Methods",
    checkedAgainst: "Uptime Kuma's source, November 2026",
    formField: "data", // with the content type multipart/form-data
    // Tests and warnings of certificates have no heartbeat.
    eventId: [
      { join: ["body:$.heartbeat.monitorID", "body:$.heartbeat.time", "body:$.heartbeat.status"], with: "/" },
      "new:delivery",
    ],
    // heartbeat.0 is down and heartbeat.1 is up.
    type: [{ join: ["key:$.heartbeat", "body:$.heartbeat.status"], with: "." }, "key:$.msg"],
    timeoutMs: 10 * SECONDS,
    retryWindowMs: 1 * HOURS,
    retryForMs: 3 * DAYS,
    retries: "never, as far as its code shows",
    caution: "the content type must be application/json or form-data, not a custom body, and the method POST",
    unverified: "how long it waits for an answer",
  },
  {
    ...SECRET_IN_URL,
    ...EACH_ALERT,
    name: "alertmanager",
    title: "Prometheus Alertmanager",
    aliases: ["prometheus"],
    docs: "https://prometheus.io/docs/alerting/latest/configuration/#webhook_config",
    checkedAgainst: "Alertmanager's source, November 2026",
    timeoutMs: 60 * SECONDS,
    retryWindowMs: 1 * HOURS,
    retries: "at growing intervals until group_interval is over, if it cannot connect or the answer is 5xx",
    caution: ABOUT_ALERTS,
    unverified: "that an alert which fires again has another startsAt",
  },
  {
    ...EACH_ALERT,
    name: "grafana",
    title: "Grafana Alerting",
    docs: "https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/",
    checkedAgainst: "Grafana's source, November 2026",
    scheme: { ...BODY_SHA256, signature: { header: "x-grafana-alerting-signature" } },
    secretIs: "the secret of the contact point's HMAC signature (Grafana 12 and later)",
    eventIdSigned: true,
    timeoutMs: 30 * SECONDS,
    retryWindowMs: 1 * HOURS,
    caution: `${ABOUT_ALERTS}; a timestamp header needs signature = { signed = "{timestamp}:{body}", timestamp = "header:its-name" }`,
    retries: "when its group runs next (group interval)",
    unverified: "how long it waits for an answer; that an alert which fires again has another startsAt",
  },
  {
    name: "supabase",
    title: "Supabase (auth hooks)",
    docs: "https://supabase.com/docs/guides/auth/auth-hooks",
    checkedAgainst: "npm standardwebhooks 1.1.1",
    // Supabase joins the signatures of several secrets with a comma and a space.
    scheme: {
      ...STANDARD_WEBHOOKS,
      signature: { header: "webhook-signature", separator: ", ", prefix: "v1,", several: true },
    },
    secretIs: "the hook's secret, v1,whsec_…",
    // webhook-id is a new one for each attempt. Older versions of Supabase send no uuid, and for them each wrong
    // password of a user has the same body. A retry follows only if nothing was recorded.
    eventId: ["body:$.metadata.uuid", "new:delivery"],
    eventIdSigned: true,
    type: "body:$.metadata.name",
    answer: { status: 200, contentType: "application/json", body: "{}" },
    usesAnswer: "Supabase does with a sign-in what the answer says",
    timeoutMs: 5 * SECONDS,
    retryWindowMs: 1 * HOURS,
    signsRetries: true,
    retries: "up to twice, all within 5 s, if it cannot connect or the answer is 503 with Retry-After",
    caution:
      "a user waits for the answer, and a failed handler makes the sign-in fail; a handler of customize-access-token must reply with the claims",
    unverified: "from which version on the body has metadata; without it each delivery is its own event",
  },
  {
    name: "supabase-database",
    title: "Supabase (database webhooks)",
    docs: "https://supabase.com/docs/guides/database/webhooks",
    checkedAgainst: "its documentation, November 2026",
    scheme: { kind: "static", secretIn: "header:x-webhook-secret" },
    needs: { secret_in: 'secret_in = "header:x-webhook-secret"' },
    secretIs:
      "the value of a header that you add to the webhook (secret_in has its name); to make one: openssl rand -hex 24",
    // Two changes of a row can have the same body, and there are no retries.
    eventId: "new:delivery",
    eventIdSigned: false,
    type: { join: ["body:$.schema", "body:$.table", "body:$.type"], with: "." },
    timeoutMs: 1 * SECONDS,
    retryWindowMs: 1 * HOURS,
    retryForMs: 3 * DAYS,
    retries: "never: pg_net sends each request once",
    caution: "pg_net waits only as long as the webhook's timeout says, and a delivery that fails is lost",
    unverified: "that pg_net never sends a request again",
  },
  {
    name: "trello",
    title: "Trello",
    docs: "https://developer.atlassian.com/cloud/trello/guides/rest-api/webhooks/",
    checkedAgainst: "its documentation, November 2026",
    scheme: {
      ...BODY_SHA256,
      algorithm: "sha1",
      encoding: "base64",
      signature: { header: "x-trello-webhook" },
      signed: "{body}{url}",
    },
    secretIs: "the application's secret",
    // If a board and its cards have webhooks, each of them reports the same action.
    eventId: "body:$.action.id",
    eventIdSigned: true,
    type: "body:$.action.type",
    handshakes: [
      { name: "check of the URL", on: "HEAD", when: [], answer: { status: 200, contentType: "text/plain" } },
    ],
    timeoutMs: 10 * SECONDS,
    retryWindowMs: 1 * HOURS,
    retries: "after 30, 60 and 120 s; 410 deletes the webhook",
    unverified: "timeout and retries; the signature of a body that is not ASCII",
  },
  {
    ...SECRET_IN_URL,
    name: "plex",
    title: "Plex",
    docs: "https://support.plex.tv/articles/115002267687-webhooks/",
    checkedAgainst: "its documentation, November 2026",
    formField: "payload",
    // Playing an item twice may send the same text twice, and no retries are documented.
    eventId: "new:delivery",
    type: "body:$.event",
    maxBody: 5 * MIB,
    timeoutMs: 10 * SECONDS,
    retryWindowMs: 1 * HOURS,
    retries: "none that is documented",
    unverified: "timeout and retries; the largest thumbnail; that it keeps the query of the URL",
  },
];
