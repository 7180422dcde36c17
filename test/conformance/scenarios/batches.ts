import { apply, batchOf, batchShop, deliver, discard, replay, sourceWith } from "../jobs.ts";
import { corrected, none, type Scenario } from "./scenario.ts";

const sameBody = sourceWith({ sameBody: true });

/** Deliveries that carry several events, and `same_body = "duplicate"`. */
export const batches: readonly Scenario[] = [
  // Batches.
  {
    name: "a batch is stored once, however many events it brought",
    steps: [{ jobs: batchOf([["a"], ["b", { type: "other" }], ["c"]]) }],
    answers: ["processed", "unhandled", "processed"],
    effects: ["a 1", "c 1"],
    events: ["a processed", "b unhandled", "c processed"],
    bodies: 1,
  },
  {
    name: "each event of a batch fails alone, and a batch of failures stores no body",
    steps: [
      {
        jobs: batchOf([
          ["a", { fail: true }],
          ["b", { fail: true }],
        ]),
      },
      { jobs: batchOf([["c"], ["d", { fail: true }], ["e"]]) },
    ],
    answers: [
      "failed handler_error",
      "failed handler_error",
      "processed",
      "failed handler_error",
      "processed",
    ],
    effects: ["c 1", "e 1"],
    events: ["c processed", "e processed"],
    failures: ["a handler_error", "b handler_error", "d handler_error"],
    bodies: 1,
  },
  {
    name: "an event that comes again in another batch is compared by its own part",
    steps: [
      { jobs: [...batchOf([["a"], ["b"]]), ...batchOf([["b"], ["c"]]), ...batchOf([["c", { cents: 9 }]])] },
    ],
    answers: ["processed", "processed", "duplicate", "processed", "duplicate, changed body"],
    effects: ["a 1", "b 1", "c 1"],
    events: ["a processed", "b processed ×2", "c processed ×2, 1 changed"],
    bodies: 2,
  },
  {
    name: "an unhandled event of a batch is applied with its own part",
    steps: [
      {
        handlers: none,
        jobs: batchOf([
          ["a", { cents: 3 }],
          ["b", { cents: 4 }],
        ]),
      },
      { jobs: [apply("b", { source: batchShop }), apply("a", { source: batchShop })] },
    ],
    answers: ["unhandled", "unhandled", "processed", "processed"],
    effects: ["b 4", "a 3"],
    events: ["a processed", "b processed"],
    bodies: 1,
  },
  {
    name: "a failed event of a batch is applied with its own part, and its batch brings a duplicate",
    steps: [
      {
        jobs: [
          ...batchOf([
            ["a", { cents: 3 }],
            ["b", { cents: 4, fail: true }],
          ]),
          deliver("c"),
        ],
      },
      {
        handlers: corrected,
        jobs: [
          apply("b", { source: batchShop }),
          ...batchOf([
            ["b", { cents: 4, fail: true }],
            ["a", { cents: 3 }],
          ]),
          ...batchOf([["b", { cents: 5, fail: true }]]),
        ],
      },
    ],
    answers: [
      "processed",
      "failed handler_error",
      "processed",
      "processed",
      "duplicate",
      "duplicate",
      "duplicate, changed body",
    ],
    effects: ["a 3", "c 1", "b 4"],
    events: ["a processed ×2", "c processed", "b processed ×3, 1 changed"],
    settled: ["b"],
  },

  // same_body = "duplicate".
  {
    name: "same_body: the same bytes under another id are the same event",
    steps: [
      {
        jobs: [
          deliver("a", { source: sameBody, body: "{}" }),
          deliver("b", { source: sameBody, body: "{}" }),
          deliver("b", { source: sameBody, body: "{}" }),
          deliver("c", { source: sameBody, body: "[]" }),
        ],
      },
    ],
    answers: ["processed", "duplicate", "duplicate", "processed"],
    effects: ["a 0", "c 0"],
    events: ["a processed ×3", "c processed"],
  },
  {
    name: "same_body compares within one source",
    steps: [
      {
        jobs: [
          deliver("a", { source: sameBody, body: "{}" }),
          deliver("b", {
            source: sourceWith({ name: "branch", handlersOf: "shop", sameBody: true }),
            body: "{}",
          }),
        ],
      },
    ],
    answers: ["processed", "processed"],
    effects: ["a 0", "b 0"],
    events: ["a processed", "b processed"],
  },
  {
    name: "same_body: all elements of a batch are processed",
    steps: [
      {
        jobs: batchOf([
          ["a", { source: sameBody }],
          ["b", { source: sameBody }],
          ["c", { source: sameBody }],
        ]),
      },
    ],
    answers: ["processed", "processed", "processed"],
    effects: ["a 1", "b 1", "c 1"],
    events: ["a processed", "b processed", "c processed"],
    bodies: 1,
  },
  {
    name: "same_body: a batch again under other ids is a duplicate of each element's own bytes",
    steps: [
      {
        jobs: batchOf([
          ["1/a", { source: sameBody }],
          ["1/b", { source: sameBody }],
        ]),
      },
      {
        jobs: batchOf([
          ["2/b", { source: sameBody }],
          ["2/a", { source: sameBody }],
          ["2/c", { source: sameBody }],
        ]),
      },
    ],
    answers: ["processed", "processed", "duplicate", "duplicate", "processed"],
    effects: ["1/a 1", "1/b 1", "2/c 1"],
    events: ["1/a processed ×2", "1/b processed ×2", "2/c processed"],
    bodies: 2,
  },
  {
    name: "same_body: two elements with the same bytes in one batch are one event",
    steps: [
      {
        jobs: batchOf([
          ["1/a", { source: sameBody }],
          ["2/a", { source: sameBody }],
        ]),
      },
    ],
    answers: ["processed", "duplicate"],
    effects: ["1/a 1"],
    events: ["1/a processed ×2"],
    bodies: 1,
  },
  {
    name: "same_body: a failure is settled when the same bytes are applied under another id",
    steps: [
      { jobs: [deliver("a", { source: sameBody, body: '{"fail":true}' })] },
      {
        handlers: corrected,
        jobs: [
          deliver("b", { source: sameBody, body: '{"fail":true}' }),
          apply("a", { source: sameBody }),
          apply("a", { source: sameBody }),
        ],
      },
      { jobs: [deliver("a", { source: sameBody, body: '{"fail":true}' })] },
    ],
    answers: ["failed handler_error", "processed", "duplicate", "duplicate", "duplicate"],
    effects: ["b 0"],
    events: ["b processed ×2", "a ignored"],
    bodies: 1,
    settled: ["a"],
  },
  {
    name: "same_body: a delivery of a failed event settles it when its bytes were applied under another id",
    steps: [
      { jobs: [deliver("a", { source: sameBody, body: '{"fail":true}' })] },
      {
        handlers: corrected,
        jobs: [
          deliver("b", { source: sameBody, body: '{"fail":true}' }),
          deliver("a", { source: sameBody, body: '{"fail":true}' }),
        ],
      },
    ],
    answers: ["failed handler_error", "processed", "duplicate"],
    effects: ["b 0"],
    events: ["b processed ×2", "a ignored"],
    bodies: 1,
    settled: ["a"],
  },
  {
    name: "same_body: of two failures with the same bytes one is applied, and the other is ignored for good",
    steps: [
      {
        jobs: ["a", "b"].map((id) => deliver(id, { source: sameBody, body: '{"fail":true}' })),
      },
      {
        handlers: corrected,
        jobs: [
          ...["a", "b", "b"].map((id) => apply(id, { source: sameBody })),
          replay("b", { source: sameBody }),
          discard("b", { source: sameBody }),
          deliver("b", { source: sameBody, body: '{"fail":true}' }),
          deliver("a", { source: sameBody, body: '{"fail":true}' }),
        ],
      },
    ],
    answers: [
      "failed handler_error",
      "failed handler_error",
      "processed",
      "duplicate",
      "duplicate",
      "duplicate",
      "duplicate",
      "duplicate",
      "duplicate",
    ],
    effects: ["a 0"],
    events: ["a processed ×3", "b ignored"],
    settled: ["a", "b"],
    bodies: 1,
  },
  {
    name: "same_body: an ignored event whose handler fails on other bytes is owed, and not ignored any more",
    steps: [
      {
        jobs: ["a", "b"].map((id) => deliver(id, { source: sameBody, body: '{"fail":true}' })),
      },
      { handlers: corrected, jobs: ["a", "b"].map((id) => apply(id, { source: sameBody })) },
      { jobs: [deliver("b", { source: sameBody, body: '{"fail":true,"cents":2}' })] },
    ],
    answers: [
      "failed handler_error",
      "failed handler_error",
      "processed",
      "duplicate",
      "failed handler_error",
    ],
    effects: ["a 0"],
    events: ["a processed"],
    failures: ["b handler_error ×2, 2 deliveries"],
    settled: ["a"],
  },
  {
    name: "same_body: a settled failure is open again when its event fails with other bytes",
    steps: [
      { jobs: [deliver("a", { source: sameBody, body: '{"fail":true}' })] },
      {
        handlers: corrected,
        jobs: [
          deliver("b", { source: sameBody, body: '{"fail":true}' }),
          deliver("a", { source: sameBody, body: '{"fail":true}' }),
        ],
      },
      { jobs: [deliver("a", { source: sameBody, body: '{"fail":true,"cents":2}' })] },
      { handlers: corrected, jobs: [apply("a", { source: sameBody })] },
      { jobs: [deliver("a", { source: sameBody, body: '{"fail":true,"cents":3}' })] },
    ],
    answers: [
      "failed handler_error",
      "processed",
      "duplicate",
      "failed handler_error",
      "processed",
      "duplicate, changed body",
    ],
    effects: ["b 0", "a 2"],
    events: ["b processed ×2", "a processed ×3, 1 changed"],
    settled: ["a"],
  },
  {
    name: "same_body: a copy of an unhandled event under another id applies that event",
    steps: [
      { handlers: none, jobs: [deliver("a", { source: sameBody, body: '{"cents":2}' })] },
      {
        jobs: [
          deliver("b", { source: sameBody, body: '{"cents":2}' }),
          deliver("a", { source: sameBody, body: '{"cents":2}' }),
        ],
      },
    ],
    answers: ["unhandled", "processed", "duplicate"],
    effects: ["a 2"],
    events: ["a processed ×3"],
  },
  {
    name: "same_body: a recorded id counts before the bytes of another event",
    steps: [
      {
        handlers: none,
        jobs: [
          deliver("a", { source: sameBody, cents: 2, body: '{"cents":2}' }),
          deliver("b", { source: sameBody, body: '{"cents":3}' }),
        ],
      },
      {
        jobs: [
          deliver("b", { source: sameBody, body: '{"cents":2}' }),
          deliver("a", { source: sameBody, body: '{"cents":2}' }),
        ],
      },
    ],
    answers: ["unhandled", "unhandled", "processed, changed body", "processed"],
    effects: ["b 3", "a 2"],
    events: ["a processed ×2", "b processed ×2, 1 changed"],
  },
];
