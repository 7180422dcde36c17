import { describe, expect, test } from "bun:test";
import { beatsOf } from "../../src/dashboard/page/beats.ts";
import { fixtureText } from "../../src/http/admin/fixture-json.ts";
import { bodyPathOf, personalPaths, sqlOf, starterOf, typeScriptOf } from "../../src/dashboard/page/paths.ts";
import { problemsOf, sentenceOf } from "../../src/dashboard/page/problems.ts";
import {
  ago,
  bytesText,
  duration,
  forecastOf,
  patternOf,
  storyOf,
  visible,
} from "../../src/dashboard/page/words.ts";
import { patternOf as serverPatternOf } from "../../src/logging/error-pattern.ts";
import { visibleLines } from "../../src/logging/visible.ts";
import type {
  DestinationJson,
  ConditionJson,
  EventDetail,
  SourceJson,
  StatusJson,
  TimelineEntry,
  SourceStateJson,
} from "../../src/http/admin/shapes.ts";

const NOW = Date.UTC(2026, 10, 27, 12);
const NONE = {
  processed: 0,
  duplicate: 0,
  unhandled: 0,
  ignored: 0,
  stale: 0,
  held: 0,
  failed: 0,
  refused: 0,
};

const source = (name: string): SourceJson => ({
  name,
  state: "open",
  provider: "stripe",
  title: "Stripe",
  docs: "https://docs.stripe.com/webhooks",
  url: `https://hooks.example.com/webhook/${name}`,
  handlers: [],
  prefix_handlers: [],
  last_delivery_at: NOW,
  last_hour: 1,
  p95_us: 900,
  secrets: [],
});

const status = (more: Partial<StatusJson> = {}): StatusJson => ({
  version: "0.1.0",
  now: NOW,
  serving: {
    url: "http://127.0.0.1:8787",
    started_at: NOW,
    loaded_at: NOW,
    ready: true,
    error: null,
    warnings: [],
  },
  actor: { name: "me", scopes: ["read", "steer"] },
  sources: [source("stripe"), source("github"), source("shop")],
  owed: [],
  conditions: [],
  paused: [],
  destinations: [],
  today: { ...NONE, processed: 4812, duplicate: 37 },
  disk: {
    database: "data/hookonce.db",
    database_bytes: 4096,
    log_bytes: 0,
    free_bytes: 50 * 1024 ** 3,
  },
  retention: { payloads_ms: null, max_bytes: null, used_bytes: 4096, discarded: 0, last_discarded_at: null },
  nodes: [],
  ...more,
});

const deliveriesOf = (...outcomes: TimelineEntry["outcome"][]): TimelineEntry[] =>
  outcomes.map((outcome, at) => ({ at: NOW + at * 1000, number: at + 1, outcome, changed_body: false }));

const condition = (alert: ConditionJson["alert"], more: Partial<ConditionJson>): ConditionJson => ({
  alert,
  source: null,
  handler: null,
  destination: null,
  since: NOW - 600_000,
  title: "",
  more: "",
  error: null,
  ...more,
});

const FAILING = condition("handler_failing", {
  source: "stripe",
  handler: "handlers/stripe/invoice.paid.sql",
  title: "handlers/stripe/invoice.paid.sql fails, and 214 events of the source stripe are owed.",
  error: "no such table: credits",
});

test("Home shows first that deliveries cannot be stored, and then its warnings", () => {
  const serving = { url: "http://127.0.0.1:8787", started_at: NOW, loaded_at: NOW, ready: false };
  const error = { code: "disk_full", message: "The disk is full." };
  const warnings = [{ code: "log_large", message: "The log has 300 MiB." }];
  const problems = problemsOf(status({ serving: { ...serving, error, warnings } }));
  expect(problems.map(({ tone, detail }) => [tone, detail])).toEqual([
    ["bad", "The disk is full."],
    ["owed", "The log has 300 MiB."],
  ]);
});

describe("the sentence on Home", () => {
  test("says that all is fine", () => {
    expect(sentenceOf(status(), [])).toBe(
      "All 3 sources are fine. 4,849 deliveries in 24 hours, 37 duplicates stopped, nothing owed.",
    );
    expect(sentenceOf(status({ sources: [source("stripe")] }), [])).toStartWith("Stripe is fine. ");
  });

  test("counts one of a thing in the singular", () => {
    const one = status({ today: { ...NONE, processed: 1, duplicate: 1, refused: 1 } });
    const problems = problemsOf(one);
    expect(problems.map(({ title }) => title)).toEqual(["1 delivery refused in the last 24 hours"]);
    expect(problems[0]?.detail).toContain("A restart of hookonce serve forgets the requests.");
    expect(sentenceOf(one, problems)).toBe(
      "1 problem. 2 deliveries in 24 hours, 1 duplicate stopped, nothing owed.",
    );
  });

  test("says how many problems there are, and stops counting at the limit", () => {
    const type = { source: "stripe", outcome: "failed" } as const;
    const owed = [
      { ...type, type: "invoice.paid", count: 10_000, capped: true, handler: null },
      { ...type, type: "refund", count: 3, capped: false, handler: null },
    ] as const;
    const one = status({ owed, conditions: [FAILING] });
    const problems = problemsOf(one);
    expect(sentenceOf(one, problems)).toBe(
      "1 problem. 4,849 deliveries in 24 hours, 37 duplicates stopped, 10,003+ owed.",
    );
  });

  test("lists the worst problem first, each with its button", () => {
    const unhandled = { outcome: "unhandled", capped: false } as const;
    const one = status({
      owed: [
        { ...unhandled, source: "github", type: "push", count: 3, handler: null },
        {
          ...unhandled,
          source: "stripe",
          type: "invoice.paid",
          count: 1,
          handler: "handlers/stripe/invoice.sql",
        },
      ],
      today: { ...NONE, refused: 2 },
      conditions: [
        condition("disk_low", { title: "Only 1 MiB are free on the disk of the database.", more: "Look." }),
        FAILING,
        condition("source_silent", { source: "shop", title: "The source shop is silent.", more: "Before." }),
      ],
    });
    const problems = problemsOf(one);
    expect(problems.map(({ title, button }) => [title, button.text])).toEqual([
      ["Only 1 MiB are free on the disk of the database.", "Show the disk"],
      ["handlers/stripe/invoice.paid.sql fails, and 214 events of the source stripe are owed.", "Why?"],
      ["The source shop is silent.", "Show it"],
      ["3 push events of github are not applied", "Show 3"],
      ["1 invoice.paid event of stripe is not applied", "Apply 1"],
      ["2 deliveries refused in the last 24 hours", "Why?"],
    ]);
    expect(problems.slice(0, 5).map(({ detail }) => detail)).toEqual([
      "Look. The database takes 4.0 KiB.",
      "First 10 min ago. The last error: no such table: credits",
      "Before.",
      "No handler matches. Save one as handlers/github/push.sql, run hookonce reload, then apply.",
      "No handler matched when it arrived. handlers/stripe/invoice.sql would run it now.",
    ]);
  });
});

describe("what a destination needs", () => {
  const nothing = { count: 0, capped: false };
  const destination: DestinationJson = {
    name: "app",
    kind: "url",
    target: "127.0.0.1:3000",
    state: "open",
    reason: null,
    paused_since: null,
    waiting: nothing,
    sending: nothing,
    dead: nothing,
    oldest_at: null,
    last_minute: nothing,
    last_delivered_at: null,
    last_failure: null,
  };
  const waiting = { count: 12, capped: false };
  const failure = { at: NOW, status: 500, error: "answered 500" };
  const scenarios: readonly [string, Partial<DestinationJson>, string[][]][] = [
    ["nothing, if it is open", { waiting, oldest_at: NOW }, []],
    [
      "to be sent again, if messages are dead",
      { dead: { count: 1, capped: false }, last_failure: failure },
      [
        [
          "1 message to app has not arrived",
          "hookonce has given up on it. The last error: answered 500",
          "Send 1 again",
        ],
      ],
    ],
    [
      "a look, if it fails",
      { state: "failing", waiting, oldest_at: NOW - 3_600_000, last_failure: failure },
      [
        [
          "app does not take messages",
          "12 messages wait, the oldest from 1 h ago. The last error: answered 500",
          "Why?",
        ],
      ],
    ],
    [
      "to be added again, if messages wait for it",
      { kind: null, waiting: { count: 1, capped: false }, oldest_at: NOW - 120_000 },
      [
        [
          "app is not in hookonce.toml any more",
          "1 message waits, the oldest from 2 min ago. Add it again and run hookonce reload, or discard them.",
          "Show them",
        ],
      ],
    ],
    [
      "to go on, if it is paused; the dead messages come first",
      { state: "paused", reason: "the app is down", dead: { count: 10_000, capped: true } },
      [
        ["10,000+ messages to app have not arrived", "hookonce has given up on them.", "Send 10,000+ again"],
        ["app is paused: the app is down", "Nothing waits.", "Resume"],
      ],
    ],
  ];
  for (const [what, more, cards] of scenarios)
    test(what, () => {
      const one = { ...destination, ...more };
      const dead = one.dead.count > 0 ? [condition("dead_messages", { destination: "app" })] : [];
      const problems = problemsOf(status({ destinations: [one], conditions: dead }));
      expect(problems.map(({ title, detail, button }) => [title, detail, button.text])).toEqual(cards);
    });
});

describe("heartbeats", () => {
  test("are a minute each, coloured by the worst outcome", () => {
    const at = NOW - 60_000;
    const rollup = { ...NONE, source: "stripe", at, processed: 3, failed: 1, p50_us: null, p95_us: null };
    const beats = beatsOf([rollup, { ...rollup, at: NOW, failed: 0 }], "stripe", NOW + 30_000);
    expect(beats).toHaveLength(60);
    expect(beats.slice(-3).map(({ worst }) => worst)).toEqual(["none", "bad", "good"]);
    expect(beats.at(-2)?.title).toEndWith(": 3 processed, 1 failed");
  });
});

describe("the path of a value", () => {
  test.each([
    [["data", "amount"], ":payload ->> '$.data.amount'", "event.payload.data.amount"],
    [["items", 0, "id"], ":payload ->> '$.items[0].id'", "event.payload.items[0].id"],
    [["a b", "it's"], ":payload ->> '$.\"a b\".\"it''s\"'", 'event.payload["a b"]["it\'s"]'],
  ])("%p", (path, sql, typeScript) => {
    expect(sqlOf(path)).toBe(sql);
    expect(typeScriptOf(path)).toBe(typeScript);
  });

  test("a first handler reads what the payload has", () => {
    const payload = { id: "evt_1", data: { object: { amount: 5, customer: "cus_1", meta: { a: 1 } } } };
    expect(starterOf("stripe", "invoice.paid", payload)).toEqual({
      file: "handlers/stripe/invoice.paid.sql",
      text: `insert into my_table (event_id, amount, customer, a)
values (:event_id,
        :payload ->> '$.data.object.amount',
        :payload ->> '$.data.object.customer',
        :payload ->> '$.data.object.meta.a');
`,
    });
  });
});

describe("words", () => {
  test("times, durations and sizes", () => {
    expect(ago(NOW - 2000, NOW)).toBe("just now");
    expect(ago(NOW - 90_000, NOW)).toBe("2 min ago");
    expect(duration(400)).toBe("400 µs");
    expect(duration(1400)).toBe("1.4 ms");
    expect(duration(12_300)).toBe("12 ms");
    expect(duration(1_250_000)).toBe("1.3 s");
    expect(bytesText(1536)).toBe("1.5 KiB");
  });

  const paused: SourceStateJson = {
    name: "shop",
    state: "held",
    since: NOW,
    until: null,
    reason: null,
    stop_on_failure: false,
    held: { count: 1, capped: false },
    oldest_at: NOW - 90_000,
    warnings: [],
  };
  const LONG = "The source shop has held events for 30h. To run them: hookonce resume shop";
  test.each([
    ["held", {}, ["owed", "shop is paused", "1 event is held, the oldest from 2 min ago.", "Resume"]],
    [
      "held by hold_after",
      { reason: "5 failures in a row (hold_after = 5)", held: { count: 100_000, capped: true } },
      [
        "owed",
        "shop is paused: 5 failures in a row (hold_after = 5)",
        "100,000+ events are held, the oldest from 2 min ago.",
        "Resume",
      ],
    ],
    [
      "refusing",
      { state: "refusing", held: { count: 0, capped: false }, oldest_at: null },
      ["owed", "shop refuses its deliveries", "Its deliveries are answered 503.", "Resume"],
    ],
    [
      "held for long",
      { warnings: [LONG] },
      ["bad", "shop is paused", `1 event is held, the oldest from 2 min ago. ${LONG}`, "Resume"],
    ],
    [
      "resuming",
      { state: "resuming" },
      ["owed", "shop is resuming", "1 event is held, the oldest from 2 min ago.", "Show them"],
    ],
    [
      "resuming for long",
      { state: "resuming", warnings: [LONG] },
      ["bad", "shop is resuming", `1 event is held, the oldest from 2 min ago. ${LONG}`, "Show them"],
    ],
  ] as const)("the card of a source that is %s", (_, change, expected) => {
    const one = { ...paused, ...change };
    const conditions = [
      condition("source_paused", { source: "shop" }),
      ...one.warnings.map((title) => condition("old_hold", { source: "shop", title })),
    ];
    expect(
      problemsOf(status({ paused: [one], conditions })).map(({ tone, title, detail, button }) => [
        tone,
        title,
        detail,
        button.text,
      ]),
    ).toEqual([[...expected]]);
  });

  test("characters that hide or turn text are shown as escapes", () => {
    expect(visible("a\u001b[31mb\u202ec\u200bd\n\t✓")).toBe("a\\u001b[31mb\\u202ec\\u200bd\n\t✓");
  });

  test("what a dry run found, in the singular and in the plural", () => {
    const one = { wouldRun: 1, noHandler: 1, quarantined: 1, held: 1, alreadyDone: 1, unfit: 1, forced: 1 };
    expect(forecastOf(one, "discard")).toEqual([
      "1 event would be discarded.",
      "The handler of 1 one hung or ended hookonce before. Chosen by id, it runs all the same.",
      "1 has no handler and stays owed.",
      "1 is skipped, because its handler hung or died.",
      "1 is left alone, because the source is paused.",
      "1 is already done.",
      "1 is skipped, because only an owed event can be discarded.",
    ]);
    const many = {
      wouldRun: 2000,
      noHandler: 2,
      quarantined: 2,
      held: 2,
      alreadyDone: 2,
      unfit: 2,
      forced: 2,
    };
    expect(forecastOf(many, "apply")).toEqual([
      "2,000 events would run.",
      "The handler of 2 of them hung or ended hookonce before. Chosen by id, they run all the same.",
      "2 have no handler and stay owed.",
      "2 are skipped, because their handler hung or died.",
      "2 are left alone, because the source is paused.",
      "2 are already done.",
      "2 are skipped, because a discarded event needs a reason.",
    ]);
    expect(
      forecastOf(
        { wouldRun: 0, noHandler: 0, quarantined: 0, held: 0, alreadyDone: 0, unfit: 0, forced: 0 },
        "replay",
      ),
    ).toEqual(["0 events would run."]);
  });

  test("the story of an event", () => {
    const event: EventDetail = {
      source: "stripe",
      event_id: "evt_1",
      type: "invoice.paid",
      outcome: "processed",
      received_at: NOW,
      last_delivery_at: NOW,
      deliveries: 4,
      handler: "handlers/stripe/invoice.paid.sql",
      rows_changed: 1,
      duration_us: 400,
      payload: {},
      headers: {},
      bytes: 2,
      payload_removed: false,
      forgotten: null,
      values_redacted: 0,
      timeline: deliveriesOf("processed", "duplicate", "duplicate", "duplicate"),
      failure: null,
      changed: null,
      changed_bodies: 0,
      type_missing_at: null,
      earlier: [],
      messages: [],
      reply: null,
      replays: 0,
      reason: null,
      same_as: null,
      settled: null,
    };
    expect(storyOf(event)).toMatch(
      /^Applied once by handlers\/stripe\/invoice\.paid\.sql, changed 1 row\. Received at .+\. 3 later copies were stopped\.$/,
    );
    const once = { deliveries: 1, timeline: deliveriesOf("processed") };
    expect(storyOf({ ...event, ...once, replays: 2, reason: "lost" })).toMatch(
      /^Applied by handlers\/stripe\/invoice\.paid\.sql and replayed twice\. The last run changed 1 row\. Received at .+\. Reason: lost$/,
    );
    expect(storyOf({ ...event, outcome: "unhandled" })).toContain("the event is owed");
    const same = storyOf({ ...event, outcome: "ignored", same_as: "evt_0" });
    expect(same).toContain("It has the same body as the event evt_0 (same_body), so it never runs.");

    const delivered = (...outcomes: TimelineEntry["outcome"][]): string =>
      storyOf({ ...event, deliveries: outcomes.length, timeline: deliveriesOf(...outcomes) });
    expect(delivered("failed", "failed")).not.toContain("stopped");
    expect(delivered("unhandled", "unhandled")).not.toContain("stopped");
    expect(delivered("failed", "processed")).not.toContain("stopped");
    expect(delivered("processed", "duplicate", "duplicate")).toEndWith(" 2 later copies were stopped.");
    expect(delivered("failed", "duplicate")).toEndWith(" A later copy was stopped.");
    expect(storyOf({ ...event, outcome: "imported", deliveries: 0, timeline: [] })).not.toContain("stopped");
    const imported = { outcome: "imported", deliveries: 1, timeline: deliveriesOf("duplicate") } as const;
    expect(storyOf({ ...event, ...imported })).toEndWith(" A later copy was stopped.");
    // The deliveries between the tenth and the tenth from the end are not kept.
    const many = (first: TimelineEntry["outcome"]): string => {
      const all = deliveriesOf(first, ...Array.from({ length: 29 }, () => "duplicate" as const));
      return storyOf({ ...event, deliveries: 30, timeline: [...all.slice(0, 1), ...all.slice(20)] });
    };
    expect(many("processed")).toEndWith(" 29 later copies were stopped.");
    expect(many("failed")).toEndWith(" At least 10 later copies were stopped.");
  });
});

test("the page and the server group failures by the same pattern", () => {
  for (const [error, pattern] of [
    ["no customer cus_1Nx-2 at 12:30, row 1,234.", "no customer … at …, row …."],
    ["no such table: credits", "no such table: credits"],
    ["[3] is refused (500)", "[…] is refused (…)"],
  ] as const)
    expect([patternOf(error), serverPatternOf(error)]).toEqual([pattern, pattern]);
});

test("the page and the commands write the same characters out", () => {
  for (let code = 0; code <= 0xe0100; code++) {
    const text = String.fromCodePoint(code);
    if (visible(text) !== visibleLines(text)) throw new Error(`U+${code.toString(16)} differs`);
  }
  expect(visible("a\u2028b\u00ad\u{e0041}")).toBe("a\\u2028b\\u00ad\\u{e0041}");
});

test("a fixture is to hide what is probably about a person, by paths that the API reads", () => {
  const payload = {
    id: "evt_1",
    type: "invoice.paid",
    customer_email: "ada@example.com",
    data: {
      "strange key's": { name: "Ada" },
      amount: 5,
      plan: "pro",
      shipping: { address: { line1: "1 Road", lines: ["a", null, ""] } },
      users: [{ phone: "1" }],
    },
  };
  const paths = personalPaths(payload).map(bodyPathOf);
  expect(paths).toEqual([
    "body:$.customer_email",
    `body:$.data["strange key's"].name`,
    "body:$.data.shipping.address.line1",
    "body:$.data.shipping.address.lines[0]",
    "body:$.data.users[0].phone",
  ]);
  expect(fixtureText(JSON.stringify(payload), paths)).not.toMatch(/ada@|Ada|Road|"a"|"1"/);
});
