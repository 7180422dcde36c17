import { apply, applyAfterAll, deliver, discard, importOf, replay, retry, sourceWith } from "../jobs.ts";
import { corrected, none, type Scenario } from "./scenario.ts";

const retrying = sourceWith({ retryForMs: 3_600_000 });

/** hookonce's own retries, replay, discard and import, and how they meet deliveries and apply. */
export const otherJobs: readonly Scenario[] = [
  {
    name: "an own retry that fails is an attempt and no delivery",
    steps: [{ jobs: [deliver("a", { fail: true, source: retrying }), retry("a", { source: retrying })] }],
    answers: ["failed handler_error", "failed handler_error"],
    failures: ["a handler_error ×2, 1 delivery, retried"],
  },
  {
    name: "an own retry, a redelivery, apply and discard of one failure have one effect",
    steps: [
      { jobs: [deliver("a", { fail: true, source: retrying })] },
      {
        handlers: corrected,
        jobs: [
          retry("a", { source: retrying }),
          deliver("a", { fail: true, source: retrying }),
          apply("a", { source: retrying }),
          discard("a", { source: retrying }),
        ],
      },
    ],
    answers: ["failed handler_error", "processed", "duplicate", "duplicate", "duplicate"],
    effects: ["a 1"],
    events: ["a processed ×2"],
    settled: ["a"],
  },
  {
    name: "a failure that is discarded first is run by nothing that comes later",
    steps: [
      { jobs: [deliver("a", { fail: true, source: retrying })] },
      {
        handlers: corrected,
        jobs: [
          discard("a", { source: retrying }),
          retry("a", { source: retrying }),
          apply("a", { source: retrying }),
          deliver("a", { fail: true, source: retrying }),
          discard("a", { source: retrying }),
        ],
      },
    ],
    answers: ["failed handler_error", "discarded", "duplicate", "duplicate", "duplicate", "duplicate"],
    events: ["a discarded ×2"],
    settled: ["a"],
  },
  {
    name: "an own retry of an event that is done, or unknown, runs nothing",
    steps: [{ jobs: [deliver("a"), retry("a"), retry("b")] }],
    answers: ["processed", "duplicate", "duplicate"],
    effects: ["a 1"],
    events: ["a processed"],
  },
  {
    name: "an own retry without a handler leaves the failure as it is",
    steps: [
      { jobs: [deliver("a", { fail: true, source: retrying })] },
      { handlers: none, jobs: [retry("a", { source: retrying })] },
    ],
    answers: ["failed handler_error", "failed"],
    failures: ["a handler_error, retried"],
  },
  {
    name: "an unhandled event that is discarded has its body, and runs again only if somebody says why",
    steps: [
      { handlers: none, jobs: [deliver("a", { cents: 3 }), discard("a")] },
      { jobs: [apply("a"), deliver("a", { cents: 3 }), applyAfterAll("a"), applyAfterAll("a")] },
    ],
    answers: ["unhandled", "discarded", "duplicate", "duplicate", "processed", "duplicate"],
    effects: ["a 3"],
    events: ["a processed ×2"],
  },
  {
    name: "a failure that is discarded runs again only if somebody says why",
    steps: [
      { jobs: [deliver("a", { cents: 3, fail: true }), discard("a")] },
      { handlers: corrected, jobs: [apply("a"), applyAfterAll("a")] },
    ],
    answers: ["failed handler_error", "discarded", "duplicate", "processed"],
    effects: ["a 3"],
    events: ["a processed"],
    settled: ["a"],
  },
  {
    name: "a discarded event that fails when it is applied stays discarded",
    steps: [
      { handlers: none, jobs: [deliver("a", { cents: 3, fail: true }), discard("a")] },
      { jobs: [applyAfterAll("a"), deliver("a", { cents: 3, fail: true }), applyAfterAll("a")] },
    ],
    answers: ["unhandled", "discarded", "failed handler_error", "duplicate", "failed handler_error"],
    events: ["a discarded ×2"],
  },
  {
    name: "a discarded failure that fails when it is applied stays discarded",
    steps: [
      {
        jobs: [
          deliver("a", { fail: true, source: retrying }),
          discard("a", { source: retrying }),
          applyAfterAll("a"),
          retry("a", { source: retrying }),
        ],
      },
    ],
    answers: ["failed handler_error", "discarded", "failed handler_error", "duplicate"],
    events: ["a discarded"],
    settled: ["a"],
  },
  {
    name: "discard changes nothing of a processed event and of an unknown one",
    steps: [{ jobs: [deliver("a"), discard("a"), discard("b")] }],
    answers: ["processed", "duplicate", "duplicate"],
    effects: ["a 1"],
    events: ["a processed"],
  },
  {
    name: "replay runs a processed event once for each job, however often the job repeats it",
    steps: [
      {
        jobs: [
          deliver("a", { cents: 2 }),
          replay("a"),
          replay("a"),
          replay("a", { job: "job 2" }),
          deliver("a", { cents: 2 }),
        ],
      },
    ],
    answers: ["processed", "processed", "processed", "processed", "duplicate"],
    effects: ["a 2", "a 2", "a 2"],
    events: ["a processed ×2"],
  },
  {
    name: "a replay leaves alone what was processed after it was ordered",
    steps: [
      { handlers: none, jobs: [deliver("a")] },
      { jobs: [deliver("b", { fail: true })] },
      {
        handlers: corrected,
        jobs: [
          apply("a"),
          apply("b"),
          deliver("c"),
          ...["a", "b", "c"].map((id) => replay(id, { ordered: { event: 1, change: 0 } })),
          ...["a", "b", "c"].map((id) => replay(id, { job: "job 2", ordered: { event: 9, change: 2 } })),
        ],
      },
    ],
    answers: [
      "unhandled",
      "failed handler_error",
      "processed",
      "processed",
      "processed",
      "duplicate",
      "duplicate",
      "duplicate",
      "processed",
      "processed",
      "processed",
    ],
    effects: ["a 1", "b 1", "c 1", "a 1", "b 1", "c 1"],
    events: ["a processed", "b processed", "c processed"],
    settled: ["b"],
  },
  {
    name: "a replay that was ordered while another one ran replays the same events",
    steps: [
      {
        jobs: [
          deliver("a"),
          replay("a", { job: "job 1", ordered: { event: 9, change: 0 } }),
          replay("a", { job: "job 2", ordered: { event: 9, change: 0 } }),
        ],
      },
    ],
    answers: ["processed", "processed", "processed"],
    effects: ["a 1", "a 1", "a 1"],
    events: ["a processed"],
  },
  {
    name: "a replay that fails undoes its own run alone, and the event stays processed",
    steps: [
      { handlers: corrected, jobs: [deliver("a", { fail: true })] },
      { jobs: [replay("a"), deliver("b")] },
    ],
    answers: ["processed", "failed handler_error", "processed"],
    effects: ["a 1", "b 1"],
    events: ["a processed", "b processed"],
  },
  {
    name: "replay runs nothing that is not processed",
    steps: [
      { handlers: none, jobs: [deliver("a")] },
      { jobs: [deliver("b", { fail: true }), replay("a"), replay("b"), replay("c")] },
    ],
    answers: ["unhandled", "failed handler_error", "duplicate", "duplicate", "duplicate"],
    events: ["a unhandled"],
    failures: ["b handler_error"],
  },
  {
    name: "an imported id is done: deliveries are duplicates, and nothing runs it",
    steps: [{ jobs: [importOf("a", "b"), deliver("a"), apply("b"), replay("b"), discard("b")] }],
    answers: ["2 new, 0 known, 0 owed", "duplicate", "duplicate", "duplicate", "duplicate"],
    events: ["a imported", "b imported ×0"],
    bodies: 0,
  },
  {
    name: "import may be repeated, and closes what was owed",
    steps: [
      { handlers: none, jobs: [deliver("u")] },
      {
        jobs: [
          deliver("done"),
          deliver("f", { fail: true }),
          importOf("u", "f", "done", "new"),
          importOf("u", "f", "done", "new"),
          deliver("u"),
          deliver("f"),
          apply("u"),
          retry("f"),
        ],
      },
    ],
    answers: [
      "unhandled",
      "processed",
      "failed handler_error",
      "1 new, 1 known, 2 owed",
      "0 new, 4 known, 0 owed",
      "duplicate",
      "duplicate, changed body",
      "duplicate",
      "duplicate",
    ],
    effects: ["done 1"],
    events: ["u imported ×2", "done processed", "f imported ×2, 1 changed", "new imported ×0"],
    bodies: 3,
    settled: ["f"],
  },
];
