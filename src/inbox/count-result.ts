import type { Job, JobResult } from "../engines/engine.ts";
import type { Counters } from "../metrics/counters.ts";

/** Counts what the rollups of an engine count: how deliveries were answered, and how long handlers took. */
export function countResult(
  { deliveries, handlers }: Pick<Counters, "deliveries" | "handlers">,
  job: Job,
  result: JobResult,
): void {
  if (result === null || !("outcome" in result)) return;
  if (job.kind === "delivery") deliveries.add(job.event.source.name, result.outcome);
  if (result.handler === null || result.outcome !== "processed") return;
  if (job.kind === "delivery") handlers.observe(job.event.source.name, result.durationUs);
  else if ("source" in job) handlers.observe(job.source.name, result.durationUs);
}
