import { apply, batchOf, deliver, importOf, shop, sourceWith } from "../jobs.ts";
import { corrected, none, type Scenario } from "./scenario.ts";

const ignoring = sourceWith({ unhandled: "ignore" });

/** The last moment at which the provider may retry an event of `importOf`, which was received at 500. */
const WINDOW_ENDS = 500 + shop.retryWindowMs;

/** The event `a` by the present rule. By an earlier one it was `a` alone. */
const a = (options: Parameters<typeof deliver>[1] = {}) =>
  deliver("present/a", { earlierId: "a", ...options });

/** Events that an earlier version of hookonce may have recorded under another id. */
export const earlierIds: readonly Scenario[] = [
  {
    name: "an event that is recorded under its earlier id is a duplicate, however old it is",
    steps: [{ jobs: [deliver("a")] }, { jobs: [a(), a({ at: 10 ** 12 }), a({ cents: 2 })] }],
    answers: ["processed", "duplicate", "duplicate", "duplicate, changed body"],
    effects: ["a 1"],
    events: ["a processed ×4, 1 changed"],
  },
  {
    name: "an event whose earlier id is not recorded has its present id",
    steps: [{ jobs: [a(), a()] }],
    answers: ["processed", "duplicate"],
    effects: ["present/a 1"],
    events: ["present/a processed ×2"],
  },
  {
    name: "another event that had the same earlier id is an event of its own",
    steps: [
      { jobs: [deliver("a")] },
      {
        jobs: [
          deliver("present/b", { earlierId: "a", cents: 2 }),
          a(),
          deliver("present/b", { earlierId: "a", cents: 2 }),
        ],
      },
    ],
    answers: ["processed", "processed", "duplicate", "duplicate"],
    effects: ["a 1", "present/b 2"],
    events: ["a processed ×2", "present/b processed ×2"],
  },
  {
    name: "an unhandled event is applied once, under its earlier id",
    steps: [{ handlers: none, jobs: [deliver("a")] }, { jobs: [a(), apply("a"), a()] }],
    answers: ["unhandled", "processed", "duplicate", "duplicate"],
    effects: ["a 1"],
    events: ["a processed ×3"],
  },
  {
    name: "a failure keeps its earlier id, and a later delivery settles it",
    steps: [
      { jobs: [deliver("a", { fail: true })] },
      { jobs: [a({ fail: true })] },
      { handlers: corrected, jobs: [a({ fail: true }), apply("a"), a({ fail: true })] },
    ],
    answers: ["failed handler_error", "failed handler_error", "processed", "duplicate", "duplicate"],
    effects: ["a 1"],
    events: ["a processed ×4"],
    settled: ["a"],
  },
  {
    name: "another event that had the same earlier id does not settle a failure",
    steps: [{ jobs: [deliver("a", { fail: true })] }, { jobs: [deliver("present/b", { earlierId: "a" })] }],
    answers: ["failed handler_error", "processed"],
    effects: ["present/b 1"],
    events: ["present/b processed"],
    failures: ["a handler_error"],
  },
  {
    name: "an event that its source ignored has no body, and its earlier id swallows no other event",
    steps: [
      { handlers: none, jobs: [deliver("a", { source: ignoring })] },
      { handlers: none, jobs: [a({ source: ignoring })] },
      {
        jobs: [
          a({ source: ignoring }),
          deliver("present/b", { source: ignoring, earlierId: "a", cents: 2 }),
          deliver("present/b", { source: ignoring, earlierId: "a", cents: 2 }),
        ],
      },
    ],
    answers: ["ignored", "ignored", "duplicate", "processed", "duplicate"],
    effects: ["present/b 2"],
    events: ["a ignored", "present/a ignored ×2", "present/b processed ×2"],
    bodies: 1,
  },
  {
    name: "an event that was imported under its earlier id is a duplicate while its provider may retry it",
    steps: [
      {
        jobs: [
          importOf("a"),
          a({ at: WINDOW_ENDS }),
          // A delivery does not extend the window.
          deliver("present/b", { earlierId: "a", cents: 2, at: WINDOW_ENDS + 1 }),
          deliver("present/b", { earlierId: "a", cents: 2, at: WINDOW_ENDS + 1 }),
        ],
      },
    ],
    answers: ["1 new, 0 known, 0 owed", "duplicate", "processed", "duplicate"],
    effects: ["present/b 2"],
    events: ["a imported", "present/b processed ×2"],
    bodies: 1,
  },
  {
    name: "an event of another type than the imported one is another event",
    steps: [{ jobs: [importOf("a"), a({ type: "writeEffect" })] }],
    answers: ["1 new, 0 known, 0 owed", "processed"],
    effects: ["present/a 1"],
    events: ["a imported ×0", "present/a processed"],
    bodies: 1,
  },
  {
    name: "an event of a batch that was imported under its earlier id is a duplicate for as long",
    steps: [
      {
        jobs: [
          importOf("a"),
          ...batchOf([["present/a", { earlierId: "a", at: WINDOW_ENDS }]]),
          ...batchOf([["present/b", { earlierId: "a", cents: 2, at: WINDOW_ENDS + 1 }]]),
        ],
      },
    ],
    answers: ["1 new, 0 known, 0 owed", "duplicate", "processed"],
    effects: ["present/b 2"],
    events: ["a imported", "present/b processed"],
    bodies: 1,
  },
  {
    name: "an event of a batch keeps its earlier id",
    steps: [
      { jobs: batchOf([["a"], ["b", { fail: true }]]) },
      {
        handlers: corrected,
        jobs: batchOf([
          ["present/b", { earlierId: "b", fail: true }],
          ["present/c", { earlierId: "c" }],
          ["present/a", { earlierId: "a" }],
        ]),
      },
    ],
    answers: ["processed", "failed handler_error", "processed", "processed", "duplicate"],
    effects: ["a 1", "b 1", "present/c 1"],
    events: ["a processed ×2", "b processed ×2", "present/c processed"],
    settled: ["b"],
    bodies: 2,
  },
];
