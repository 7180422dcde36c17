import type { EventSource, Job } from "../../../src/engines/engine.ts";
import { HookonceError } from "../../../src/errors.ts";
import { apply, applyAfterAll, deliver, discard, importOf, replay, retry, sourceWith } from "../jobs.ts";
import { none, type Scenario } from "./scenario.ts";

/** Types and places as hookonce.toml would name them: `key` and `version` of the body. */
export const withRule = (ties: "apply" | "fail"): EventSource =>
  sourceWith({
    placeOf({ type, payloadJson }) {
      if (type !== "credit" && type !== "reply") return undefined;
      const [, key] = /"key":"(.*?)"/.exec(payloadJson ?? "") ?? [];
      const [, version] = /"version":"?([^"}]+)/.exec(payloadJson ?? "") ?? [];
      if (key === undefined) return new HookonceError("missing_key", "no key");
      return version === undefined
        ? new HookonceError("missing_version", "no version")
        : { rule: "credit, reply", key, version, ties };
    },
  });

const source = withRule("apply");
const strict = withRule("fail");

/** Of the key `k`, unless it says otherwise. The version is written as it is, so that it may have many digits. */
function event(
  id: string,
  version: string | null,
  options: { key?: string | null; fail?: boolean; type?: string; source?: EventSource } = {},
): Job {
  const { key = "k", fail = false, ...others } = options;
  const of = key === null ? "" : `,"key":"${key}"`;
  const at = version === null ? "" : `,"version":${version}`;
  const body = `{"id":"${id}","cents":1,"fail":${fail}${of}${at}}`;
  return deliver(id, { source, ...others, body });
}

const named = (id: string, of: EventSource): Job => ({ ...applyAfterAll(id), source: of }) as Job;

/** Each sentence of `newest_wins`. */
export const newestWins: readonly Scenario[] = [
  {
    name: "an older event that arrives after a newer one of its key is stale, and a repeat of it is a duplicate",
    steps: [{ jobs: [event("b", "2"), event("a", "1"), event("a", "1"), event("c", "3"), event("b", "2")] }],
    answers: ["processed", "stale", "duplicate", "processed", "duplicate"],
    effects: ["b 1", "c 1"],
    events: ["b processed ×2", "a stale ×2", "c processed"],
  },
  {
    name: "events of another key, and of a type that no rule names, have an order of their own or none",
    steps: [
      {
        jobs: [
          event("b", "2"),
          event("a", "1", { key: "other" }),
          event("c", "1", { type: "writeEffect" }),
          event("d", null, { type: "writeEffect" }),
        ],
      },
    ],
    answers: ["processed", "processed", "processed", "processed"],
    effects: ["b 1", "a 1", "c 1", "d 1"],
    events: ["b processed", "a processed", "c processed", "d processed"],
  },
  {
    name: "numbers are compared digit for digit, also in text, and never as text",
    steps: [
      {
        jobs: [
          event("a", "9007199254740993"),
          event("b", "9007199254740992"),
          event("c", '"9007199254740994"'),
          event("d", "9"),
          event("e", "10000000000000000"),
        ],
      },
    ],
    answers: ["processed", "stale", "processed", "stale", "processed"],
    effects: ["a 1", "c 1", "e 1"],
    events: ["a processed", "b stale", "c processed", "d stale", "e processed"],
  },
  {
    name: "times are compared as instants, whatever their offsets",
    steps: [
      {
        jobs: [
          event("a", '"2026-01-31T12:00:00+02:00"'),
          event("b", '"2026-01-31T09:59:59Z"'),
          event("c", '"2026-01-31T10:00:00.5Z"'),
          event("d", '"2026-01-31 10:00:00.49"'),
        ],
      },
    ],
    answers: ["processed", "stale", "processed", "stale"],
    effects: ["a 1", "c 1"],
    events: ["a processed", "b stale", "c processed", "d stale"],
  },
  {
    name: "a newer event that failed does not make older ones stale",
    steps: [{ jobs: [event("b", "2", { fail: true }), event("a", "1"), event("b", "2")] }],
    answers: ["failed handler_error", "processed", "processed"],
    effects: ["a 1", "b 1"],
    events: ["a processed", "b processed ×2"],
    settled: ["b"],
  },
  {
    name: "an older failure is closed as stale by its next delivery, by apply and by hookonce's own retry",
    steps: [
      {
        jobs: [
          event("a", "1", { fail: true }),
          event("b", "2", { fail: true }),
          event("c", "3", { fail: true }),
          event("d", "4"),
        ],
      },
      { jobs: [event("a", "1"), apply("b", { source }), retry("c", { source })] },
      { jobs: [apply("a", { source }), event("b", "2", { fail: true }), retry("c", { source })] },
    ],
    answers: [
      "failed handler_error",
      "failed handler_error",
      "failed handler_error",
      "processed",
      "stale",
      "stale",
      "stale",
      "duplicate",
      "duplicate",
      "duplicate",
    ],
    effects: ["d 1"],
    events: ["d processed", "a stale ×2", "b stale ×2", "c stale"],
    settled: ["a", "b", "c"],
  },
  {
    name: "an unhandled event does not move the position, and an older one is closed as stale",
    steps: [
      { handlers: none, jobs: [event("c", "3"), event("a", "1"), event("b", "2")] },
      { jobs: [event("d", "2"), apply("a", { source }), event("b", "2"), apply("c", { source })] },
      { jobs: [event("e", "2"), apply("a", { source })] },
    ],
    answers: [
      "unhandled",
      "unhandled",
      "unhandled",
      "processed",
      "stale",
      "processed",
      "processed",
      "stale",
      "duplicate",
    ],
    effects: ["d 1", "b 1", "c 1"],
    events: ["c processed", "a stale", "b processed ×2", "d processed", "e stale"],
  },
  {
    name: "a discarded event does not move the position, and obeys it if it is applied after all",
    steps: [
      {
        jobs: [
          event("a", "1", { fail: true }),
          discard("a", { source }),
          event("c", "3", { fail: true }),
          discard("c", { source }),
          event("b", "2"),
          named("a", source),
        ],
      },
    ],
    answers: ["failed handler_error", "discarded", "failed handler_error", "discarded", "processed", "stale"],
    effects: ["b 1"],
    events: ["a stale", "c discarded", "b processed"],
    settled: ["a", "c"],
  },
  {
    name: "with ties = apply, the last one to commit wins",
    steps: [{ jobs: [event("a", "1"), event("b", "1"), event("c", "1"), event("a", "1")] }],
    answers: ["processed", "processed", "processed", "duplicate"],
    effects: ["a 1", "b 1", "c 1"],
    events: ["a processed ×2", "b processed", "c processed"],
  },
  {
    name: "with ties = fail, a tie is a failure that only apply ID or discard ends",
    steps: [
      {
        jobs: [
          event("a", "1", { source: strict }),
          event("b", "1", { source: strict }),
          event("c", "1", { source: strict }),
        ],
      },
      { jobs: [apply("b", { source: strict }), retry("b", { source: strict })] },
      { jobs: [named("b", strict), discard("c", { source: strict }), event("c", "1", { source: strict })] },
    ],
    answers: [
      "processed",
      "failed version_tie, accepted",
      "failed version_tie, accepted",
      "failed version_tie",
      "failed version_tie",
      "processed",
      "discarded",
      "duplicate",
    ],
    effects: ["a 1", "b 1"],
    events: ["a processed", "b processed", "c discarded ×2"],
    settled: ["b", "c"],
  },
  {
    name: "a tie becomes stale once a newer event is applied",
    steps: [
      {
        jobs: [
          event("a", "1", { source: strict }),
          event("b", "1", { source: strict }),
          event("c", "2", { source: strict }),
          named("b", strict),
        ],
      },
    ],
    answers: ["processed", "failed version_tie, accepted", "processed", "stale"],
    effects: ["a 1", "c 1"],
    events: ["a processed", "c processed", "b stale"],
    settled: ["b"],
  },
  {
    name: "an event without a key or a version fails, and the delivery that has them is applied",
    steps: [{ jobs: [event("a", null), event("b", "1", { key: null }), event("a", "1")] }],
    answers: ["failed missing_version", "failed missing_key", "processed"],
    effects: ["a 1"],
    events: ["a processed ×2"],
    failures: ["b missing_key"],
    settled: ["a"],
  },
  {
    name: "a time after a number is a failure until somebody asks for the event by its id",
    steps: [
      {
        jobs: [
          event("a", "1"),
          event("b", '"2026-01-31"'),
          apply("b", { source }),
          named("b", source),
          event("c", '"2026-01-30"'),
        ],
      },
    ],
    answers: ["processed", "failed mixed_versions", "failed mixed_versions", "processed", "stale"],
    effects: ["a 1", "b 1"],
    events: ["a processed", "b processed", "c stale"],
    settled: ["b"],
  },
  {
    name: "a replay runs a processed event again, a stale one only if it is asked to, and neither moves the position back",
    steps: [
      { jobs: [event("a", "1"), event("c", "3"), event("b", "2")] },
      {
        jobs: [
          replay("a", { source }),
          replay("b", { source }),
          { ...replay("b", { source, job: "job 2" }), evenStale: true } as Job,
          event("d", "2"),
        ],
      },
    ],
    answers: ["processed", "processed", "stale", "processed", "duplicate", "processed", "stale"],
    effects: ["a 1", "c 1", "a 1", "b 1"],
    events: ["a processed", "c processed", "b processed", "d stale"],
  },
  {
    name: "an import sets no position",
    steps: [{ jobs: [importOf("b"), event("b", "2"), event("a", "1")] }],
    answers: ["1 new, 0 known, 0 owed", "duplicate", "processed"],
    effects: ["a 1"],
    events: ["b imported", "a processed"],
    bodies: 1,
  },
  {
    name: "the position survives another name of the handler's file, and two types share it",
    steps: [
      { jobs: [event("b", "2")] },
      { handlers: { credit: "writeEffect" }, jobs: [event("a", "1")] },
      { jobs: [event("c", "1", { type: "reply" })] },
    ],
    answers: ["processed", "stale", "stale"],
    effects: ["b 1"],
    events: ["b processed", "a stale", "c stale"],
  },
];
