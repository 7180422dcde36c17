import { describe, expect, test } from "bun:test";
import { describeProvider } from "../../src/providers/describe.ts";
import { providers } from "../../src/providers/presets.ts";
import { compileTestMarks } from "../../src/providers/test-marks.ts";
import { exampleFor, seedOf } from "../../src/simulator/example.ts";
import { examples } from "../../src/simulator/examples.ts";
import { testExample } from "../../src/simulator/fitted-example.ts";
import { stripeSignature } from "../support/stripe.ts";
import { refusedStart, testInbox, type TestInbox } from "../support/test-inbox.ts";

const SECRET = "whsec_test_events";

const inboxWith = (keys = ""): Promise<TestInbox> =>
  testInbox({
    config: `[sources.stripe]\nprovider = "stripe"\nsecret = "env:STRIPE"\n${keys}`,
    files: {
      "migrations/0001.sql": "create table effects (event_id text not null) strict;",
      "handlers/stripe/_any.sql": "insert into effects values (:event_id);",
    },
    environment: { STRIPE: SECRET },
  });

function deliver(inbox: TestInbox, id: string, livemode: boolean | undefined) {
  const body = JSON.stringify({ id, type: "invoice.paid", livemode });
  return inbox.deliver(body, {
    source: "stripe",
    headers: { "stripe-signature": stripeSignature(SECRET, body) },
  });
}

const effects = (inbox: TestInbox): string[] =>
  inbox.rows("select event_id from effects").map((row) => row.event_id);

const warnings = (inbox: TestInbox): string[] =>
  inbox.log.filter(({ level, msg }) => level === 40 && msg.includes("test event")).map(({ msg }) => msg);

describe("an event that says that it is a test", () => {
  test("is accepted by default, with one warning for each source and start", async () => {
    await using inbox = await inboxWith();
    await deliver(inbox, "evt_1", true);
    expect(warnings(inbox)).toEqual([]);
    await deliver(inbox, "evt_2", false);
    await deliver(inbox, "evt_3", false);
    expect(effects(inbox)).toEqual(["evt_1", "evt_2", "evt_3"]);
    expect(warnings(inbox)).toEqual([expect.stringContaining('set test_events to "ignore" or "refuse"')]);
    await inbox.restart();
    await deliver(inbox, "evt_4", false);
    expect(warnings(inbox)).toHaveLength(2);
  });

  test("is ignored: its id, type and time are kept, and no handler runs", async () => {
    await using inbox = await inboxWith('test_events = "ignore"');
    expect(await deliver(inbox, "evt_1", false)).toMatchObject({ status: 200, body: { status: "ignored" } });
    expect(await deliver(inbox, "evt_2", true)).toMatchObject({ status: 200, body: { status: "processed" } });
    expect(await deliver(inbox, "evt_3", undefined)).toMatchObject({ body: { status: "processed" } });
    expect(await deliver(inbox, "evt_1", false)).toMatchObject({
      status: 200,
      body: { status: "duplicate" },
    });
    expect(effects(inbox)).toEqual(["evt_2", "evt_3"]);
    expect(inbox.rows("select event_id, type, outcome from hookonce_events order by id")[0]).toEqual({
      event_id: "evt_1",
      type: "invoice.paid",
      outcome: "ignored",
    });
    expect(inbox.value("select count(*) from hookonce_bodies")).toBe(2);
    expect(warnings(inbox)).toEqual([expect.stringContaining("a test event was ignored")]);
  });

  test("is refused with 403, and leaves nothing behind", async () => {
    await using inbox = await inboxWith('test_events = "refuse"');
    expect(await deliver(inbox, "evt_1", false)).toMatchObject({
      status: 403,
      body: { error: { code: "test_event" } },
    });
    expect(await deliver(inbox, "evt_1", true)).toMatchObject({ status: 200, body: { status: "processed" } });
    expect(inbox.value("select count(*) from hookonce_events")).toBe(1);
  });

  test("settles a failure if it is ignored since", async () => {
    await using inbox = await inboxWith();
    await inbox.restart({ files: { "handlers/stripe/_any.sql": "insert into effects values (null);" } });
    expect(await deliver(inbox, "evt_1", false)).toMatchObject({ status: 500 });
    await inbox.restart({
      config: `[sources.stripe]\nprovider = "stripe"\nsecret = "env:STRIPE"\ntest_events = "ignore"`,
    });
    expect(await deliver(inbox, "evt_1", false)).toMatchObject({ status: 200, body: { status: "ignored" } });
    expect(inbox.value("select count(*) from hookonce_failures where settled_at is null")).toBe(0);
  });
});

test("test_events is an error for a provider whose events do not say that they are tests", async () => {
  const { problems } = await refusedStart({
    config: '[sources.github]\nprovider = "github"\nsecret = "env:GITHUB"\ntest_events = "ignore"',
    environment: { GITHUB: "secret" },
  });
  expect(problems.map(({ message, line }) => `${line}: ${message}`).join("\n")).toMatch(
    /^5: sources\.github: test_events = "ignore" has no effect: hookonce does not know how GitHub marks a test, only stripe, paddle, /,
  );
});

const marking = [...providers.values()].filter(({ testMarks }) => testMarks !== undefined);

test.each(marking.map((provider) => [provider.name, provider] as const))(
  "%s: its example is no test, and the one of send --test is",
  (name, provider) => {
    const { testMarks = [] } = provider;
    expect(describeProvider(provider)).toContainEqual([
      "test events",
      expect.stringContaining(testMarks[0]?.at ?? ""),
    ]);
    const isTest = compileTestMarks(testMarks);
    const usual = examples.get(name);
    if (usual === undefined) throw new Error(`${name} has no example`);
    const { example, type } = exampleFor(usual, usual.types[0]);
    const seed = seedOf("0".repeat(23) + "1", type, 1_700_000_000_000);
    const bodyOf = ({ event, wrap }: typeof example): unknown => wrap?.([event(seed)], seed) ?? event(seed);
    const isTestBody = (payload: unknown): boolean => isTest({ headers: {}, payload });
    expect(isTestBody(bodyOf(example))).toBe(false);
    const made = testExample(example, testMarks);
    // PayPal's mark is in a header that its signature covers.
    if (made === undefined) expect(name).toBe("paypal");
    else expect(isTestBody(bodyOf(made))).toBe(true);
  },
);

const from = (url: string) => ({ headers: { "paypal-cert-url": url }, payload: {} });

test("PayPal's sandbox is told by the URL of its certificate", () => {
  const isTest = compileTestMarks(providers.get("paypal")?.testMarks ?? []);
  expect(isTest(from("https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1"))).toBe(true);
  expect(isTest(from("https://api.paypal.com/v1/notifications/certs/CERT-1"))).toBe(false);
});
