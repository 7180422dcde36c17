import { apply, deliver, sourceWith } from "../jobs.ts";
import { none, type Scenario } from "./scenario.ts";

const ignoring = sourceWith({ unhandled: "ignore" });
const failing = sourceWith({ unhandled: "fail" });
const changing = sourceWith({ requireChange: true });
const branch = sourceWith({ name: "branch", handlersOf: "shop" });
const stranger = sourceWith({ name: "stranger" });

/** New events, duplicates, events without a handler, and what handlers return. */
export const newEvents: readonly Scenario[] = [
  // New events and duplicates.
  {
    name: "a new event is applied once",
    steps: [{ jobs: [deliver("a", { cents: 5 })] }],
    answers: ["processed"],
    effects: ["a 5"],
    events: ["a processed"],
  },
  {
    name: "the same event again is a duplicate, and only its count changes",
    steps: [{ jobs: [deliver("a"), deliver("a"), deliver("a")] }],
    answers: ["processed", "duplicate", "duplicate"],
    effects: ["a 1"],
    events: ["a processed ×3"],
  },
  {
    name: "events are applied in the order of the jobs",
    steps: [{ jobs: ["c", "a", "d", "b"].map((id) => deliver(id)) }],
    answers: ["processed", "processed", "processed", "processed"],
    effects: ["c 1", "a 1", "d 1", "b 1"],
    events: ["c processed", "a processed", "d processed", "b processed"],
  },
  {
    name: "the same id in two sources is two events",
    steps: [{ jobs: [deliver("a"), deliver("a", { source: branch }), deliver("a", { source: stranger })] }],
    answers: ["processed", "processed", "unhandled"],
    effects: ["a 1", "a 1"],
    events: ["a processed", "a processed", "a unhandled"],
  },
  {
    name: "two events with the same bytes are both applied",
    steps: [{ jobs: [deliver("a", { body: '{"cents":3}' }), deliver("b", { body: '{"cents":3}' })] }],
    answers: ["processed", "processed"],
    effects: ["a 3", "b 3"],
    events: ["a processed", "b processed"],
  },
  {
    name: "ids are compared byte for byte",
    steps: [
      {
        jobs: ["a", "A", "é", "e\u0301", "a'b", "a/b", "💶", `${"x".repeat(254)}y`, "x".repeat(255)].map(
          (id) => deliver(id),
        ),
      },
    ],
    answers: Array.from({ length: 9 }, () => "processed"),
    effects: [
      "a 1",
      "A 1",
      "é 1",
      "e\u0301 1",
      "a'b 1",
      "a/b 1",
      "💶 1",
      `${"x".repeat(254)}y 1`,
      `${"x".repeat(255)} 1`,
    ],
    events: [
      "a processed",
      "A processed",
      "é processed",
      "e\u0301 processed",
      "a'b processed",
      "a/b processed",
      "💶 processed",
      `${"x".repeat(254)}y processed`,
      `${"x".repeat(255)} processed`,
    ],
  },
  {
    name: "a body that is not JSON reaches the handler as null",
    steps: [{ jobs: [deliver("a", { body: "cents=7" })] }],
    answers: ["processed"],
    effects: ["a 0"],
    events: ["a processed"],
  },
  {
    name: "the same event with another body is not applied again, and the difference is counted",
    steps: [{ jobs: [deliver("a"), deliver("a", { cents: 9 }), deliver("a"), deliver("a", { cents: 8 })] }],
    answers: ["processed", "duplicate, changed body", "duplicate", "duplicate, changed body"],
    effects: ["a 1"],
    events: ["a processed ×4, 2 changed"],
  },

  // Events without a handler.
  {
    name: "an event without a handler is stored and owed, and its copies are answered alike",
    steps: [{ jobs: [deliver("a", { type: "other" }), deliver("a", { type: "other" })] }],
    answers: ["unhandled", "unhandled"],
    events: ["a unhandled ×2"],
  },
  {
    name: "the next delivery applies an unhandled event that has a handler now, with the stored body",
    steps: [{ handlers: none, jobs: [deliver("a")] }, { jobs: [deliver("a", { cents: 9 }), deliver("a")] }],
    answers: ["unhandled", "processed, changed body", "duplicate"],
    effects: ["a 1"],
    events: ["a processed ×3, 1 changed"],
  },
  {
    name: 'unhandled = "ignore" keeps the id and no body, and nothing is owed later',
    steps: [
      { handlers: none, jobs: [deliver("a", { source: ignoring }), deliver("a", { source: ignoring })] },
      { jobs: [deliver("a", { source: ignoring }), apply("a", { source: ignoring })] },
    ],
    answers: ["ignored", "duplicate", "duplicate", "duplicate"],
    events: ["a ignored ×3"],
    bodies: 0,
  },
  {
    name: 'unhandled = "fail" records a failure and no event, until there is a handler',
    steps: [
      { handlers: none, jobs: [deliver("a", { source: failing }), deliver("b", { source: failing })] },
      { jobs: [deliver("a", { source: failing })] },
    ],
    answers: ["failed no_handler", "failed no_handler", "processed"],
    effects: ["a 1"],
    events: ["a processed ×2"],
    failures: ["b no_handler"],
    settled: ["a"],
  },
  {
    name: 'unhandled = "fail" does not fail an event that is recorded',
    steps: [
      { jobs: [deliver("a", { source: failing })] },
      { handlers: none, jobs: [deliver("a", { source: failing })] },
    ],
    answers: ["processed", "duplicate"],
    effects: ["a 1"],
    events: ["a processed ×2"],
  },
  {
    name: "a source runs the handlers of the source that it names",
    steps: [{ jobs: [deliver("a", { source: branch, cents: 4 })] }],
    answers: ["processed"],
    effects: ["a 4"],
    events: ["a processed"],
  },

  // Whether something changed.
  {
    name: "require_change fails an event whose handler changed no rows",
    steps: [
      {
        jobs: [deliver("a", { source: changing, type: "changeNothing" }), deliver("b", { source: changing })],
      },
    ],
    answers: ["failed no_rows_changed", "processed"],
    effects: ["b 1"],
    events: ["b processed"],
    failures: ["a no_rows_changed"],
  },
  {
    name: "require_change holds for apply too",
    steps: [
      { handlers: none, jobs: [deliver("a", { source: changing })] },
      { handlers: { credit: "changeNothing" }, jobs: [apply("a", { source: changing })] },
      { jobs: [apply("a", { source: changing })] },
    ],
    answers: ["unhandled", "failed no_rows_changed", "processed"],
    effects: ["a 1"],
    events: ["a processed"],
    settled: ["a"],
  },
  {
    name: "without require_change such an event is processed",
    steps: [{ jobs: [deliver("a", { type: "changeNothing" })] }],
    answers: ["processed"],
    events: ["a processed"],
  },

  // TypeScript handlers and replies.
  {
    name: "a reply is stored, and a duplicate gets the same, whatever its body",
    steps: [
      {
        jobs: [
          deliver("a", { type: "reply" }),
          deliver("a", { type: "reply" }),
          deliver("a", { type: "reply", cents: 9 }),
        ],
      },
    ],
    answers: ["processed, reply a: 1", "duplicate, reply a: 1", "duplicate, changed body, reply a: 1"],
    effects: ["a 1"],
    events: ["a processed ×3, 1 changed"],
  },
  {
    name: "a TypeScript handler that throws leaves no effect and no reply",
    steps: [
      {
        jobs: [
          deliver("a", { type: "reply", fail: true }),
          deliver("b", { type: "reply" }),
          deliver("a", { type: "reply", cents: 2 }),
        ],
      },
    ],
    answers: ["failed handler_error", "processed, reply b: 1", "processed, reply a: 2"],
    effects: ["b 1", "a 2"],
    events: ["b processed", "a processed ×2"],
    settled: ["a"],
  },
  {
    name: "a reply that apply made is kept and given to a later repeat",
    steps: [
      { handlers: none, jobs: [deliver("a", { type: "reply" }), deliver("b", { type: "reply" })] },
      {
        jobs: [
          apply("a"),
          deliver("a", { type: "reply" }),
          deliver("b", { type: "reply" }),
          deliver("b", { type: "reply" }),
        ],
      },
    ],
    answers: [
      "unhandled",
      "unhandled",
      "processed, reply a: 1",
      "duplicate, reply a: 1",
      "processed, reply b: 1",
      "duplicate, reply b: 1",
    ],
    effects: ["a 1", "b 1"],
    events: ["a processed ×2", "b processed ×3"],
  },
  {
    needs: "asyncHandlers",
    name: "a handler may be asynchronous: what it writes after an await belongs to its event",
    steps: [{ jobs: [deliver("a", { type: "later" }), deliver("b")] }],
    answers: ["processed", "processed"],
    effects: ["a 1", "b 1"],
    events: ["a processed", "b processed"],
  },
  {
    needs: "synchronousHandlers",
    name: "a handler that returns a promise has failed, and what it writes after an await is refused",
    steps: [{ jobs: [deliver("a", { type: "later" }), deliver("b")] }],
    answers: ["failed handler_async", "processed"],
    effects: ["b 1"],
    events: ["b processed"],
    failures: ["a handler_async"],
  },
];
