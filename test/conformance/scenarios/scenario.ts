import type { Job } from "../../../src/engines/engine.ts";
import type { Contents } from "../harness.ts";
import type { Types } from "../jobs.ts";

/**
 * A history, and what it leaves. Each runs twice: the jobs of a step in one commit, and each job in a commit
 * by itself. Answers and tables are the same. **A list that a scenario leaves out must be empty**, so that
 * each scenario also says what must not happen.
 */
export interface Scenario extends Partial<Summary> {
  readonly name: string;
  /** What the engine must have. */
  readonly needs?: "endTransaction" | "asyncHandlers" | "synchronousHandlers";
  readonly steps: readonly Step[];
  /** What becomes of each job, in order. */
  readonly answers: readonly string[];
}

export interface Step {
  /** The handler of each type. By default each type runs the handler of its name. */
  readonly handlers?: Types | undefined;
  readonly jobs: readonly Job[];
}

export const none: Types = {};

/** The handler `credit` after its author has corrected it. */
export const corrected: Types = { credit: "writeEffect" };

/** The contents of a store in few words. */
export interface Summary {
  /** Event id and cents of each effect, in order. */
  readonly effects: readonly string[];
  /** The recorded events in the order received, for example `a processed ×2, 1 changed`. */
  readonly events: readonly string[];
  /** The open failures by first attempt, for example `a handler_error ×2, 1 delivery, retried`. */
  readonly failures: readonly string[];
  /** The ids of failures that a later run has settled. */
  readonly settled: readonly string[];
  /** How many bodies are stored; by default one for each event. */
  readonly bodies: number;
}

export function summaryOf({ effects, events, failures, bodies }: Contents): Summary {
  return {
    effects: effects.map(({ eventId, cents }) => `${eventId} ${cents}`),
    events: events.map(
      ({ eventId, outcome, deliveries, changedBodies }) =>
        `${eventId} ${outcome}${times(deliveries)}${changedBodies === 0 ? "" : `, ${changedBodies} changed`}`,
    ),
    failures: failures
      .filter(({ settled }) => !settled)
      .map(({ eventId, code, attempts, deliveries, retried }) => {
        const noun = deliveries === 1 ? "delivery" : "deliveries";
        const delivered = attempts === 1 && deliveries === 1 ? "" : `, ${deliveries} ${noun}`;
        return `${eventId} ${code}${times(attempts)}${delivered}${retried ? ", retried" : ""}`;
      }),
    settled: failures.filter(({ settled }) => settled).map(({ eventId }) => eventId),
    bodies,
  };
}

function times(count: number): string {
  return count === 1 ? "" : ` ×${count}`;
}
