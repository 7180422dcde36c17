import { describe, expect, test } from "bun:test";
import { providers } from "../../src/providers/presets.ts";
import type { Selector } from "../../src/providers/body/selector.ts";
import type { Provider } from "../../src/providers/provider.ts";
import { sign } from "../../src/providers/verifier.ts";
import { certificateFor } from "../../src/providers/schemes/self-signed.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { signerFor, URL_OF_IT, type Signer } from "./preset-samples.ts";
import { effectsTable, NOW } from "./signed-inbox.ts";

interface Request {
  readonly headers?: Record<string, string>;
  readonly body: unknown;
}

/** Requests whose ids the earlier rule of a preset took wrongly. */
interface Row {
  readonly preset: string;
  readonly first: Request;
  /** The same event again. Default: the same request. */
  readonly retry?: Request;
  /** Another event that had the same id under the earlier rule. */
  readonly other?: Request;
  /** How many events are in `first`. */
  readonly events?: number;
}

const recursive = { "x-gitlab-event-uuid": "u1", "x-gitlab-event": "Push Hook" };
const sentry = (action: string, data: unknown): unknown => ({ action, data, installation: { uuid: "i" } });
const docusign = (retryCount: number, envelopeId: string): unknown => ({
  event: "envelope-completed",
  retryCount,
  data: { envelopeId },
});
const figma = (retries: number, file: string): unknown => ({
  event_type: "FILE_UPDATE",
  file_key: file,
  retries,
});
const order = (createdAt: number): Request => ({
  headers: { "webhook-id": `msg_${createdAt}` },
  body: { scope: "store/order/updated", hash: "h", data: { id: 250 }, created_at: createdAt },
});
const merge = (attemptNumber: number): Record<string, unknown> => ({
  eventId: 1,
  subscriptionId: 2,
  occurredAt: 3,
  attemptNumber,
  subscriptionType: "object.merge",
});
const contact = (eventId: number, attemptNumber: number): unknown => ({
  eventId,
  subscriptionId: 2,
  objectId: 7,
  occurredAt: 3,
  attemptNumber,
  subscriptionType: "contact.creation",
});
const xero = (resourceId: string): unknown => ({
  tenantId: "t",
  resourceId,
  eventCategory: "INVOICE",
  eventType: "UPDATE",
  eventDateUtc: "2026-09-21T14:13:20",
});

const statusOf = (participant: string): unknown => ({
  object: "whatsapp_business_account",
  entry: [
    {
      id: "1",
      changes: [
        {
          field: "messages",
          value: { statuses: [{ id: "wamid.1", status: "read", recipient_participant_id: participant }] },
        },
      ],
    },
  ],
});

const rows: readonly Row[] = [
  {
    preset: "github",
    first: { headers: { "x-github-delivery": "g1", "x-github-event": "issues" }, body: { action: "opened" } },
    other: { headers: { "x-github-delivery": "g1", "x-github-event": "push" }, body: {} },
  },
  {
    preset: "gitlab-token",
    first: { headers: recursive, body: { after: "c1" } },
    other: { headers: recursive, body: { after: "c2" } },
  },
  {
    preset: "bitbucket",
    first: { headers: { "x-request-uuid": "r1", "x-event-key": "repo:push" }, body: { n: 1 } },
    retry: {
      headers: { "x-request-uuid": "r1", "x-event-key": "repo:push", "x-attempt-number": "2" },
      body: { n: 1 },
    },
    other: { headers: { "x-request-uuid": "r1", "x-event-key": "pullrequest:updated" }, body: { n: 1 } },
  },
  {
    preset: "bitbucket",
    first: { headers: { "x-request-id": "r1", "x-event-key": "repo:refs_changed" }, body: { n: 1 } },
    other: { headers: { "x-request-id": "r1", "x-event-key": "repo:refs_changed" }, body: { n: 2 } },
  },
  {
    preset: "sentry",
    first: {
      headers: { "request-id": "r1", "sentry-hook-resource": "issue" },
      body: sentry("created", { issue: { id: "1" } }),
    },
  },
  {
    preset: "sentry",
    first: {
      headers: { "request-id": "r1", "sentry-hook-resource": "error" },
      body: sentry("created", { error: { event_id: "e1" } }),
    },
  },
  {
    preset: "sentry",
    first: {
      headers: { "request-id": "r1", "sentry-hook-resource": "event_alert" },
      body: sentry("triggered", { event: { event_id: "e1" }, triggered_rule: "a rule" }),
    },
  },
  {
    preset: "shopify-events",
    first: { headers: { "shopify-event-id": "e1", "shopify-topic": "orders/create" }, body: { n: 1 } },
    other: { headers: { "shopify-event-id": "e1", "shopify-topic": "orders/paid" }, body: { n: 1 } },
  },
  { preset: "bigcommerce", first: order(1), other: order(2) },
  { preset: "docusign", first: { body: docusign(0, "e1") } },
  { preset: "figma", first: { body: figma(0, "f1") } },
  { preset: "mailgun", first: { body: { "event-data": { id: "m1", event: "opened" } } } },
  {
    preset: "sendgrid",
    first: { body: ["s1", "s2"].map((id) => ({ sg_event_id: id, event: "open" })) },
    events: 2,
  },
  {
    preset: "hubspot",
    first: { body: [contact(1, 0), contact(2, 0)] },
    retry: { body: [contact(1, 1), contact(2, 1)] },
    events: 2,
  },
  {
    preset: "meta",
    first: { body: statusOf("a") },
    other: { body: statusOf("b") },
  },
  { preset: "xero", first: { body: { events: [xero("r1"), xero("r2")] } }, events: 2 },
];

test("each preset whose rule has changed is tested here", () => {
  const changed = [...providers.values()].filter((one) => one.earlierEventIds !== undefined);
  expect([...new Set(rows.map(({ preset }) => preset))].sort()).toEqual(
    changed.map(({ name }) => name).sort(),
  );
});

test("no preset lists its present rule as an earlier one", () => {
  for (const { eventId, earlierEventIds = [] } of providers.values())
    for (const earlier of earlierEventIds) expect(earlier).not.toEqual(eventId);
});

/** TOML that sets the id rule which an earlier version of the preset had. */
function asConfig(rule: Selector): string {
  if (typeof rule === "string") return JSON.stringify(rule);
  if (Array.isArray(rule)) return `[${(rule as readonly Selector[]).map(asConfig).join(", ")}]`;
  if ("join" in rule) return `{ join = ${JSON.stringify(rule.join)}, with = ${JSON.stringify(rule.with)} }`;
  throw new Error("The config cannot say this rule.");
}

const APPLIES = { "handlers/it/_any.sql": "insert into effects values (:source, :event_id, :type);" };
const FAILS = { "handlers/it/_any.sql": "insert into effects values (:source, :event_id, json('{'));" };

function inboxFor(signer: Signer, config: string, handler: Record<string, string>): Promise<TestInbox> {
  return testInbox({
    config,
    environment: { S: signer.keys.secret },
    clock: () => NOW,
    fetch: signer.fetch,
    files: { ...effectsTable, ...handler },
  });
}

/** An inbox as an earlier version of the preset has left it. */
function before(signer: Signer, rule: Selector, handler: Record<string, string>): Promise<TestInbox> {
  return inboxFor(signer, `${signer.config}event_id = ${asConfig(rule)}\n`, handler);
}

async function send(
  inbox: TestInbox,
  { provider, keys }: { provider: Provider; keys: Signer["keys"] },
  { headers = {}, body }: Request,
): Promise<number> {
  const request = await sign(
    provider,
    {
      method: "POST",
      url: URL_OF_IT,
      headers: { "content-type": "application/json", ...headers },
      body: Buffer.from(JSON.stringify(body)),
    },
    keys,
    NOW,
  );
  const response = await inbox.request("/webhook/it", {
    method: "POST",
    headers: request.headers,
    body: Buffer.from(request.body),
  });
  await response.text();
  return response.status;
}

const effects = (inbox: TestInbox): unknown => inbox.value("select count(*) from effects");

const cases = rows.map((row, index) => [`${row.preset} ${index}`, row] as const);
describe.each(cases)("an event that an earlier version of the preset has recorded: %s", (_, row) => {
  const signer = signerFor(row.preset, certificateFor);
  const rules = signer.provider.earlierEventIds as readonly Selector[];
  const { first, retry = first, other, events = 1 } = row;

  test.each(rules.map((rule) => [asConfig(rule), rule] as const))(
    "its retry is a duplicate, and the start is not refused (%s)",
    async (_rule, rule) => {
      await using inbox = await before(signer, rule, APPLIES);
      expect(await send(inbox, signer, first)).toBe(200);
      await inbox.restart({ config: signer.config });
      expect(await send(inbox, signer, retry)).toBe(200);
      expect(effects(inbox)).toBe(events);
      if (other === undefined) return;
      expect(await send(inbox, signer, other)).toBe(200);
      expect(effects(inbox)).toBe(events + 1);
      expect(await send(inbox, signer, other)).toBe(200);
      expect(await send(inbox, signer, first)).toBe(200);
      expect(effects(inbox)).toBe(events + 1);
      // The second start finds the present rule.
      await inbox.restart();
      expect(await send(inbox, signer, retry)).toBe(200);
      expect(effects(inbox)).toBe(events + 1);
    },
  );

  test("its failure is settled by the retry, which is applied once", async () => {
    await using inbox = await before(signer, rules[0] as Selector, FAILS);
    expect(await send(inbox, signer, first)).toBe(500);
    await inbox.restart({ config: signer.config, files: APPLIES });
    const sent = await Promise.all([1, 2, 3].map(() => send(inbox, signer, retry)));
    expect(sent).toEqual([200, 200, 200]);
    expect(effects(inbox)).toBe(events);
    expect(inbox.value("select count(*) from hookonce_failures where settled_at is null")).toBe(0);
  });
});

const confused = rows.flatMap((row) => (row.other === undefined ? [] : [{ ...row, other: row.other }]));
test.each(confused.map((row, index) => [`${row.preset} ${index}`, row] as const))(
  "an ignored event swallows no other event that had its id under the earlier rule: %s",
  async (_, { preset, first, other }) => {
    const signer = signerFor(preset, certificateFor);
    const config = `${signer.config}unhandled = "ignore"\n`;
    const [rule] = signer.provider.earlierEventIds as readonly Selector[];
    await using inbox = await inboxFor(signer, `${config}event_id = ${asConfig(rule as Selector)}\n`, {});
    expect(await send(inbox, signer, first)).toBe(200);
    await inbox.restart({ config, files: APPLIES });
    expect(await send(inbox, signer, other)).toBe(200);
    expect(await send(inbox, signer, other)).toBe(200);
    expect(effects(inbox)).toBe(1);
  },
);

describe("a count of attempts in the body", () => {
  test.each([
    ["docusign", docusign],
    ["figma", figma],
  ] as const)("does not make a retry another event: %s", async (name, body) => {
    const signer = signerFor(name, certificateFor);
    await using inbox = await inboxFor(signer, signer.config, APPLIES);
    for (const attempt of [0, 1, 2]) await send(inbox, signer, { body: body(attempt, "one") });
    expect(effects(inbox)).toBe(1);
    await send(inbox, signer, { body: body(0, "two") });
    expect(effects(inbox)).toBe(2);
  });
});

describe("an element without an id does not refuse its batch", () => {
  test.each<[string, unknown[], unknown[]]>([
    [
      "sendgrid",
      [{ sg_event_id: "s1", event: "open" }, { event: "bounce" }, { sg_event_id: "", event: "click" }],
      [{ sg_event_id: null, event: "drop" }],
    ],
    ["hubspot", [merge(0), { ...merge(0), eventId: 2, occurredAt: null }], [{ eventId: 9 }]],
  ])("%s", async (name, batch, more) => {
    const signer = signerFor(name, certificateFor);
    await using inbox = await inboxFor(signer, signer.config, APPLIES);
    expect(await send(inbox, signer, { body: batch })).toBe(200);
    expect(effects(inbox)).toBe(batch.length);
    const retried = JSON.parse(
      JSON.stringify(batch).replaceAll('"attemptNumber":0', '"attemptNumber":1'),
    ) as unknown[];
    expect(await send(inbox, signer, { body: [...retried, ...more] })).toBe(200);
    expect(effects(inbox)).toBe(batch.length + more.length);
  });
});
