import type { EventSource, Job } from "../../../src/engines/engine.ts";
import {
  apply,
  applyAfterAll,
  batchOf,
  deliver,
  discard,
  importOf,
  pause,
  pauseOver,
  replay,
  resume,
  retry,
  runHeld,
  sourceWith,
  type Delivery,
  type DeliveryOptions,
} from "../jobs.ts";
import { corrected, none, type Scenario } from "./scenario.ts";
import { withRule } from "./newest-wins.ts";

const strict = sourceWith({ requireChange: true });
const failing = sourceWith({ unhandled: "fail" });
const ignoring = sourceWith({ unhandled: "ignore" });
const sameBody = sourceWith({ sameBody: true });
const windowed = sourceWith({ dedupWindowMs: 1000 });
const unreadable = sourceWith({ payloadOf: () => undefined });
const pausesAfterTwo = sourceWith({ holdAfter: 2 });
const ordered = withRule("fail");

/** The config says that test events are ignored. */
function ignored(job: Delivery): Job {
  return { ...job, event: { ...job.event, isTest: true, isIgnored: true } };
}

/** Runs so many held events. */
function runs(count: number, source?: EventSource): Job[] {
  return Array.from({ length: count }, () => runHeld(source === undefined ? {} : { source }));
}

/** An event of the key `k`. */
function versioned(id: string, version: number): Job {
  return deliver(id, { source: ordered, body: `{"id":"${id}","cents":1,"key":"k","version":${version}}` });
}

function deliveries(source: EventSource, list: readonly [id: string, options?: DeliveryOptions][]): Job[] {
  return list.map(([id, options]) => deliver(id, { ...options, source }));
}

const fails: DeliveryOptions = { fail: true };

/** A delivery of the event `a`, whose id means the same event for a second. */
const at = (ms: number, options: DeliveryOptions = {}): Job =>
  deliver("a", { ...options, source: windowed, at: ms });

/** What happens while a source is paused, and when it resumes. */
export const paused: readonly Scenario[] = [
  {
    name: "a paused source stores new events as held, and runs them in the order received when it resumes",
    steps: [
      { jobs: [pause(), deliver("a"), deliver("b", { cents: 2 }), deliver("c", { cents: 3 })] },
      { jobs: [resume(), ...runs(4), deliver("d", { cents: 4 })] },
    ],
    answers: [
      ["recorded", "held", "held", "held"],
      ["recorded", "processed", "processed", "processed", "none left", "processed"],
    ].flat(),
    effects: ["a 1", "b 2", "c 3", "d 4"],
    events: ["a processed", "b processed", "c processed", "d processed"],
  },
  {
    name: "while a source resumes, deliveries are still held, until a turn finds none left",
    steps: [
      { jobs: [pause(), deliver("a"), deliver("b")] },
      { jobs: [resume(), ...runs(1), deliver("c"), ...runs(1), deliver("b"), deliver("d"), ...runs(2)] },
      { jobs: [deliver("e"), ...runs(1), deliver("f"), ...runs(1), deliver("g"), ...runs(1)] },
    ],
    answers: [
      ["recorded", "held", "held"],
      ["recorded", "processed", "held", "processed", "duplicate", "held", "processed", "processed"],
      ["held", "processed", "held", "processed", "held", "processed"],
    ].flat(),
    effects: ["a 1", "b 1", "c 1", "d 1", "e 1", "f 1", "g 1"],
    events: [
      "a processed",
      "b processed ×2",
      "c processed",
      "d processed",
      "e processed",
      "f processed",
      "g processed",
    ],
  },
  {
    name: "a delivery of a processed event is a duplicate with its reply while its source is paused",
    steps: [{ jobs: [deliver("a", { type: "reply" }), pause(), deliver("a", { type: "reply" })] }],
    answers: ["processed, reply a: 1", "recorded", "duplicate, reply a: 1"],
    effects: ["a 1"],
    events: ["a processed ×2"],
  },
  {
    name: "a delivery of an unhandled event makes it held, and one that is not delivered stays unhandled",
    steps: [
      { handlers: none, jobs: [deliver("a"), deliver("b"), deliver("c")] },
      { jobs: [pause(), deliver("b"), deliver("a", { cents: 9 }), deliver("a"), deliver("d")] },
      { jobs: [resume(), ...runs(4), deliver("c")] },
    ],
    answers: [
      ["unhandled", "unhandled", "unhandled"],
      ["recorded", "held", "held, changed body", "held", "held"],
      ["recorded", "processed", "processed", "processed", "none left", "processed"],
    ].flat(),
    effects: ["a 1", "b 1", "d 1", "c 1"],
    events: ["a processed ×3, 1 changed", "b processed ×2", "c processed ×2", "d processed"],
  },
  {
    name: "a failed event that is delivered again is answered 200, and runs with its latest body at its place",
    steps: [
      { jobs: [deliver("a", fails), pause(), deliver("b"), deliver("a", { ...fails, cents: 2 })] },
      {
        handlers: corrected,
        jobs: [deliver("c"), deliver("a", { ...fails, cents: 3 }), resume(), ...runs(4)],
      },
    ],
    answers: [
      ["failed handler_error", "recorded", "held", "held"],
      ["held", "held", "recorded", "processed", "processed", "processed", "none left"],
    ].flat(),
    effects: ["a 3", "b 1", "c 1"],
    events: ["b processed", "c processed", "a processed ×3"],
    settled: ["a"],
  },
  {
    name: "a resume runs what had failed, delivered again or not, in the order of the first attempts",
    steps: [
      {
        jobs: [
          deliver("p"),
          ...["a", "b", "c"].map((id) => deliver(id, fails)),
          deliver("q"),
          deliver("d", fails),
          pause(),
          ...["h", "c", "d", "a", "i"].map((id) => deliver(id, fails)),
        ],
      },
      { handlers: corrected, jobs: [resume(), ...runs(7)] },
    ],
    answers: [
      ["processed", ...Array<string>(3).fill("failed handler_error"), "processed", "failed handler_error"],
      ["recorded", "held", "held", "held", "held", "held"],
      ["recorded", ...Array<string>(6).fill("processed"), "none left"],
    ].flat(),
    effects: ["p 1", "q 1", "a 1", "b 1", "c 1", "d 1", "h 1", "i 1"],
    events: [
      "p processed",
      "q processed",
      "h processed",
      "i processed",
      "a processed ×2",
      "b processed",
      "c processed ×2",
      "d processed ×2",
    ],
    settled: ["a", "b", "c", "d"],
  },
  {
    name: "an event that was unhandled and failed later runs at the place of its first delivery",
    steps: [
      { handlers: none, jobs: [deliver("u", fails), deliver("v", fails)] },
      { jobs: [deliver("a", fails), deliver("p"), deliver("v", fails), deliver("u", fails)] },
      { jobs: [pause(), deliver("h"), deliver("v", fails)] },
      { handlers: corrected, jobs: [resume(), ...runs(5)] },
    ],
    answers: [
      ["unhandled", "unhandled"],
      ["failed handler_error", "processed", "failed handler_error", "failed handler_error"],
      ["recorded", "held", "held"],
      ["recorded", "processed", "processed", "processed", "processed", "none left"],
    ].flat(),
    effects: ["p 1", "u 1", "v 1", "a 1", "h 1"],
    events: ["u processed ×2", "v processed ×3", "p processed", "h processed", "a processed"],
    settled: ["a", "v", "u"],
  },
  {
    name: "a held event that failed in one resume keeps its place in the next, before what was held since",
    steps: [
      { jobs: [pause(), ...["a", "b", "c"].map((id) => deliver(id, fails)), resume(), ...runs(4)] },
      { jobs: [pause(), deliver("d"), deliver("b", fails), resume(), ...runs(5)] },
      { jobs: [pause(), deliver("c", fails), deliver("e"), deliver("a", fails)] },
      { handlers: corrected, jobs: [resume(), ...runs(5)] },
    ],
    answers: [
      ["recorded", "held", "held", "held", "recorded"],
      [...Array<string>(3).fill("failed handler_error"), "none left"],
      ["recorded", "held", "held", "recorded"],
      [...Array<string>(3).fill("failed handler_error"), "processed", "none left"],
      ["recorded", "held", "held", "held"],
      ["recorded", "processed", "processed", "processed", "processed", "none left"],
    ].flat(),
    effects: ["d 1", "a 1", "b 1", "c 1", "e 1"],
    events: ["a processed ×2", "b processed ×2", "c processed ×2", "d processed", "e processed"],
    settled: ["a", "b", "c"],
  },
  {
    name: "a failure that fails again in a resume runs once in it, unless it is delivered again after that",
    steps: [
      { jobs: [deliver("a", fails), deliver("b", fails), pause(), deliver("h"), resume(), ...runs(1)] },
      { jobs: [resume(), deliver("a", fails), ...runs(3), deliver("a")] },
    ],
    answers: [
      [
        "failed handler_error",
        "failed handler_error",
        "recorded",
        "held",
        "recorded",
        "failed handler_error",
      ],
      ["recorded", "held", "failed handler_error", "processed", "none left", "processed"],
    ].flat(),
    effects: ["h 1", "a 1"],
    events: ["h processed", "a processed ×3"],
    failures: ["b handler_error ×2, 1 delivery"],
    settled: ["a"],
  },
  {
    name: "a resume leaves alone what waits for somebody: a tie, and a failure whose handler is gone",
    steps: [
      { jobs: [versioned("a", 1), versioned("b", 1), deliver("x", { ...fails, type: "reply" }), pause()] },
      { handlers: { credit: "credit" }, jobs: [versioned("c", 2), resume(), ...runs(2, ordered)] },
    ],
    answers: [
      ["processed", "failed version_tie, accepted", "failed handler_error", "recorded"],
      ["held", "recorded", "processed", "none left"],
    ].flat(),
    effects: ["a 1", "c 1"],
    events: ["a processed", "c processed"],
    failures: ["b version_tie", "x handler_error"],
  },
  {
    name: "apply, own retries and replay change nothing of a paused source",
    steps: [
      { jobs: [deliver("p"), deliver("f", fails)] },
      { handlers: none, jobs: [deliver("u"), deliver("x")] },
      {
        handlers: corrected,
        jobs: [
          discard("x"),
          pause(),
          deliver("h"),
          apply("u"),
          apply("f"),
          apply("h"),
          apply("p"),
          apply("none"),
          retry("f"),
          replay("p"),
          replay("u"),
          applyAfterAll("x"),
        ],
      },
    ],
    answers: [
      ["processed", "failed handler_error", "unhandled", "unhandled"],
      ["discarded", "recorded", "held"],
      ["held", "held", "held", "duplicate", "duplicate", "held"],
      ["held", "duplicate", "held"],
    ].flat(),
    effects: ["p 1"],
    events: ["p processed", "u unhandled", "x discarded", "h held"],
    failures: ["f handler_error"],
  },
  {
    name: "while a source resumes, apply and replay change nothing either",
    steps: [
      { jobs: [deliver("p"), deliver("f", fails), pause(), deliver("h")] },
      { handlers: corrected, jobs: [resume(), apply("f"), apply("h"), retry("f"), replay("p"), ...runs(3)] },
      { handlers: corrected, jobs: [apply("f"), replay("p")] },
    ],
    answers: [
      ["processed", "failed handler_error", "recorded", "held"],
      ["recorded", "held", "held", "held", "held", "processed", "processed", "none left"],
      ["duplicate", "processed"],
    ].flat(),
    effects: ["p 1", "f 1", "h 1", "p 1"],
    events: ["p processed", "h processed", "f processed"],
    settled: ["f"],
  },
  {
    name: "discard and import settle what is held, and it is not run",
    steps: [
      { jobs: [pause(), deliver("a"), deliver("b"), deliver("c")] },
      {
        jobs: [discard("a"), importOf("b", "new"), discard("a"), deliver("a"), deliver("b"), deliver("new")],
      },
      { jobs: [resume(), ...runs(2)] },
    ],
    answers: [
      ["recorded", "held", "held", "held"],
      ["discarded", "1 new, 0 known, 1 owed", "duplicate", "duplicate", "duplicate", "duplicate"],
      ["recorded", "processed", "none left"],
    ].flat(),
    effects: ["c 1"],
    events: ["a discarded ×2", "b imported ×2", "c processed", "new imported"],
    bodies: 3,
  },
  {
    name: "a source whose held events were all settled opens with the next turn",
    steps: [
      { jobs: [pause(), deliver("a"), resume(), deliver("b"), discard("a"), discard("b"), deliver("c")] },
      { jobs: [discard("c"), ...runs(1), deliver("d")] },
    ],
    answers: [
      ["recorded", "held", "recorded", "held", "discarded", "discarded", "held"],
      ["discarded", "none left", "processed"],
    ].flat(),
    effects: ["d 1"],
    events: ["a discarded", "b discarded", "c discarded", "d processed"],
  },
  {
    name: "a held event that fails becomes a failure, and does not stop those after it",
    steps: [
      {
        jobs: [
          pause(),
          deliver("a"),
          deliver("b", fails),
          deliver("c", { type: "reply", fail: true }),
          deliver("d"),
        ],
      },
      { jobs: [resume(), ...runs(5), deliver("b", fails)] },
      { handlers: corrected, jobs: [apply("b"), deliver("b", fails)] },
    ],
    answers: [
      ["recorded", "held", "held", "held", "held"],
      ["recorded", "processed", "failed handler_error", "failed handler_error", "processed", "none left"],
      ["failed handler_error", "processed", "duplicate"],
    ].flat(),
    effects: ["a 1", "d 1", "b 1"],
    events: ["a processed", "b processed ×3", "c unhandled", "d processed"],
    failures: ["c handler_error, retried"],
    settled: ["b"],
  },
  {
    name: "resume --stop-on-failure pauses the source again with the first failure, and begins with it next time",
    steps: [
      { jobs: [pause(), deliver("a"), deliver("b", fails), deliver("c"), deliver("d", fails), deliver("e")] },
      { jobs: [resume({ stopOnFailure: true }), ...runs(3), deliver("f"), deliver("b", fails)] },
      { jobs: [resume({ stopOnFailure: true }), ...runs(2)] },
      { handlers: corrected, jobs: [resume({ stopOnFailure: true }), ...runs(6)] },
    ],
    answers: [
      ["recorded", "held", "held", "held", "held", "held"],
      ["recorded", "processed", "failed handler_error", "none left", "held", "held"],
      ["recorded", "failed handler_error", "none left"],
      ["recorded", ...Array<string>(5).fill("processed"), "none left"],
    ].flat(),
    effects: ["a 1", "b 1", "c 1", "d 1", "e 1", "f 1"],
    events: ["a processed", "b processed ×2", "c processed", "d processed", "e processed", "f processed"],
    settled: ["b"],
  },
  {
    name: "a resume without --stop-on-failure after one with it runs everything once",
    steps: [
      { jobs: [pause(), deliver("b", fails), deliver("c"), deliver("d", fails), deliver("e")] },
      { jobs: [resume({ stopOnFailure: true }), ...runs(2), resume(), ...runs(5)] },
    ],
    answers: [
      ["recorded", "held", "held", "held", "held"],
      ["recorded", "failed handler_error", "none left"],
      ["recorded", "failed handler_error", "processed", "failed handler_error", "processed", "none left"],
    ].flat(),
    effects: ["c 1", "e 1"],
    events: ["b unhandled", "c processed", "d unhandled", "e processed"],
    failures: ["b handler_error ×2, 1 delivery, retried", "d handler_error, retried"],
  },
  {
    name: "a held event that failed before and fails again is one failure, and is held again if delivered",
    steps: [
      { jobs: [deliver("a", fails), pause(), deliver("a", fails), resume(), ...runs(2)] },
      { jobs: [pause(), deliver("a", fails)] },
      { handlers: corrected, jobs: [resume(), ...runs(2)] },
    ],
    answers: [
      ["failed handler_error", "recorded", "held", "recorded", "failed handler_error", "none left"],
      ["recorded", "held", "recorded", "processed", "none left"],
    ].flat(),
    effects: ["a 1"],
    events: ["a processed ×3"],
    settled: ["a"],
  },
  {
    name: "a held event without a handler becomes unhandled when its source resumes",
    steps: [
      { jobs: [pause(), deliver("a", { type: "other" }), deliver("b"), resume(), ...runs(3)] },
      { handlers: { other: "credit" }, jobs: [deliver("a", { type: "other" })] },
    ],
    answers: ["recorded", "held", "held", "recorded", "unhandled", "processed", "none left", "processed"],
    effects: ["b 1", "a 1"],
    events: ["a processed ×2", "b processed"],
  },
  {
    name: 'a held event without a handler becomes ignored with unhandled = "ignore"',
    steps: [
      {
        handlers: none,
        jobs: [pause(), deliver("a", { source: ignoring }), deliver("b", { source: ignoring })],
      },
      { handlers: none, jobs: [resume(), ...runs(1, ignoring)] },
      { jobs: [...runs(2, ignoring), deliver("a", { source: ignoring })] },
    ],
    answers: ["recorded", "held", "held", "recorded", "ignored", "processed", "none left", "duplicate"],
    effects: ["b 1"],
    events: ["a ignored ×2", "b processed"],
  },
  {
    name: "an event that was owed before it was held stays owed, although the config ignores such events now",
    steps: [
      { handlers: none, jobs: [deliver("a"), pause(), deliver("a", { source: ignoring })] },
      { handlers: none, jobs: [resume(), ...runs(2, ignoring)] },
      { jobs: [apply("a", { source: ignoring })] },
    ],
    answers: ["unhandled", "recorded", "held", "recorded", "unhandled", "none left", "processed"],
    effects: ["a 1"],
    events: ["a processed ×2"],
  },
  {
    name: 'a held event without a handler becomes a failure with unhandled = "fail"',
    steps: [
      { handlers: none, jobs: [pause(), deliver("a", { source: failing }), resume(), ...runs(2, failing)] },
      { jobs: [deliver("a", { source: failing })] },
    ],
    answers: ["recorded", "held", "recorded", "failed no_handler", "none left", "processed"],
    effects: ["a 1"],
    events: ["a processed ×2"],
    settled: ["a"],
  },
  {
    name: "require_change is asked when a held event runs",
    steps: [
      {
        jobs: [
          pause(),
          deliver("a", { source: strict, type: "changeNothing" }),
          deliver("b", { source: strict }),
          resume(),
          ...runs(3, strict),
        ],
      },
    ],
    answers: ["recorded", "held", "held", "recorded", "failed no_rows_changed", "processed", "none left"],
    effects: ["b 1"],
    events: ["a unhandled", "b processed"],
    failures: ["a no_rows_changed, retried"],
  },
  {
    name: "newest_wins judges a held event when it runs",
    steps: [
      { jobs: [versioned("b", 2), pause(), versioned("a", 1), versioned("d", 4), versioned("c", 3)] },
      { jobs: [versioned("a", 1), versioned("b", 2), resume(), ...runs(4, ordered), versioned("c", 3)] },
    ],
    answers: [
      ["processed", "recorded", "held", "held", "held"],
      ["held", "duplicate", "recorded", "stale", "processed", "stale", "none left", "duplicate"],
    ].flat(),
    effects: ["b 1", "d 1"],
    events: ["b processed ×2", "a stale ×2", "d processed", "c stale ×2"],
  },
  {
    name: "a tie of newest_wins among held events waits for somebody, and the others run",
    steps: [
      {
        jobs: [
          pause(),
          versioned("a", 1),
          versioned("b", 1),
          versioned("c", 2),
          resume(),
          ...runs(4, ordered),
        ],
      },
    ],
    answers: [
      ["recorded", "held", "held", "held", "recorded"],
      ["processed", "failed version_tie", "processed", "none left"],
    ].flat(),
    effects: ["a 1", "c 1"],
    events: ["a processed", "b unhandled", "c processed"],
    failures: ["b version_tie"],
  },
  {
    name: "the events of a batch are held one by one and share its bytes",
    steps: [
      { jobs: [pause(), ...batchOf([["a"], ["b", { cents: 2, fail: true }], ["c", { cents: 3 }]])] },
      { jobs: [resume(), ...runs(4)] },
      { handlers: corrected, jobs: batchOf([["a"], ["b", { cents: 2, fail: true }], ["d", { cents: 4 }]]) },
    ],
    answers: [
      ["recorded", "held", "held", "held"],
      ["recorded", "processed", "failed handler_error", "processed", "none left"],
      ["duplicate", "processed", "processed"],
    ].flat(),
    effects: ["a 1", "c 3", "b 2", "d 4"],
    events: ["a processed ×2", "b processed ×2", "c processed", "d processed"],
    settled: ["b"],
    bodies: 2,
  },
  {
    name: "a batch during which its source is paused has events of both outcomes, and keeps their order",
    steps: [
      { jobs: batchOf([["a"], ["b"], ["c"]]).flatMap((job, n) => (n === 1 ? [pause(), job] : [job])) },
      { jobs: [resume(), ...runs(3)] },
    ],
    answers: ["processed", "recorded", "held", "held", "recorded", "processed", "processed", "none left"],
    effects: ["a 1", "b 1", "c 1"],
    events: ["a processed", "b processed", "c processed"],
    bodies: 1,
  },
  {
    name: "the same bytes under another id are the held event, which runs once",
    steps: [
      { jobs: [deliver("x", { source: sameBody, body: "{}", type: "reply" })] },
      {
        jobs: [
          pause(),
          ...["a", "b"].map((id) => deliver(id, { source: sameBody, body: '{"cents":5,"fail":false}' })),
          deliver("x", { source: sameBody, body: '{"cents":5,"fail":false}' }),
          resume(),
          ...runs(2, sameBody),
          deliver("b", { source: sameBody, body: '{"cents":5,"fail":false}' }),
        ],
      },
    ],
    answers: [
      ["processed, reply x: undefined"],
      ["recorded", "held", "held", "duplicate, changed body, reply x: undefined"],
      ["recorded", "processed", "none left", "duplicate"],
    ].flat(),
    effects: ["x 0", "a 5"],
    events: ["x processed ×2, 1 changed", "a processed ×3"],
  },
  {
    name: "the window of a held event begins when it is received, and an event after a window is held, too",
    steps: [
      { jobs: [at(1000), pause(), at(2000), at(2001)] },
      { jobs: [at(3001), resume(), runHeld({ source: windowed, at: 2500 }), ...runs(1, windowed)] },
      { jobs: [at(3001), at(3002), at(4002), at(4003)] },
    ],
    answers: [
      ["processed", "recorded", "duplicate", "held"],
      ["held", "recorded", "processed", "none left"],
      ["duplicate", "processed", "duplicate", "processed"],
    ].flat(),
    effects: ["a 1", "a 1", "a 1", "a 1"],
    events: ["a processed ×2", "a processed ×3", "a processed ×2", "a processed"],
  },
  {
    name: "while an event is held, a delivery of its id is one of it, also after its window",
    steps: [
      { jobs: [pause(), at(1000), at(2001), at(9000), resume(), ...runs(2, windowed)] },
      { jobs: [at(9001), at(9002), at(10_001), at(10_002)] },
    ],
    answers: [
      ["recorded", "held", "held", "held", "recorded", "processed", "none left"],
      ["processed", "duplicate", "duplicate", "processed"],
    ].flat(),
    effects: ["a 1", "a 1", "a 1"],
    events: ["a processed ×3", "a processed ×3", "a processed"],
  },
  {
    name: "the window of an event that was unhandled begins at the delivery that made it held",
    steps: [
      { handlers: none, jobs: [at(1000)] },
      { jobs: [pause(), at(8500), at(8600), resume(), ...runs(2, windowed)] },
      { jobs: [at(9500), at(9501)] },
    ],
    answers: [
      ["unhandled", "recorded", "held", "held", "recorded", "processed", "none left"],
      ["duplicate", "processed"],
    ].flat(),
    effects: ["a 1", "a 1"],
    events: ["a processed ×4", "a processed"],
  },
  {
    name: "the window of a held event that fails when it is resumed begins when it is applied",
    steps: [
      { jobs: [pause(), at(1000, fails), resume(), ...runs(2, windowed)] },
      { handlers: corrected, jobs: [apply("a", { source: windowed, at: 8500 })] },
      { jobs: [at(9500, fails), at(9501)] },
    ],
    answers: [
      ["recorded", "held", "recorded", "failed handler_error", "none left"],
      ["processed", "duplicate", "processed"],
    ].flat(),
    effects: ["a 1", "a 1"],
    events: ["a processed ×2", "a processed"],
  },
  {
    name: "test events are ignored while their source is paused, and a held event that is one is ignored",
    steps: [
      { jobs: [pause(), ignored(deliver("t")), deliver("a"), ignored(deliver("a")), resume(), ...runs(1)] },
    ],
    answers: ["recorded", "ignored", "held", "ignored", "recorded", "none left"],
    events: ["t ignored", "a ignored ×2"],
    bodies: 1,
  },
  {
    name: "an event whose stored delivery cannot be read any more stops no other held event",
    steps: [
      { jobs: [pause(), deliver("a", { source: unreadable }), resume(), ...runs(2, unreadable)] },
      { jobs: [apply("a")] },
    ],
    answers: ["recorded", "held", "recorded", "failed stored_event_unreadable", "none left", "processed"],
    effects: ["a 1"],
    events: ["a processed"],
  },
  {
    name: "a source that refuses records nothing, runs nothing, and is open at once when it resumes",
    steps: [
      { jobs: [deliver("a"), pause({ state: "refusing" }), deliver("a"), deliver("b")] },
      { jobs: [...runs(1), resume(), deliver("b")] },
    ],
    answers: [
      ["processed", "recorded", "refused source_paused", "refused source_paused"],
      ["none left", "recorded", "processed"],
    ].flat(),
    effects: ["a 1", "b 1"],
    events: ["a processed", "b processed"],
  },
  {
    name: "what had failed before a source refuses runs first when it resumes",
    steps: [
      { jobs: [deliver("f", fails), pause({ state: "refusing" }), deliver("f", fails)] },
      { handlers: corrected, jobs: [apply("f"), ...runs(1), resume(), deliver("b"), ...runs(3)] },
    ],
    answers: [
      ["failed handler_error", "recorded", "refused source_paused"],
      ["held", "none left", "recorded", "held", "processed", "processed", "none left"],
    ].flat(),
    effects: ["f 1", "b 1"],
    events: ["b processed", "f processed"],
    settled: ["f"],
  },
  {
    name: "what was held before a source refuses runs when it resumes",
    steps: [
      { jobs: [pause(), deliver("a"), pause({ state: "refusing" }), deliver("b"), ...runs(1), apply("a")] },
      { jobs: [resume(), deliver("b"), ...runs(3)] },
    ],
    answers: [
      ["recorded", "held", "recorded", "refused source_paused", "none left", "held"],
      ["recorded", "held", "processed", "processed", "none left"],
    ].flat(),
    effects: ["a 1", "b 1"],
    events: ["a processed", "b processed"],
  },
  {
    name: "a resume of an open source, and one that comes twice, change nothing",
    steps: [
      { jobs: [resume(), deliver("a"), pause(), pause(), deliver("b"), resume(), resume(), ...runs(2)] },
      { jobs: [resume(), ...runs(1), deliver("c")] },
    ],
    answers: [
      ["recorded", "processed", "recorded", "recorded", "held", "recorded", "recorded", "processed"],
      ["none left", "recorded", "none left", "processed"],
    ].flat(),
    effects: ["a 1", "b 1", "c 1"],
    events: ["a processed", "b processed", "c processed"],
  },
  {
    name: "a pause ends by itself at its time, unless the source was paused anew meanwhile",
    steps: [
      {
        jobs: [
          pause({ until: 5000 }),
          deliver("a"),
          pauseOver(4999),
          ...runs(1),
          pauseOver(5000),
          ...runs(2),
        ],
      },
      { jobs: [pause({ until: 6000 }), pause({ until: 9000 }), deliver("b"), pauseOver(8999), ...runs(1)] },
      { jobs: [pause(), pauseOver(20_000), ...runs(1), pauseOver(20_000), deliver("c")] },
    ],
    answers: [
      ["recorded", "held", "recorded", "none left", "recorded", "processed", "none left"],
      ["recorded", "recorded", "held", "recorded", "none left"],
      ["recorded", "recorded", "none left", "recorded", "held"],
    ].flat(),
    effects: ["a 1"],
    events: ["a processed", "b held", "c held"],
  },
  {
    name: "hold_after pauses the source with the last of so many failures in a row, and holds what comes after",
    steps: [
      {
        jobs: deliveries(pausesAfterTwo, [
          ["a", fails],
          ["b"],
          ["c", fails],
          ["d", fails],
          ["e"],
          ["c", fails],
          ["f", fails],
        ]),
      },
      { handlers: corrected, jobs: [resume(), ...runs(6, pausesAfterTwo)] },
    ],
    answers: [
      ["failed handler_error", "processed", "failed handler_error", "failed handler_error"],
      ["held", "held", "held"],
      ["recorded", ...Array<string>(5).fill("processed"), "none left"],
    ].flat(),
    effects: ["b 1", "a 1", "c 1", "d 1", "e 1", "f 1"],
    events: ["b processed", "e processed", "f processed", "a processed", "c processed ×2", "d processed"],
    settled: ["a", "c", "d"],
  },
  {
    name: "own retries and apply do not count for hold_after",
    steps: [
      { jobs: deliveries(pausesAfterTwo, [["a", fails]]) },
      {
        jobs: [
          retry("a", { source: pausesAfterTwo }),
          apply("a", { source: pausesAfterTwo }),
          retry("a", { source: pausesAfterTwo }),
        ],
      },
      { jobs: deliveries(pausesAfterTwo, [["b"], ["a", fails], ["c"]]) },
    ],
    answers: [
      ["failed handler_error", "failed handler_error", "failed handler_error", "failed handler_error"],
      ["processed", "failed handler_error", "processed"],
    ].flat(),
    effects: ["b 1", "c 1"],
    events: ["b processed", "c processed"],
    failures: ["a handler_error ×5, 2 deliveries"],
  },
  {
    name: "hold_after also stops a resume. What had failed before, has no handler or is a duplicate does not count",
    steps: [
      {
        jobs: deliveries(pausesAfterTwo, [
          ["a", fails],
          ["o", { type: "other" }],
          ["b"],
          ["b"],
          ["c", fails],
          ["b"],
        ]),
      },
      { jobs: ["d", "e", "f", "g"].map((id) => deliver(id, { ...fails, source: pausesAfterTwo })) },
      { jobs: [resume(), ...runs(6, pausesAfterTwo), deliver("h", { source: pausesAfterTwo })] },
    ],
    answers: [
      ["failed handler_error", "unhandled", "processed", "duplicate", "failed handler_error", "duplicate"],
      ["failed handler_error", "held", "held", "held"],
      ["recorded", ...Array<string>(5).fill("failed handler_error"), "none left", "held"],
    ].flat(),
    effects: ["b 1"],
    events: ["o unhandled", "b processed ×3", "e unhandled", "f unhandled", "g held", "h held"],
    failures: [
      "a handler_error ×2, 1 delivery",
      "c handler_error ×2, 1 delivery",
      "d handler_error ×2, 1 delivery",
      "e handler_error, retried",
      "f handler_error, retried",
    ],
  },
];
