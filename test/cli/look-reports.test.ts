import { describe, expect, test } from "bun:test";
import { columns } from "../../src/cli/columns.ts";
import {
  eventLine,
  eventReport,
  eventsTable,
  failureGroupsText,
  failuresTable,
} from "../../src/cli/look-reports.ts";
import { messageReport } from "../../src/cli/message-reports.ts";
import type { EventDetail, EventJson, FailureJson, MessageDetail } from "../../src/http/admin/shapes.ts";

const now = new Date(2026, 10, 27, 12, 0, 0).getTime();
const terminal = { width: 80, now };
const pipe = { width: undefined, now };

const event = (more: Partial<EventJson> = {}): EventJson => ({
  source: "stripe",
  event_id: "evt_1",
  type: "invoice.paid",
  outcome: "processed",
  received_at: now - 60_000,
  last_delivery_at: now,
  deliveries: 3,
  handler: "handlers/stripe/invoice.paid.sql",
  rows_changed: 1,
  duration_us: 420,
  ...more,
});

const failure: FailureJson = {
  source: "stripe",
  event_id: "evt_1",
  type: "invoice.paid",
  handler: "handlers/stripe/invoice.paid.sql",
  code: "handler_error",
  error: "no such customer: cus_1, who is not in the table of customers and was not there yesterday",
  at: null,
  attempts: 2,
  first_at: now - 5000,
  last_at: now,
};

const detail = (more: Partial<EventDetail> = {}): EventDetail => ({
  ...event(),
  payload: { id: "evt_1" },
  headers: { "content-type": "application/json" },
  type_missing_at: null,
  bytes: 14,
  payload_removed: false,
  forgotten: null,
  values_redacted: 0,
  timeline: [
    { at: now - 60_000, number: 1, outcome: "processed", changed_body: false },
    { at: now - 1000, number: 14, outcome: "duplicate", changed_body: true },
  ],
  failure: null,
  changed: null,
  changed_bodies: 0,
  earlier: [],
  messages: [],
  reply: null,
  replays: 0,
  reason: null,
  same_as: null,
  settled: null,
  ...more,
});

/** Would move the cursor, set the title, colour the rest, ring, hide text, or reverse it. */
const HOSTILE =
  "\u001B[2J\u001B]0;owned\u0007\u001B[31m\r\b\u0000\u009B1A\u202Egnp.exe\u200B\n\nhookonce: all is well";

/** Characters that a terminal acts on or does not show. */
// oxlint-disable-next-line eslint/no-control-regex -- these are what must not be printed
const ACTIVE = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u200B-\u200F\u202A-\u202E\u2066-\u2069]/;

describe("a table", () => {
  const uuid = "6f1ed002-ab59-4d3c-9f2e-1c0a7a1b2c3d";
  const hash = "9".repeat(64);

  test("fits a terminal of 80 columns, and its ids are whole", () => {
    const names = { type: "t".repeat(255), source: "s".repeat(64) };
    const events = ["evt_1", uuid, hash].map((id) => event({ event_id: id, ...names }));
    const failures = events.map((one) => ({ ...failure, event_id: one.event_id, ...names }));
    for (const lines of [eventsTable(events, terminal), failuresTable(failures, terminal)]) {
      const text = lines.join("\n");
      for (const line of text.split("\n")) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(80);
      for (const id of ["evt_1", uuid, hash]) expect(text).toMatch(new RegExp(`(?:^|  )${id}$`, "m"));
      expect(text).toContain("ttt…ttt");
    }
    for (const one of events) {
      const lines = eventLine(one, terminal).split("\n");
      for (const line of lines) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(80);
      expect(lines.at(-1)).toEndWith(`  ${one.event_id}`);
    }
  });

  test("leaves out what is least important before it cuts types, and puts only longer ids in the next line", () => {
    const [head, first, second, third] = eventsTable(
      [event({ event_id: uuid }), event(), event({ event_id: hash })],
      terminal,
    );
    expect(head).toBe("time      outcome    source  type          copies  rows  took    id");
    expect(first).toBe(`11:59:00  processed  stripe  invoice.paid  ×3      1     0.4 ms\n    ${uuid}`);
    expect(second).toBe("11:59:00  processed  stripe  invoice.paid  ×3      1     0.4 ms  evt_1");
    expect(third).toEndWith(`\n    ${hash}`);
    const [headOfOne, only] = eventsTable([event({ event_id: uuid })], terminal);
    expect(headOfOne).toBe("time      outcome    source  type          id");
    expect(only).toBe(`11:59:00  processed  stripe  invoice.paid  ${uuid}`);
  });

  test("is whole when it goes elsewhere than to a terminal", () => {
    const id = "evt_".padEnd(255, "x");
    expect(eventsTable([event({ event_id: id })], pipe).join("\n")).toContain(id);
  });

  test("has columns that line up with wide and combined characters", () => {
    const lines = columns(
      ["a", "b"],
      [
        ["日本", "x"],
        ["e\u0301", "x"],
        ["👩‍👩‍👧", "x"],
      ],
      { width: 80, flexible: [0] },
    );
    expect(new Set(lines.map((line) => Bun.stringWidth(line.replace(/[bx]$/, "")))).size).toBe(1);
  });

  test("cuts between characters, not within one", () => {
    const [, wide, combined] = columns(["a"], [["日".repeat(20)], ["e\u0301".repeat(20)]], {
      width: 10,
      flexible: [0],
    });
    expect([wide, combined]).toEqual(["日日…日日", `${"e\u0301".repeat(5)}…${"e\u0301".repeat(4)}`]);
  });
});

test("failures name the line of the handler", () => {
  const at = "handlers/stripe/invoice.paid.sql:7";
  const group = { ...failure, at, types: ["invoice.paid"], count: 2, latest_event_id: "evt_1" };
  expect(failureGroupsText([group], pipe)).toContain(`yesterday\n  at ${at}\n  types invoice.paid\n`);
  const [, first, second] = failuresTable([{ ...failure, at }], terminal);
  expect(`${first}\n${second}`).toEndWith(`\n    ${at} handler_error: no such customer: cus_1, …`);
});

describe("text from outside", () => {
  const hostileFailure = { ...failure, event_id: HOSTILE, type: HOSTILE, handler: HOSTILE, error: HOSTILE };
  const group = { ...hostileFailure, types: [HOSTILE], count: 2, latest_event_id: HOSTILE };
  const hostile = { event_id: HOSTILE, type: HOSTILE, handler: HOSTILE };
  for (const [name, text] of [
    ["events", eventsTable([event(hostile)], pipe).join("\n")],
    ["events --follow", eventLine(event(hostile), pipe)],
    ["failures", failureGroupsText([group], pipe)],
    ["failures with a filter", failuresTable([hostileFailure], pipe).join("\n")],
    [
      "event",
      eventReport(
        detail({
          ...hostile,
          payload: { [HOSTILE]: HOSTILE },
          headers: { "x-evil": HOSTILE },
          reason: HOSTILE,
          failure: {
            ...hostileFailure,
            stack: `Error: ${HOSTILE}\n    at handlers/${HOSTILE}`,
            next_at: null,
            accepted_at: null,
          },
        }),
        pipe,
      ),
    ],
  ] as const)
    test(`cannot act on the terminal or imitate another line: ${name}`, () => {
      expect(text.replaceAll("\n", "")).not.toMatch(ACTIVE);
      expect(text).toContain(String.raw`\u001b[2J`);
      for (const line of text.split("\n")) expect(line).not.toStartWith("hookonce:");
    });

  test("a line of 1 MiB is cut, and says how much is missing", () => {
    const text = eventReport(detail({ payload: { note: "x".repeat(1024 ** 2) } }), pipe);
    expect(text.length).toBeLessThan(5000);
    expect(text).toMatch(/… \(1,046,\d{3} more characters\)/);
  });

  test("a payload that is 900 levels deep takes 200 lines", () => {
    const payload = JSON.parse(`${'{"a":'.repeat(900)}1${"}".repeat(900)}`) as unknown;
    const lines = eventReport(detail({ payload }), pipe).split("\n");
    expect(lines.length).toBeLessThan(230);
    expect(lines.at(-1)).toBe("  … 1,601 more lines: --json prints all");
  });
});

test("an event says in one sentence what became of it", () => {
  expect(eventReport(detail({ replays: 1, deliveries: 1 }), pipe).split("\n")[1]).toBe(
    "Received 11-27 11:59:00 (1 min ago). Applied by handlers/stripe/invoice.paid.sql and replayed once. The last run changed 1 row in 0.4 ms.",
  );
  expect(eventReport(detail(), pipe)).toBe(`evt_1  source stripe  type invoice.paid
Received 11-27 11:59:00 (1 min ago). Applied once by handlers/stripe/invoice.paid.sql, changed 1 row in 0.4 ms. It was delivered 3 times.

Deliveries
     1  11-27 11:59:00  processed
     …
    14  11-27 11:59:59  duplicate, with another body

Headers
  content-type  application/json

Payload, 14 bytes
  {
    "id": "evt_1"
  }`);
  expect(eventReport(detail({ outcome: "ignored", same_as: "evt_0" }), pipe)).toContain(
    "Ignored: it has the same body as the event evt_0 (same_body).",
  );
  const failedFirst = { number: 1, at: now - 60_000, outcome: "failed", changed_body: false } as const;
  const copy = { number: 2, at: now, outcome: "duplicate", changed_body: false } as const;
  const applied = detail({
    timeline: [failedFirst, copy],
    settled: { at: now - 2000, outcome: "processed", actor: "ada" },
    reason: "The handler is mended.",
  });
  expect(eventReport(applied, pipe)).toContain("\nReason: The handler is mended.\n");
  expect(eventReport(applied, pipe)).toContain(`
     1  11-27 11:59:00  failed
        11-27 11:59:58  applied, ordered by ada
     2  11-27 12:00:00  duplicate
`);
  expect(eventReport({ ...applied, timeline: [failedFirst] }, pipe)).toContain(
    "  failed\n        11-27 11:59:58  applied, ordered by ada\n",
  );
  const owed = detail({
    outcome: "unhandled",
    handler: null,
    rows_changed: null,
    duration_us: null,
    deliveries: 1,
  });
  expect(eventReport(owed, pipe)).toContain(
    "Owed: there was no handler for its type. To run it, add one, run hookonce reload if serve runs, and run hookonce apply.",
  );
  const bare = detail({ outcome: "ignored", bytes: null, payload: null, headers: {} });
  expect(eventReport(bare, pipe)).toEndWith("The body is not stored.");
});

test("on a terminal, a header that is too wide for its line has a line below", () => {
  const headers = { "content-type": "application/json", "x-hub-signature-256": `sha256=${"0".repeat(64)}` };
  const lines = eventReport(detail({ headers }), terminal).split("\n");
  expect(lines).toContain("  content-type         application/json");
  const at = lines.indexOf("  x-hub-signature-256");
  expect(lines[at + 1]).toBe(`    sha256=${"0".repeat(64)}`);
  expect(lines.slice(at - 1, at + 2).every((line) => line.length <= 80)).toBe(true);
  expect(eventReport(detail({ headers }), pipe)).toContain(`  x-hub-signature-256  sha256=${"0".repeat(64)}`);
});

const messageText = (kind: MessageDetail["kind"], status: number | null): string =>
  messageReport(
    {
      id: "msg_1",
      destination: "deploy",
      source: "github",
      event_id: "evt_1",
      type: "push",
      state: "waiting",
      attempts: 1,
      created_at: now,
      next_at: now + 40_000,
      last_status: status,
      last_error: null,
      settled_at: null,
      reason: null,
      kind,
      timeline: [{ number: 1, at: now, ms: 2000, status, error: null, answer: "" }],
    },
    pipe,
  );

test("an attempt of a command has its exit code, and one to a URL its status", () => {
  expect(messageText("command", 1)).toContain("  exit 1 after 2.0 s");
  expect(messageText("command", null)).toContain("  no exit code after 2.0 s");
  expect(messageText("url", 503)).toContain("  503 in 2.0 s");
  expect(messageText("url", null)).toContain("  no answer in 2.0 s");
  expect(messageText(null, 1)).toContain("  1 in 2.0 s");
});
