/** What the counters of deliveries say. */

export type Span = "minute" | "hour" | "day";

/** How the deliveries of a minute, hour or day were answered. Days and hours are those of UTC. */
export interface Rollup {
  readonly source: string;
  /** Its beginning, in Unix milliseconds. */
  readonly at: number;
  readonly processed: number;
  readonly duplicate: number;
  readonly unhandled: number;
  readonly held: number;
  readonly ignored: number;
  readonly stale: number;
  readonly failed: number;
  readonly refused: number;
  /** How many runs of handlers took up to each of HANDLER_TIMES_US (handler-times.ts), in its order. */
  readonly handlerTimes: readonly number[];
}

export interface SourceSeen {
  readonly source: string;
  /** Unix milliseconds, of the latest delivery that was not refused. */
  readonly lastDeliveryAt: number;
}
