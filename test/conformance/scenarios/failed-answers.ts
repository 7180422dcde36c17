import type { EventSource } from "../../../src/engines/engine.ts";
import {
  apply,
  batchOf,
  batchShop,
  deliver,
  discard,
  pause,
  resume,
  retry,
  runHeld,
  sourceWith,
} from "../jobs.ts";
import { corrected, none, type Scenario } from "./scenario.ts";
import { withRule } from "./newest-wins.ts";

const afterTwo = sourceWith({ maxFailedAnswers: 2 });
const atOnce = sourceWith({ maxFailedAnswers: 0 });
const strict = sourceWith({ maxFailedAnswers: 1, unhandled: "fail" });
const sameBody = sourceWith({ maxFailedAnswers: 1, sameBody: true });
const batched: EventSource = Object.freeze({ ...batchShop, maxFailedAnswers: 1 });
const ordered: EventSource = Object.freeze({ ...withRule("fail"), maxFailedAnswers: 1 });

const fails = (id: string, source: EventSource, cents = 1) => deliver(id, { source, fail: true, cents });
const versioned = (id: string, fail = false) =>
  deliver(id, { source: ordered, body: JSON.stringify({ id, cents: 1, fail, key: "k", version: 1 }) });

/** `max_failed_answers`: how deliveries of an event are answered that fails again and again. */
export const failedAnswers: readonly Scenario[] = [
  {
    name: "after max_failed_answers the next delivery is accepted, and hookonce itself runs the event again",
    steps: [
      { jobs: [fails("a", afterTwo), fails("a", afterTwo)] },
      { jobs: [fails("a", afterTwo), fails("a", afterTwo)] },
      { jobs: [retry("a", { source: afterTwo })] },
      { handlers: corrected, jobs: [retry("a", { source: afterTwo }), fails("a", afterTwo)] },
    ],
    answers: [
      ["failed handler_error", "failed handler_error"],
      ["failed handler_error, accepted", "failed handler_error, accepted"],
      ["failed handler_error", "processed", "duplicate"],
    ].flat(),
    effects: ["a 1"],
    events: ["a processed ×5"],
    settled: ["a"],
  },
  {
    name: "before that, a failure is not run again without retry_for",
    steps: [{ jobs: [fails("a", afterTwo), fails("a", afterTwo)] }],
    answers: ["failed handler_error", "failed handler_error"],
    failures: ["a handler_error ×2, 2 deliveries"],
  },
  {
    name: "max_failed_answers = 0 accepts the first failure",
    steps: [{ jobs: [fails("a", atOnce), deliver("b", { source: atOnce })] }],
    answers: ["failed handler_error, accepted", "processed"],
    effects: ["b 1"],
    events: ["b processed"],
    failures: ["a handler_error, retried"],
  },
  {
    name: "own retries and apply are no answers, and an accepted failure that they cannot apply is run again",
    steps: [
      {
        jobs: [
          fails("a", afterTwo),
          retry("a", { source: afterTwo }),
          apply("a", { source: afterTwo }),
          retry("a", { source: afterTwo }),
          fails("a", afterTwo),
          fails("a", afterTwo),
          apply("a", { source: afterTwo }),
        ],
      },
    ],
    answers: [
      ...Array.from({ length: 5 }, () => "failed handler_error"),
      "failed handler_error, accepted",
      "failed handler_error",
    ],
    failures: ["a handler_error ×7, 3 deliveries, retried"],
  },
  {
    name: "each event is counted by itself",
    steps: [
      { jobs: [fails("a", afterTwo), fails("b", afterTwo), fails("a", afterTwo), fails("c", afterTwo)] },
    ],
    answers: Array.from({ length: 4 }, () => "failed handler_error"),
    failures: ["a handler_error ×2, 2 deliveries", "b handler_error", "c handler_error"],
  },
  {
    name: "of a batch, each event is counted and accepted by itself, and what succeeds is no failed answer",
    steps: [
      {
        jobs: [
          ...batchOf([
            ["a", { source: batched, fail: true }],
            ["b", { source: batched }],
          ]),
          ...batchOf([
            ["a", { source: batched, fail: true }],
            ["b", { source: batched }],
            ["c", { source: batched, fail: true }],
          ]),
          ...batchOf([
            ["a", { source: batched, fail: true }],
            ["c", { source: batched, fail: true }],
          ]),
        ],
      },
    ],
    answers: [
      ["failed handler_error", "processed"],
      ["failed handler_error, accepted", "duplicate", "failed handler_error"],
      ["failed handler_error, accepted", "failed handler_error, accepted"],
    ].flat(),
    effects: ["b 1"],
    events: ["b processed ×2"],
    failures: ["a handler_error ×3, 3 deliveries, retried", "c handler_error ×2, 2 deliveries, retried"],
    bodies: 1,
  },
  {
    name: 'an event that unhandled = "fail" fails is accepted, too, and applied once it has a handler',
    steps: [
      { handlers: none, jobs: [deliver("a", { source: strict }), deliver("a", { source: strict })] },
      { handlers: none, jobs: [retry("a", { source: strict })] },
      { jobs: [retry("a", { source: strict })] },
    ],
    answers: ["failed no_handler", "failed no_handler, accepted", "failed no_handler", "processed"],
    effects: ["a 1"],
    events: ["a processed ×2"],
    settled: ["a"],
  },
  {
    name: "an unhandled event was accepted, so hookonce runs it again when its new handler fails",
    steps: [
      { handlers: none, jobs: [fails("a", afterTwo), fails("b", afterTwo)] },
      { jobs: [apply("a", { source: afterTwo }), fails("b", afterTwo)] },
      { jobs: [retry("a", { source: afterTwo })] },
      { handlers: corrected, jobs: [retry("b", { source: afterTwo })] },
    ],
    answers: [
      ["unhandled", "unhandled"],
      ["failed handler_error", "failed handler_error"],
      ["failed handler_error", "processed"],
    ].flat(),
    effects: ["b 1"],
    events: ["a unhandled", "b processed ×2"],
    failures: ["a handler_error ×2, 1 delivery, retried"],
    settled: ["b"],
  },
  {
    name: "what was held was accepted, so hookonce runs it again when it fails",
    steps: [
      { jobs: [pause(), deliver("a", { fail: true }), resume(), runHeld(), runHeld()] },
      { jobs: [retry("a")] },
      { handlers: corrected, jobs: [retry("a"), retry("a")] },
    ],
    answers: [
      ["recorded", "held", "recorded", "failed handler_error", "none left"],
      ["failed handler_error", "processed", "duplicate"],
    ].flat(),
    effects: ["a 1"],
    events: ["a processed"],
    settled: ["a"],
  },
  {
    name: "a copy under another id is counted for the event that it repeats (same_body)",
    steps: [
      { handlers: none, jobs: [deliver("a", { source: sameBody, body: '{"fail":true}' })] },
      {
        jobs: ["b", "c"].map((id) => deliver(id, { source: sameBody, body: '{"fail":true}' })),
      },
    ],
    answers: ["unhandled", "failed handler_error", "failed handler_error, accepted"],
    events: ["a unhandled ×3"],
    failures: ["a handler_error ×2, 2 deliveries, retried"],
  },
  {
    name: "a copy under its earlier id is counted for the event that has failed",
    steps: [
      {
        jobs: [
          fails("a", afterTwo),
          deliver("present/a", { source: afterTwo, fail: true, earlierId: "a" }),
          deliver("present/a", { source: afterTwo, fail: true, earlierId: "a" }),
        ],
      },
    ],
    answers: ["failed handler_error", "failed handler_error", "failed handler_error, accepted"],
    failures: ["a handler_error ×3, 3 deliveries, retried"],
  },
  {
    name: "a tie is accepted and not run again, and it is run again when it fails for another reason",
    steps: [
      { jobs: [versioned("a"), versioned("b", true), versioned("b", true)] },
      { jobs: [retry("b", { source: ordered })] },
      { jobs: [Object.freeze({ kind: "apply", source: ordered, eventId: "b", at: 9000, isNamed: true })] },
    ],
    answers: [
      ["processed", "failed version_tie, accepted", "failed version_tie, accepted"],
      ["failed version_tie", "failed handler_error"],
    ].flat(),
    effects: ["a 1"],
    events: ["a processed"],
    failures: ["b handler_error ×4, 2 deliveries, retried"],
  },
  {
    name: "an accepted failure that is discarded is not run again",
    steps: [
      { jobs: [fails("a", atOnce), discard("a", { source: atOnce }), retry("a", { source: atOnce })] },
      { handlers: corrected, jobs: [retry("a", { source: atOnce }), fails("a", atOnce)] },
    ],
    answers: ["failed handler_error, accepted", "discarded", "duplicate", "duplicate", "duplicate"],
    events: ["a discarded ×2"],
    settled: ["a"],
  },
];
