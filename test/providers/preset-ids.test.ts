import { expect, test } from "bun:test";
import { HookonceError } from "../../src/errors.ts";
import type { Headers } from "../../src/event.ts";
import { certificateFor } from "../../src/providers/schemes/self-signed.ts";
import { sourceOf } from "./handed-on.ts";
import { signerFor } from "./preset-samples.ts";

/** A delivery: its body, or its form, or both with headers. */
type Sent =
  | { readonly json: unknown; readonly headers?: Headers }
  | { readonly form: Record<string, string> };

interface Row {
  readonly preset: string;
  readonly name: string;
  readonly sent: readonly Sent[];
  /** How many events these deliveries are in all. */
  readonly events: number;
}

const json = (...bodies: unknown[]): Sent[] => bodies.map((body) => ({ json: body }));

const alert = (fingerprint: string, status = "firing", startsAt = "2026-09-21T14:13:20Z"): unknown => ({
  fingerprint,
  status,
  startsAt,
  endsAt: status === "firing" ? "0001-01-01T00:00:00Z" : "2026-09-21T15:00:00Z",
});
const group = (...alerts: unknown[]): unknown => ({ receiver: "r", alerts });

const heartbeat = (time: string, status = 0): unknown => ({
  heartbeat: { monitorID: 1, time, status },
  monitor: { id: 1 },
  msg: "down",
});
const sale = { sale_id: "a==", resource_name: "sale", refunded: "false" };
const update = (updates: unknown): unknown => ({
  object_type: "activity",
  object_id: 1,
  aspect_type: "update",
  event_time: 1_516_126_040,
  updates,
});
const push = (tag: string, pushedAt: number): unknown => ({
  push_data: { tag, pushed_at: pushedAt },
  repository: { repo_name: "a/b" },
});
const whatsApp = (status: object): unknown => ({
  object: "whatsapp_business_account",
  entry: [{ id: "1", changes: [{ field: "messages", value: { statuses: [status] } }] }],
});
const notification = (id: string): string =>
  Buffer.from(`<notification><kind>check</kind><subject>${id}</subject></notification>`).toString("base64");

const rows: readonly Row[] = [
  ...["alertmanager", "grafana"].flatMap((preset): Row[] => [
    {
      preset,
      name: "a reminder is the same event",
      sent: json(group(alert("a")), group(alert("a"))),
      events: 1,
    },
    {
      preset,
      name: "an alert that joins a group is one more event",
      sent: json(group(alert("a")), group(alert("a"), alert("b"))),
      events: 2,
    },
    {
      preset,
      name: "a resolved alert is another event than the firing one",
      sent: json(group(alert("a")), group(alert("a", "resolved")), group(alert("a", "resolved"))),
      events: 2,
    },
    {
      preset,
      name: "an alert that fires again is another event",
      sent: json(group(alert("a")), group(alert("a", "firing", "2026-09-22T00:00:00Z"))),
      events: 2,
    },
    { preset, name: "a group without alerts is no event", sent: json(group()), events: 0 },
  ]),
  {
    preset: "gumroad",
    name: "retries of a form count themselves, and the first attempt does not",
    sent: [{ form: sale }, { form: { ...sale, retry_count: "1" } }, { form: { ...sale, retry_count: "2" } }],
    events: 1,
  },
  {
    preset: "gumroad",
    name: "retries of JSON count themselves, and the first attempt does not",
    sent: json(sale, { ...sale, retry_count: 1 }, { ...sale, retry_count: 2 }),
    events: 1,
  },
  {
    preset: "gumroad",
    name: "a refund has the id of its sale, and is another event",
    sent: json(sale, { ...sale, resource_name: "refund", refunded: "true" }),
    events: 2,
  },
  {
    preset: "strava",
    name: "two updates of one activity in one second are two events",
    sent: json(update({ title: "a" }), update({ type: "Ride" }), update({ title: "a" })),
    events: 2,
  },
  {
    preset: "uptime-kuma",
    name: "each heartbeat is an event",
    sent: json(
      heartbeat("2026-09-21 14:13:20.1"),
      heartbeat("2026-09-21 14:13:20.1"),
      heartbeat("2026-09-21 14:14:20.1"),
      heartbeat("2026-09-21 14:14:20.1", 1),
    ),
    events: 3,
  },
  {
    preset: "uptime-kuma",
    name: "the same warning of a certificate a year later is another event",
    sent: json(
      { heartbeat: null, monitor: null, msg: "expires" },
      { heartbeat: null, monitor: null, msg: "expires" },
    ),
    events: 2,
  },
  {
    preset: "docker-hub",
    name: "each tag of one push is an event",
    sent: json(push("1", 7), push("latest", 7), push("latest", 7), push("latest", 8)),
    events: 3,
  },
  {
    preset: "supabase",
    name: "each attempt has another webhook-id, and is the same event",
    sent: ["a", "b"].map((id) => ({
      json: { metadata: { uuid: "u", name: "send-sms" } },
      headers: { "webhook-id": id },
    })),
    events: 1,
  },
  {
    preset: "supabase",
    name: "without metadata, each attempt of a user is an event",
    sent: json(
      { user_id: "u", valid: false },
      { user_id: "u", valid: false },
      { user_id: "v", valid: false },
    ),
    events: 3,
  },
  ...["r".repeat(256), "規".repeat(256), "a rule\twith a tab"].map((rule): Row => ({
    preset: "sentry",
    name: `an alert of the rule ${rule.slice(0, 12)}… is known by event and rule`,
    sent: [rule, rule, `${rule}2`].map((triggered) => ({
      json: { action: "triggered", data: { event: { event_id: "e" }, triggered_rule: triggered } },
      headers: { "sentry-hook-resource": "event_alert" },
    })),
    events: 2,
  })),
  {
    preset: "meta",
    name: "in a WhatsApp group, each participant has a status of the message",
    sent: json(
      whatsApp({ id: "wamid.1", status: "delivered", recipient_participant_id: "a" }),
      whatsApp({ id: "wamid.1", status: "delivered", recipient_participant_id: "b" }),
      whatsApp({ id: "wamid.1", status: "delivered", recipient_participant_id: "a" }),
      whatsApp({ id: "wamid.1", status: "read", recipient_participant_id: "a" }),
      whatsApp({ id: "wamid.1", status: "delivered" }),
      whatsApp({ id: "wamid.1", status: "delivered" }),
    ),
    events: 4,
  },
  {
    preset: "meta",
    name: "each transaction of a WhatsApp payment is an event",
    sent: json(
      ...["t1", "t2", "t2"].map((id) =>
        whatsApp({ id: "wamid.1", status: "failed", type: "payment", payment: { transaction: { id } } }),
      ),
    ),
    events: 2,
  },
  {
    preset: "twilio",
    name: "empty Sids are no id, so the bodies tell the events apart",
    sent: ["hello", "good bye", "hello"].map((text) => ({
      form: { MessageSid: "", MessageStatus: "", Body: text },
    })),
    events: 2,
  },
  {
    preset: "supabase-database",
    name: "the same change of a row twice is two events",
    sent: json({ type: "UPDATE", record: { id: 1 } }, { type: "UPDATE", record: { id: 1 } }),
    events: 2,
  },
  {
    preset: "trello",
    name: "an action that two webhooks report is one event",
    sent: json(
      { action: { id: "a", type: "updateCard" }, model: { id: "board" } },
      { action: { id: "a", type: "updateCard" }, model: { id: "card" } },
    ),
    events: 1,
  },
  {
    preset: "plex",
    name: "playing an item twice is two events",
    sent: [{ form: { payload: '{"event":"media.play"}' } }, { form: { payload: '{"event":"media.play"}' } }],
    events: 2,
  },
  {
    preset: "braintree",
    name: "another signature of the same payload is the same event",
    sent: [
      { form: { bt_signature: "a|1", bt_payload: notification("1") } },
      { form: { bt_signature: "b|2&a|1", bt_payload: `${notification("1")}\n` } },
      { form: { bt_signature: "a|3", bt_payload: notification("2") } },
    ],
    events: 2,
  },
];

test.each(rows.map((row) => [row.preset, row.name, row] as const))(
  "%s: %s",
  (preset, _, { sent, events }) => {
    const source = sourceOf(signerFor(preset, certificateFor));
    const ids = sent.flatMap((one) => {
      const delivery =
        "form" in one
          ? {
              headers: { "content-type": "application/x-www-form-urlencoded" },
              body: Buffer.from(new URLSearchParams(one.form).toString()),
            }
          : { headers: one.headers ?? {}, body: Buffer.from(JSON.stringify(one.json)) };
      return (source.split?.(delivery) ?? [source.identify(delivery)]).map((event) => {
        if (event instanceof HookonceError) throw event;
        return event.id;
      });
    });
    expect(new Set(ids).size).toBe(events);
  },
);
