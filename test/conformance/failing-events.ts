import type { Job } from "../../src/engines/engine.ts";
import { deliver, sourceWith } from "./jobs.ts";

export const MAX_FAILED_ANSWERS = 3;

/** A source whose events are answered 500 at most three times. */
export const limited = sourceWith({ maxFailedAnswers: MAX_FAILED_ANSWERS });

/** A delivery of an event that fails. */
export const failing = (id: string): Job => deliver(id, { source: limited, fail: true });
