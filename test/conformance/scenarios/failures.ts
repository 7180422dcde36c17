import { apply, deliver } from "../jobs.ts";
import { corrected, none, type Scenario } from "./scenario.ts";

/** Events whose handler fails, in every way in which one can. */
export const failures: readonly Scenario[] = [
  {
    name: "a failing event leaves a failure, and nothing that its handler wrote",
    steps: [{ jobs: [deliver("a", { fail: true })] }],
    answers: ["failed handler_error"],
    failures: ["a handler_error"],
  },
  {
    name: "each delivery of a failing event runs it again",
    steps: [
      { jobs: [deliver("a", { fail: true }), deliver("a", { fail: true }), deliver("a", { fail: true })] },
    ],
    answers: ["failed handler_error", "failed handler_error", "failed handler_error"],
    failures: ["a handler_error ×3, 3 deliveries"],
  },
  {
    name: "a failed event is applied once by the delivery that succeeds",
    steps: [{ jobs: [deliver("a", { fail: true }), deliver("a", { cents: 5 }), deliver("a", { cents: 5 })] }],
    answers: ["failed handler_error", "processed", "duplicate"],
    effects: ["a 5"],
    events: ["a processed ×3"],
    settled: ["a"],
  },
  {
    name: "a failing event does not harm the others",
    steps: [
      {
        jobs: [
          deliver("a"),
          deliver("b", { fail: true }),
          deliver("c"),
          deliver("a"),
          deliver("b", { fail: true }),
        ],
      },
    ],
    answers: ["processed", "failed handler_error", "processed", "duplicate", "failed handler_error"],
    effects: ["a 1", "c 1"],
    events: ["a processed ×2", "c processed"],
    failures: ["b handler_error ×2, 2 deliveries"],
  },
  {
    name: "a failed event whose handler is gone is stored as unhandled, and applied when there is one again",
    steps: [
      { jobs: [deliver("a", { fail: true })] },
      { handlers: none, jobs: [deliver("a", { cents: 2 })] },
      { jobs: [apply("a")] },
    ],
    answers: ["failed handler_error", "unhandled", "processed"],
    effects: ["a 2"],
    events: ["a processed ×2"],
    settled: ["a"],
  },
  {
    name: "an unhandled event whose new handler fails is in both tables, and applied once in the end",
    steps: [
      { handlers: none, jobs: [deliver("a", { fail: true })] },
      { jobs: [deliver("a"), apply("a")] },
      { handlers: corrected, jobs: [deliver("a", { fail: true }), apply("a")] },
    ],
    answers: ["unhandled", "failed handler_error", "failed handler_error", "processed", "duplicate"],
    effects: ["a 1"],
    events: ["a processed ×3, 1 changed"],
    settled: ["a"],
  },
  {
    name: "a COMMIT that fails on a constraint costs only the event that caused it",
    steps: [
      {
        jobs: [
          deliver("a"),
          deliver("b", { type: "failAtCommit", fail: true }),
          deliver("c"),
          deliver("d", { type: "failAtCommit" }),
        ],
      },
    ],
    answers: ["processed", "failed constraint_at_commit", "processed", "processed"],
    effects: ["a 1", "c 1", "d 1"],
    events: ["a processed", "c processed", "d processed"],
    failures: ["b constraint_at_commit"],
  },
  {
    name: "a constraint at COMMIT fails an unhandled event that is applied, and leaves it owed",
    steps: [
      { handlers: none, jobs: [deliver("a", { type: "failAtCommit", fail: true })] },
      { jobs: [apply("a"), deliver("b"), deliver("a", { type: "failAtCommit", fail: true })] },
    ],
    answers: ["unhandled", "failed constraint_at_commit", "processed", "failed constraint_at_commit"],
    effects: ["b 1"],
    events: ["a unhandled ×2", "b processed"],
    failures: ["a constraint_at_commit ×2, 2 deliveries, retried"],
  },
  {
    needs: "endTransaction",
    name: "an event that rolls the whole transaction back costs only itself",
    steps: [
      {
        jobs: [
          deliver("a"),
          deliver("b", { type: "endTransaction", fail: true }),
          deliver("c"),
          deliver("a"),
          deliver("d", { type: "endTransaction" }),
        ],
      },
    ],
    answers: ["processed", "failed handler_ended_transaction", "processed", "duplicate", "processed"],
    effects: ["a 1", "c 1", "d 1"],
    events: ["a processed ×2", "c processed", "d processed"],
    failures: ["b handler_ended_transaction"],
  },
  {
    needs: "endTransaction",
    name: "all ways to fail in one batch are recorded, each with its cause",
    steps: [
      {
        jobs: [
          deliver("a", { type: "endTransaction", fail: true }),
          deliver("b", { type: "failAtCommit", fail: true }),
          deliver("c", { fail: true }),
          deliver("d", { type: "reply", fail: true }),
          deliver("e"),
        ],
      },
    ],
    answers: [
      "failed handler_ended_transaction",
      "failed constraint_at_commit",
      "failed handler_error",
      "failed handler_error",
      "processed",
    ],
    effects: ["e 1"],
    events: ["e processed"],
    failures: ["a handler_ended_transaction", "b constraint_at_commit", "c handler_error", "d handler_error"],
  },

  {
    name: "an error text with a NUL and half a character fails its event alone",
    steps: [{ jobs: [deliver("a"), deliver("b", { type: "oddError" }), deliver("c")] }],
    answers: ["processed", "failed handler_error", "processed"],
    effects: ["a 1", "c 1"],
    events: ["a processed", "c processed"],
    failures: ["b handler_error"],
  },
  {
    name: "failures are in the order received, also behind one that only COMMIT refuses",
    steps: [
      {
        jobs: [
          deliver("a", { type: "failAtCommit", fail: true }),
          deliver("b", { fail: true }),
          deliver("c", { type: "reply", fail: true }),
          deliver("d"),
        ],
      },
    ],
    answers: ["failed constraint_at_commit", "failed handler_error", "failed handler_error", "processed"],
    effects: ["d 1"],
    events: ["d processed"],
    failures: ["a constraint_at_commit", "b handler_error", "c handler_error"],
  },
  {
    name: "the failure of an event that was unhandled is in the order of that delivery",
    steps: [
      { handlers: none, jobs: [deliver("a", { fail: true })] },
      { jobs: [deliver("a", { fail: true }), deliver("b"), deliver("c", { fail: true })] },
    ],
    answers: ["unhandled", "failed handler_error", "processed", "failed handler_error"],
    effects: ["b 1"],
    events: ["a unhandled ×2", "b processed"],
    failures: ["a handler_error, retried", "c handler_error"],
    bodies: 2,
  },
];
