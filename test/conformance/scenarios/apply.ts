import { apply, deliver, sourceWith } from "../jobs.ts";
import { corrected, none, type Scenario } from "./scenario.ts";

const failing = sourceWith({ unhandled: "fail" });
const unreadable = sourceWith({ payloadOf: () => undefined });

/** Events that `apply` runs, and its races with deliveries. */
export const applied: readonly Scenario[] = [
  {
    name: "apply runs an unhandled event that has a handler now, once",
    steps: [
      { handlers: none, jobs: [deliver("a", { cents: 4 })] },
      { jobs: [apply("a"), apply("a"), deliver("a", { cents: 4 })] },
    ],
    answers: ["unhandled", "processed", "duplicate", "duplicate"],
    effects: ["a 4"],
    events: ["a processed ×2"],
  },
  {
    name: "apply changes nothing of an event without a handler, a processed one and an unknown one",
    steps: [{ jobs: [deliver("a", { type: "other" }), deliver("b"), apply("a"), apply("b"), apply("c")] }],
    answers: ["unhandled", "processed", "unhandled", "duplicate", "duplicate"],
    effects: ["b 1"],
    events: ["a unhandled", "b processed"],
  },
  {
    name: "apply runs a failure with its latest body, and counts no delivery",
    steps: [
      {
        jobs: [deliver("a", { cents: 1, fail: true }), deliver("a", { cents: 2, fail: true }), apply("a")],
      },
      { handlers: corrected, jobs: [apply("a"), apply("a"), deliver("a", { cents: 2, fail: true })] },
    ],
    answers: [
      "failed handler_error",
      "failed handler_error",
      "failed handler_error",
      "processed",
      "duplicate",
      "duplicate",
    ],
    effects: ["a 2"],
    events: ["a processed ×3"],
    settled: ["a"],
  },
  {
    name: "apply that fails again is an attempt and no delivery",
    steps: [{ jobs: [deliver("a", { fail: true }), apply("a"), apply("a")] }],
    answers: ["failed handler_error", "failed handler_error", "failed handler_error"],
    failures: ["a handler_error ×3, 1 delivery"],
  },
  {
    name: "apply leaves a failure as it is if its handler is gone",
    steps: [{ jobs: [deliver("a", { fail: true })] }, { handlers: none, jobs: [apply("a")] }],
    answers: ["failed handler_error", "failed"],
    failures: ["a handler_error"],
  },
  {
    name: 'apply of a failure of unhandled = "fail" still says that there is no handler, and is no attempt',
    steps: [
      { handlers: none, jobs: [deliver("a", { source: failing }), apply("a", { source: failing })] },
      { jobs: [apply("a", { source: failing })] },
    ],
    answers: ["failed no_handler", "failed no_handler", "processed"],
    effects: ["a 1"],
    events: ["a processed"],
    settled: ["a"],
  },
  {
    name: "apply of an event that a delivery has applied meanwhile runs nothing",
    steps: [
      { handlers: none, jobs: [deliver("a")] },
      { jobs: [deliver("b", { fail: true })] },
      { jobs: [deliver("a"), apply("a"), deliver("b"), apply("b")] },
    ],
    answers: ["unhandled", "failed handler_error", "processed", "duplicate", "processed", "duplicate"],
    effects: ["a 1", "b 1"],
    events: ["a processed ×2", "b processed ×2"],
    settled: ["b"],
  },
  {
    name: "a delivery of an event that apply has applied meanwhile is a duplicate",
    steps: [
      { handlers: none, jobs: [deliver("a")] },
      { jobs: [deliver("b", { fail: true, cents: 3 })] },
      {
        handlers: corrected,
        jobs: [apply("a"), deliver("a"), apply("b"), deliver("b", { fail: true, cents: 3 })],
      },
    ],
    answers: ["unhandled", "failed handler_error", "processed", "duplicate", "processed", "duplicate"],
    effects: ["a 1", "b 3"],
    events: ["a processed ×2", "b processed ×2"],
    settled: ["b"],
  },
  {
    name: "apply of a stored delivery that can no longer be read runs nothing, and the event stays owed",
    steps: [
      { handlers: none, jobs: [deliver("a")] },
      { jobs: [deliver("b", { fail: true })] },
      { jobs: [apply("a", { source: unreadable }), apply("b", { source: unreadable }), deliver("c")] },
    ],
    answers: [
      "unhandled",
      "failed handler_error",
      "failed stored_event_unreadable",
      "failed stored_event_unreadable",
      "processed",
    ],
    effects: ["c 1"],
    events: ["a unhandled", "c processed"],
    failures: ["b stored_event_unreadable ×2, 1 delivery"],
  },
  {
    name: "deliveries and apply share a commit, each with its own fate",
    steps: [
      { handlers: none, jobs: [deliver("u"), deliver("v", { fail: true })] },
      { jobs: [deliver("f", { fail: true })] },
      {
        jobs: [
          deliver("a"),
          apply("u"),
          deliver("b", { fail: true }),
          apply("v"),
          apply("f"),
          deliver("u"),
          deliver("f"),
          apply("f"),
          deliver("c"),
        ],
      },
    ],
    answers: [
      "unhandled",
      "unhandled",
      "failed handler_error",
      "processed",
      "processed",
      "failed handler_error",
      "failed handler_error",
      "failed handler_error",
      "duplicate",
      "processed",
      "duplicate",
      "processed",
    ],
    effects: ["a 1", "u 1", "f 1", "c 1"],
    events: ["u processed ×2", "v unhandled", "a processed", "f processed ×2", "c processed"],
    failures: ["b handler_error", "v handler_error, retried"],
    settled: ["f"],
  },
];
