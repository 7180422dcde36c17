import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { check } from "../../src/app/check.ts";
import { eventReport } from "../../src/cli/look-reports.ts";
import type { EventDetail } from "../../src/http/admin/shapes.ts";
import type { SigningKeys } from "../../src/providers/context.ts";
import { describeProvider } from "../../src/providers/describe.ts";
import { providers } from "../../src/providers/presets.ts";
import type { Provider } from "../../src/providers/provider.ts";
import { kindOf } from "../../src/providers/schemes.ts";
import type { Source } from "../../src/providers/source.ts";
import { compileTestMarks } from "../../src/providers/test-marks.ts";
import { randomKeys } from "../../src/providers/verifier.ts";
import { exampleFor, seedOf, type Example } from "../../src/simulator/example.ts";
import { examples } from "../../src/simulator/examples.ts";
import { testExample } from "../../src/simulator/fitted-example.ts";
import { send } from "../../src/simulator/send.ts";
import { stripeSignature } from "../support/stripe.ts";
import { refusedStart, testInbox, type TestInbox } from "../support/test-inbox.ts";
import { plainSend } from "../support/plain-send.ts";

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
    const shown = (await (await inbox.api("/api/event?event_id=evt_1")).json()) as EventDetail;
    expect(shown).toMatchObject({ bytes: null, payload_removed: false, headers: {}, deliveries: 2 });
    const report = eventReport(shown, { width: undefined, now: Date.now() });
    expect(report).toContain(
      "Ignored, because it says that it is a test (test_events). Only its id, type and time are kept. It was delivered 2 times.",
    );
    expect(report).not.toMatch(/^(?:Headers|Reason)/m);
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

  test("settles an unhandled event if it is ignored since, and runs no handler", async () => {
    await using inbox = await testInbox({
      config: '[sources.stripe]\nprovider = "stripe"\nsecret = "env:STRIPE"',
      files: { "migrations/0001.sql": "create table effects (event_id text not null) strict;" },
      environment: { STRIPE: SECRET },
    });
    expect(await deliver(inbox, "evt_1", false)).toMatchObject({ body: { status: "unhandled" } });
    await inbox.restart({
      config: '[sources.stripe]\nprovider = "stripe"\nsecret = "env:STRIPE"\ntest_events = "ignore"',
      files: { "handlers/stripe/_any.sql": "insert into effects values (:event_id);" },
    });
    expect(await deliver(inbox, "evt_1", false)).toMatchObject({ status: 200, body: { status: "ignored" } });
    expect(await deliver(inbox, "evt_1", false)).toMatchObject({
      status: 200,
      body: { status: "duplicate" },
    });
    expect(effects(inbox)).toEqual([]);
    expect(inbox.value("select outcome from hookonce_events")).toBe("ignored");
  });
});

test("test_events is an error for a provider whose events do not say that they are tests", async () => {
  const { problems } = await refusedStart({
    config: '[sources.github]\nprovider = "github"\nsecret = "env:GITHUB"\ntest_events = "ignore"',
    environment: { GITHUB: "secret" },
  });
  expect(problems.map(({ message, line }) => `${line}: ${message}`).join("\n")).toMatch(
    /^5: sources\.github: test_events = "ignore" has no effect: hookonce does not know how GitHub marks a test\. It knows this for stripe, paddle, /,
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

const environment: Record<string, string> = {};
const keysOf = new Map<string, SigningKeys>();

/** Nobody but the provider can sign what is checked with a fetched key. Its unsigned stand-in reads the same. */
const receiverOf = ({ name, scheme }: Provider): string =>
  kindOf(scheme).proof === "fetched-key" ? `${name}-dev` : name;

const configWith = (tests: string): string =>
  marking
    .map(({ name, scheme }) => {
      const variable = name.toUpperCase().replaceAll("-", "_");
      const keys = keysOf.get(name) ?? randomKeys(scheme);
      keysOf.set(name, keys);
      environment[variable] = keys.secret;
      return `[sources.${name}]
provider = "${name}"
secret = "env:${variable}"
test_events = "${tests}"
[sources.${name}-dev]
provider = "unsigned"
handlers = "${name}"
test_events = "${tests}"
`;
    })
    .join("\n");

/** PayPal's mark is in a header. */
const asTest = (example: Example, { name, testMarks }: Provider): Example =>
  name === "paypal"
    ? {
        ...example,
        headers: () => ({
          "paypal-cert-url": "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1",
        }),
      }
    : (testExample(example, testMarks) as Example);

describe.each([
  ["ignore", "ignored"],
  ["refuse", "test_event"],
])('whole deliveries of a source with test_events = "%s"', (tests, said) => {
  let inbox: TestInbox;
  let base: string;
  let sources: ReadonlyMap<string, Source>;

  beforeAll(async () => {
    inbox = await testInbox({
      config: configWith(tests),
      environment,
      files: {
        "migrations/0001.sql": "create table effects (source text not null) strict;",
        ...Object.fromEntries(
          marking.map(({ name }) => [`handlers/${name}/_any.sql`, "insert into effects values (:source);"]),
        ),
      },
    });
    base = inbox.listen().url;
    ({ sources } = await check(inbox.folder, { environment, clock: Date.now }));
  });
  afterAll(() => inbox[Symbol.asyncDispose]());

  test.each(marking.map((provider) => [provider.name, provider] as const))("%s", async (name, provider) => {
    const receiver = receiverOf(provider);
    const source = sources.get(receiver);
    const usual = examples.get(name) as Example;
    const { example, type } = exampleFor(usual, usual.types[0]);
    if (source === undefined) throw new Error(`no source ${receiver}`);
    const batch = source.split === undefined ? 1 : 3;
    const answers = async (sent: Example): Promise<unknown> =>
      (
        await send({
          to: `${base}/webhook/${receiver}`,
          example: sent,
          type,
          provider: source.provider,
          source,
          keys: receiver === name ? (keysOf.get(name) as SigningKeys) : { secret: "" },
          ...plainSend,
          batch,
        })
      ).said;
    const outcomes = (): unknown[] =>
      inbox.rows("select outcome from hookonce_events where source = ?", receiver).map((row) => row.outcome);
    // Adyen gets the answer that it asks for, which names no outcome.
    const words = (word: string): string => (provider.answer === undefined ? word : "accepted");
    const tested = await answers(asTest(example, provider));
    expect(tested).toEqual(new Map([[said === "ignored" ? words(said) : said, batch]]));
    expect(outcomes()).toEqual(said === "ignored" ? Array(batch).fill("ignored") : []);
    expect(await answers(example)).toEqual(new Map([[words("processed"), batch]]));
    expect(outcomes().filter((outcome) => outcome === "processed")).toHaveLength(batch);
    expect(inbox.value("select count(*) from effects where source = ?", receiver)).toBe(batch);
  });
});
