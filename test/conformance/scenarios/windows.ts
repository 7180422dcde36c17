import { apply, deliver, discard, importOf, replay, retry, sourceWith } from "../jobs.ts";
import { corrected, none, type Scenario } from "./scenario.ts";

/** An id that means the same event for a second. */
const source = sourceWith({ dedupWindowMs: 1000 });

const at = (ms: number, options: { fail?: boolean; cents?: number } = {}) =>
  deliver("h", { source, at: ms, ...options });

/** Each sentence of `dedup_window`. */
export const windows: readonly Scenario[] = [
  {
    name: "within the window of its first receipt, which does not slide, a delivery is a duplicate",
    steps: [{ jobs: [at(5000), at(5900), at(6000), at(6001), at(6002), at(7001), at(7002)] }],
    answers: ["processed", "duplicate", "duplicate", "processed", "duplicate", "duplicate", "processed"],
    effects: ["h 1", "h 1", "h 1"],
    events: ["h processed ×3", "h processed ×3", "h processed"],
  },
  {
    name: "of deliveries that race at the end of the window, one is another event",
    steps: [{ jobs: [at(5000)] }, { jobs: [at(6001), at(6001), at(6001), at(6001)] }],
    answers: ["processed", "processed", "duplicate", "duplicate", "duplicate"],
    effects: ["h 1", "h 1"],
    events: ["h processed", "h processed ×4"],
  },
  {
    name: "without a window, an id means the same event for ever",
    steps: [{ jobs: [deliver("h", { at: 5000 }), deliver("h", { at: 9_000_000 })] }],
    answers: ["processed", "duplicate"],
    effects: ["h 1"],
    events: ["h processed ×2"],
  },
  {
    name: "only a processed event makes way: what is owed is still owed after the window",
    steps: [
      { handlers: none, jobs: [at(5000)] },
      { handlers: none, jobs: [at(9000)] },
      { jobs: [apply("h", { source, at: 9000 }), at(9001), at(10_000), at(10_001), at(10_002)] },
    ],
    answers: ["unhandled", "unhandled", "processed", "duplicate", "duplicate", "processed", "duplicate"],
    effects: ["h 1", "h 1"],
    events: ["h processed ×4", "h processed ×2"],
  },
  {
    name: "an event that was owed is protected for a window from the delivery that applied it, once",
    steps: [
      { handlers: none, jobs: [at(5000)] },
      { jobs: [at(5900), at(6001), at(6900), at(6901), at(6902)] },
    ],
    answers: ["unhandled", "processed", "duplicate", "duplicate", "processed", "duplicate"],
    effects: ["h 1", "h 1"],
    events: ["h processed ×4", "h processed ×2"],
  },
  {
    name: "a failure that its own retry applies after the window is protected from then on",
    steps: [
      { jobs: [at(5000, { fail: true })] },
      { handlers: corrected, jobs: [retry("h", { source, at: 8000 })] },
      { jobs: [at(8001), at(8001), at(9000), at(9001), at(9002)] },
    ],
    answers: [
      "failed handler_error",
      "processed",
      "duplicate, changed body",
      "duplicate, changed body",
      "duplicate, changed body",
      "processed",
      "duplicate",
    ],
    effects: ["h 1", "h 1"],
    events: ["h processed ×4, 3 changed", "h processed ×2"],
  },
  {
    name: "of deliveries that race to apply what is owed after the window, one applies it",
    steps: [
      { jobs: [at(5000, { fail: true })] },
      { handlers: corrected, jobs: [at(8000), at(8000), at(8000), retry("h", { source, at: 8000 })] },
    ],
    answers: ["failed handler_error", "processed", "duplicate", "duplicate", "duplicate"],
    effects: ["h 1"],
    events: ["h processed ×4"],
    settled: ["h"],
  },
  {
    name: "a failure after the window is another event, which is owed once and applied once",
    steps: [
      { jobs: [at(5000), at(6001, { fail: true }), at(6002, { fail: true })] },
      { handlers: corrected, jobs: [apply("h", { source }), apply("h", { source }), at(6003)] },
    ],
    answers: [
      "processed",
      "failed handler_error",
      "failed handler_error",
      "processed",
      "duplicate",
      "duplicate, changed body",
    ],
    effects: ["h 1", "h 1"],
    events: ["h processed", "h processed ×3, 1 changed"],
    settled: ["h"],
  },
  {
    name: "a failure counts its window from the delivery that settles it, and leaves no trace in the next era",
    steps: [
      { jobs: [at(5000, { fail: true }), at(6500), at(7500), at(7501), at(7502, { fail: true })] },
      { jobs: [at(8000)] },
    ],
    answers: [
      "failed handler_error",
      "processed",
      "duplicate",
      "processed",
      "duplicate, changed body",
      "duplicate",
    ],
    effects: ["h 1", "h 1"],
    events: ["h processed ×3", "h processed ×3, 1 changed"],
  },
  {
    name: "a replay does not move the window",
    steps: [{ jobs: [at(5000), replay("h", { source }), at(9001)] }],
    answers: ["processed", "processed", "processed"],
    effects: ["h 1", "h 1", "h 1"],
    events: ["h processed", "h processed"],
  },
  {
    name: "replay, discard and import take the newest event of an id",
    steps: [
      { jobs: [at(5000, { cents: 1 }), at(6001, { cents: 2 })] },
      { jobs: [replay("h", { source }), discard("h", { source }), importOf("h")] },
    ],
    answers: ["processed", "processed", "processed", "duplicate", "0 new, 1 known, 0 owed"],
    effects: ["h 1", "h 2", "h 2"],
    events: ["h processed", "h processed"],
  },
];
