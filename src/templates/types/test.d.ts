/**
 * The exports of "hookonce/test" for tests of handlers.
 *
 * Written by hand for editors. `hookonce init` copies it to `.hookonce/types/`. The code that runs is in
 * testing/test.ts, and test/testing/types.test.ts checks that the two agree.
 */

/* eslint-disable typescript/no-explicit-any -- the provider decides what a payload is; a test reads values of it */

import type { Database } from "bun:sqlite";

export interface TestInboxOptions {
  /** The inbox folder. Default: the nearest one at or above the test file, else the working directory. */
  readonly folder?: string;
  /** Runs on the empty database before the migrations, to make the tables that your application owns. */
  readonly prepare?: (db: Database) => void;
}

export interface DeliverOptions {
  /** How many deliveries of the event. Each is signed again, as a provider's retry is. Default: 1. */
  readonly times?: number;
  /** Sends them all at the same time, instead of one after the other. */
  readonly concurrently?: boolean;
  /** Changes a value of the body after it was signed. The delivery is refused with 401. */
  readonly tamper?: boolean;
  /** How long ago it was signed, as in "10m"; true for longer than the source accepts. */
  readonly late?: boolean | string;
  /** Added before it is signed. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The event's type. Needed for your own payload if the provider sends the type in a header. */
  readonly type?: string;
}

/** What became of a delivery; `accepted` for one that carries no event. */
export type Outcome =
  | "processed"
  | "duplicate"
  | "failed"
  | "unhandled"
  | "ignored"
  | "stale"
  | "held"
  | "imported"
  | "discarded"
  | "refused"
  | "accepted";

/** What became of one event of a delivery. */
export interface AnsweredEvent {
  readonly id?: string;
  readonly type?: string;
  readonly outcome: Outcome;
  /** The path of the handler that ran. */
  readonly handler?: string;
  readonly rowsChanged?: number;
  /** Why it failed or was refused. */
  readonly code?: string;
  readonly error?: string;
  /** Where in your files it failed. */
  readonly at?: string;
}

/** The answer to one delivery. `outcome`, `code` and `error` are those of its first event. */
export interface Answer {
  /** Of HTTP. A provider takes 2xx as received, and retries anything else. */
  readonly status: number;
  readonly outcome: Outcome;
  readonly code?: string;
  readonly error?: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The JSON value, else the text. */
  readonly body: any;
  readonly events: readonly AnsweredEvent[];
}

export interface TestInbox extends AsyncDisposable {
  /** The temporary database. */
  readonly db: Database;
  /** In Unix milliseconds. Set it to a Date, Unix milliseconds or ISO 8601. From then on it does not move. */
  get clock(): number;
  set clock(time: number | string | Date);
  /**
   * Signs deliveries of an event as the source's provider does, and sends them the way that `hookonce serve`
   * receives them. A payload that is delivered again is the same event.
   *
   * @param payload of a fixture or your own, as its handler gets it; or a whole body, as text or bytes
   * @returns the answer to each delivery
   */
  deliver(source: string, payload: unknown, options?: DeliverOptions): Promise<Answer[]>;
}

/**
 * Opens an inbox with the config, the migrations and the handlers of your inbox folder, on a new database in a
 * temporary folder. Its secrets are made up, and it uses no network.
 *
 * ```ts
 * await using box = await testInbox();
 * ```
 */
export declare function testInbox(options?: TestInboxOptions): Promise<TestInbox>;

/** Makes the payload of a new event. `overrides` are merged into it; undefined removes a key. */
export type MakePayload = (overrides?: Readonly<Record<string, unknown>>) => any;

/** Any other type gets the provider's envelope. */
type Payloads<Type extends string = never> = Readonly<Record<Type, MakePayload>> & {
  readonly [type: string]: MakePayload;
};

/** Made-up payloads of every provider, by event type. */
export interface Fixtures {
  readonly adyen: Payloads<"AUTHORISATION" | "REFUND">;
  readonly "adyen-platform": Payloads<"balancePlatform.transfer.created">;
  readonly alertmanager: Payloads<"firing" | "resolved">;
  readonly anthropic: Payloads<"session.status_idled">;
  readonly "aws-sns": Payloads<"Notification">;
  readonly bigcommerce: Payloads<"store/order/statusUpdated" | "store/order/created">;
  readonly bitbucket: Payloads<"repo:push" | "pullrequest:fulfilled">;
  readonly braintree: Payloads<
    "subscription_charged_successfully" | "subscription_canceled" | "dispute_opened"
  >;
  readonly btcpay: Payloads<"InvoiceSettled" | "InvoiceExpired">;
  readonly "buy-me-a-coffee": Payloads<"donation.created" | "membership.started">;
  readonly cal: Payloads<"BOOKING_CREATED" | "BOOKING_CANCELLED" | "BOOKING_RESCHEDULED">;
  readonly calendly: Payloads<"invitee.created" | "invitee.canceled">;
  readonly clerk: Payloads<"user.created" | "user.deleted">;
  readonly "cloudflare-notifications": Payloads<"health_check_status_notification">;
  readonly "cloudflare-stream": Payloads<"ready" | "error">;
  readonly "coinbase-commerce": Payloads<"charge:confirmed" | "charge:failed">;
  readonly contentful: Payloads<"ContentManagement.Entry.publish" | "ContentManagement.Entry.unpublish">;
  readonly discord: Payloads<"APPLICATION_AUTHORIZED" | "ENTITLEMENT_CREATE">;
  readonly discourse: Payloads<"post_created" | "topic_created" | "user_created">;
  readonly "docker-hub": Payloads<"push_data">;
  readonly docusign: Payloads<"envelope-completed" | "envelope-declined">;
  readonly dropbox: Payloads<"list_folder">;
  readonly figma: Payloads<"FILE_UPDATE" | "FILE_COMMENT">;
  readonly "flutterwave-v3": Payloads<"charge.completed">;
  readonly "flutterwave-v4": Payloads<"charge.completed">;
  readonly ghost: Payloads<"post.published" | "member.added">;
  readonly gitea: Payloads<"push" | "issues.opened">;
  readonly github: Payloads<"push" | "issues.opened" | "pull_request.closed">;
  readonly gitlab: Payloads<"Push Hook" | "Merge Request Hook">;
  readonly "gitlab-token": Payloads<"Push Hook" | "Merge Request Hook">;
  readonly gogs: Payloads<"push" | "issues.opened">;
  readonly grafana: Payloads<"firing" | "resolved">;
  readonly gumroad: Payloads<"sale" | "refund" | "subscription_ended">;
  readonly hmac: Payloads<"order.paid">;
  readonly hubspot: Payloads<"contact.creation" | "deal.propertyChange">;
  readonly "hubspot-v1": Payloads<"contact.creation" | "deal.propertyChange">;
  readonly "hubspot-workflow": Payloads;
  readonly intercom: Payloads<"contact.created" | "conversation.user.created">;
  readonly jira: Payloads<"jira:issue_created" | "jira:issue_updated">;
  readonly "jira-data-center": Payloads<"jira:issue_created" | "jira:issue_updated">;
  readonly jwt: Payloads<"order.paid">;
  readonly "ko-fi": Payloads<"Donation" | "Subscription" | "Shop Order">;
  readonly "lemon-squeezy": Payloads<"order_created" | "subscription_created" | "subscription_cancelled">;
  readonly linear: Payloads<"Issue.create" | "Issue.update">;
  readonly mailgun: Payloads<"delivered" | "failed" | "opened" | "inbound">;
  readonly meta: Payloads<"messages">;
  readonly mollie: Payloads<"payment-link.paid">;
  readonly "mollie-classic": Payloads;
  readonly netlify: Payloads<"deploy_created" | "deploy_failed">;
  readonly notion: Payloads<"page.content_updated" | "page.created">;
  readonly openai: Payloads<"response.completed" | "batch.completed">;
  readonly paddle: Payloads<"transaction.completed" | "subscription.created" | "subscription.canceled">;
  readonly patreon: Payloads<"members:pledge:create" | "members:pledge:delete">;
  readonly paypal: Payloads<"PAYMENT.CAPTURE.COMPLETED" | "BILLING.SUBSCRIPTION.ACTIVATED">;
  readonly paystack: Payloads<"charge.success" | "transfer.success">;
  readonly plaid: Payloads<"TRANSACTIONS.SYNC_UPDATES_AVAILABLE">;
  readonly plex: Payloads<"media.play" | "media.scrobble" | "library.new">;
  readonly polar: Payloads<"order.paid" | "subscription.active" | "subscription.revoked">;
  readonly postmark: Payloads<"Bounce" | "Delivery" | "Inbound">;
  readonly "public-key": Payloads<"order.paid">;
  readonly razorpay: Payloads<"payment.captured" | "order.paid">;
  readonly replicate: Payloads<"succeeded" | "failed">;
  readonly resend: Payloads<"email.delivered" | "email.bounced">;
  readonly revenuecat: Payloads<"INITIAL_PURCHASE" | "RENEWAL" | "CANCELLATION">;
  readonly sanity: Payloads<"update" | "create" | "delete">;
  readonly sendgrid: Payloads<"delivered" | "bounce" | "open">;
  readonly sentry: Payloads<"issue.created" | "issue.resolved">;
  readonly shopify: Payloads<"orders/paid" | "orders/create" | "app/uninstalled">;
  readonly "shopify-events": Payloads<"Order" | "Product">;
  readonly slack: Payloads<"app_mention" | "message">;
  readonly square: Payloads<"payment.updated" | "order.updated">;
  readonly "standard-webhooks": Payloads<"contact.updated">;
  readonly "standard-webhooks-asymmetric": Payloads<"contact.updated">;
  readonly static: Payloads<"order.paid">;
  readonly strava: Payloads<"activity.create" | "activity.update" | "athlete.update">;
  readonly stripe: Payloads<"checkout.session.completed" | "invoice.paid" | "customer.subscription.deleted">;
  readonly supabase: Payloads<"send-email" | "send-sms" | "before-user-created">;
  readonly "supabase-database": Payloads<"public.orders.INSERT" | "public.orders.UPDATE">;
  readonly svix: Payloads<"invoice.paid">;
  readonly telegram: Payloads<"message" | "callback_query">;
  readonly trello: Payloads<"updateCard" | "createCard" | "commentCard">;
  readonly twilio: Payloads<"delivered" | "failed" | "received">;
  readonly twitch: Payloads<"notification.stream.online" | "notification.channel.follow">;
  readonly typeform: Payloads<"form_response">;
  readonly unsigned: Payloads<"credit.added">;
  readonly "uptime-kuma": Payloads<"heartbeat.0" | "heartbeat.1">;
  readonly vercel: Payloads<"deployment.succeeded" | "deployment.error">;
  readonly woocommerce: Payloads<"order.updated" | "order.created">;
  readonly workos: Payloads<"dsync.user.created" | "connection.activated">;
  readonly xero: Payloads<"INVOICE.UPDATE" | "CONTACT.UPDATE">;
  readonly zoom: Payloads<"meeting.started" | "meeting.ended" | "recording.completed">;
}

/**
 * Made-up payloads of every provider, by event type. Each call makes a new event.
 *
 * ```ts
 * const paid = fixtures.stripe["invoice.paid"]({ data: { object: { amount_paid: 1200 } } });
 * ```
 */
export declare const fixtures: Fixtures;
