import type { EventSource, Job } from "../../../src/engines/engine.ts";
import { apply, deliver, pause, resume, retry, runHeld, sourceWith, type Delivery } from "../jobs.ts";
import { corrected, none, type Scenario } from "./scenario.ts";

const recording = sourceWith();
const ignoring = sourceWith({ unhandled: "ignore" });
const failing = sourceWith({ unhandled: "fail" });
const retried = sourceWith({ retryForMs: 100_000_000 });
const afterTwo = sourceWith({ maxFailedAnswers: 2 });
const ignoringAfterTwo = sourceWith({ maxFailedAnswers: 2, unhandled: "ignore" });
const sentOn = sourceWith({ forwards: [{ destination: "app", takes: () => true, where: undefined }] });
const notSentOn = sourceWith({ forwards: [{ destination: "app", takes: () => false, where: undefined }] });

const fails = (id: string, source: EventSource): Delivery => deliver(id, { source, fail: true });
const runs = (count: number, source: EventSource): Job[] =>
  Array.from({ length: count }, () => runHeld({ source }));
const named = (eventId: string, source: EventSource): Job =>
  ({ kind: "apply", source, eventId, at: 9000, isNamed: true }) as const;

const GONE = "failed no_handler";

/**
 * The file of a handler is gone, perhaps by mistake: an event that it should have run is neither ignored nor processed
 * without it, and runs once the file is back.
 */
export const goneHandlers: readonly Scenario[] = [
  ...Object.entries({ ignoring, sentOn, notSentOn }).map(([name, source]): Scenario => ({
    name: `a failure stays one while its handler is gone, whatever runs it (${name})`,
    steps: [
      { jobs: [fails("a", source)] },
      { handlers: none, jobs: [fails("a", source)] },
      { handlers: none, jobs: [retry("a", { source }), apply("a", { source })] },
      { handlers: corrected, jobs: [retry("a", { source }), fails("a", source)] },
    ],
    answers:
      source === ignoring
        ? ["failed handler_error", GONE, "failed", "failed", "processed", "duplicate"]
        : ["failed handler_error", GONE, GONE, GONE, "processed", "duplicate"],
    effects: ["a 1"],
    events: ["a processed ×3"],
    settled: ["a"],
  })),
  {
    name: "a failure whose handler is gone is sent on without it if somebody asks for it by its id",
    steps: [
      { jobs: [fails("a", sentOn), fails("b", notSentOn)] },
      { handlers: none, jobs: [named("a", sentOn), named("b", notSentOn)] },
    ],
    answers: ["failed handler_error", "failed handler_error", "processed", GONE],
    events: ["a processed"],
    failures: ["b handler_error"],
    settled: ["a"],
    bodies: 1,
  },
  ...Object.entries({ afterTwo, ignoringAfterTwo }).map(([name, source]): Scenario => ({
    name: `a failure that was accepted stays one while its handler is gone, and hookonce runs it again (${name})`,
    steps: [
      { jobs: [fails("a", source), fails("a", source), fails("a", source)] },
      { handlers: none, jobs: [fails("a", source), retry("a", { source }), fails("a", source)] },
      { handlers: corrected, jobs: [retry("a", { source })] },
    ],
    answers: [
      ["failed handler_error", "failed handler_error", "failed handler_error, accepted"],
      [`${GONE}, accepted`, "failed", `${GONE}, accepted`],
      ["processed"],
    ].flat(),
    effects: ["a 1"],
    events: ["a processed ×5"],
    settled: ["a"],
  })),
  {
    name: "a failure that hookonce runs again stays one while its handler is gone",
    steps: [{ jobs: [fails("a", retried)] }, { handlers: none, jobs: [fails("a", retried)] }],
    answers: ["failed handler_error", GONE],
    failures: ["a handler_error, 2 deliveries, retried"],
  },
  {
    name: "a delivery that fails for another reason meanwhile does not hide that the event needs its handler",
    steps: [
      { jobs: [fails("a", failing)] },
      { handlers: none, jobs: [fails("a", failing)] },
      { handlers: none, jobs: [fails("a", ignoring)] },
    ],
    answers: ["failed handler_error", GONE, GONE],
    failures: ["a handler_error, 3 deliveries"],
  },
  ...Object.entries({ recording, ignoring, failing, sentOn, notSentOn }).map(([name, source]): Scenario => ({
    name: `a held event whose handler is gone is a failure, and hookonce runs it once the handler is back (${name})`,
    steps: [
      { jobs: [pause(), deliver("a", { source })] },
      { handlers: none, jobs: [resume(), ...runs(2, source)] },
      { handlers: none, jobs: [retry("a", { source }), deliver("a", { source })] },
      { handlers: corrected, jobs: [retry("a", { source })] },
    ],
    answers: [
      ["recorded", "held", "recorded", GONE, "none left"],
      source === sentOn || source === notSentOn ? [GONE, GONE] : ["unhandled", "unhandled"],
      ["processed"],
    ].flat(),
    effects: ["a 1"],
    events: ["a processed ×2"],
    settled: ["a"],
  })),
  ...Object.entries({ ignoring, sentOn, notSentOn }).map(([name, source]): Scenario => ({
    name: `an event that failed before the pause stays a failure while its handler is gone (${name})`,
    steps: [
      { jobs: [fails("a", source), pause(), fails("a", source)] },
      { handlers: none, jobs: [resume(), ...runs(1, source), retry("a", { source }), fails("a", source)] },
      { handlers: corrected, jobs: [retry("a", { source })] },
    ],
    answers: [
      ["failed handler_error", "recorded", "held"],
      ["recorded", "none left", source === ignoring ? "failed" : GONE, GONE],
      ["processed"],
    ].flat(),
    effects: ["a 1"],
    events: ["a processed ×3"],
    settled: ["a"],
  })),
  {
    name: "resume --stop-on-failure stops at the first event whose handler is gone",
    steps: [
      {
        jobs: [
          pause(),
          deliver("a", { source: ignoring }),
          deliver("b", { source: ignoring }),
          deliver("c", { source: ignoring }),
        ],
      },
      { handlers: none, jobs: [resume({ stopOnFailure: true }), ...runs(2, ignoring)] },
      { jobs: [resume(), ...runs(4, ignoring)] },
    ],
    answers: [
      ["recorded", "held", "held", "held"],
      ["recorded", GONE, "none left"],
      ["recorded", "processed", "processed", "processed", "none left"],
    ].flat(),
    effects: ["a 1", "b 1", "c 1"],
    events: ["a processed", "b processed", "c processed"],
    settled: ["a"],
  },
  {
    name: "an event that got its handler before a later held delivery is not ignored when that is gone",
    steps: [
      {
        handlers: none,
        jobs: [pause(), deliver("a", { source: ignoring }), deliver("b", { source: ignoring })],
      },
      { jobs: [deliver("a", { source: ignoring })] },
      { handlers: none, jobs: [resume(), ...runs(3, ignoring)] },
    ],
    answers: ["recorded", "held", "held", "held", "recorded", GONE, "ignored", "none left"],
    events: ["a unhandled ×2", "b ignored"],
    failures: ["a no_handler, retried"],
  },
];
