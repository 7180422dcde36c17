import type { EngineOptions } from "../engine.ts";
import type { Marker } from "../marker.ts";
import { createHandlerRuns } from "./handler-runs.ts";
import { createInterruptedRuns } from "./interrupted-runs.ts";
import { createJobs, type Jobs } from "./jobs.ts";
import { createOutbox, type Outbox } from "./outbox.ts";
import { createPlainDeliveries, type PlainDeliveries } from "./plain-deliveries.ts";
import { createRedactions } from "./redactions.ts";
import { createRollupWrites, type RollupWrites } from "./rollup-writes.ts";
import { openTx, type Tx } from "./tx.ts";
import type { Wire } from "./wire.ts";

/** A connection that writes batches, with everything that is bound to it. */
export interface Lane {
  readonly tx: Tx;
  readonly jobs: Jobs;
  readonly outbox: Outbox;
  readonly plain: PlainDeliveries;
  readonly rollups: RollupWrites;
  /** The id of this node; empty if it has none. */
  readonly node: () => string;
}

export interface LaneOptions extends Pick<EngineOptions, "policy" | "enqueueProblem" | "redactionOf"> {
  readonly marker: Marker;
  readonly node: () => string;
}

export function createLanes(options: LaneOptions): (wire: Wire) => Lane {
  const lanes = new WeakMap<Wire, Lane>();
  return (wire) => {
    let lane = lanes.get(wire);
    if (lane === undefined) lanes.set(wire, (lane = createLane(wire, options)));
    return lane;
  };
}

function createLane(
  wire: Wire,
  { policy, enqueueProblem, redactionOf = () => undefined, marker, node }: LaneOptions,
): Lane {
  const tx = openTx(wire);
  const interrupted = createInterruptedRuns(tx);
  const outbox = createOutbox(tx, enqueueProblem);
  const runs = createHandlerRuns(tx, policy, interrupted, marker, outbox);
  const redactions = createRedactions(tx, redactionOf, marker);
  const jobs = createJobs(tx, { policy, runs, interrupted, outbox, redactions });
  const plain = createPlainDeliveries(tx, policy, runs, outbox);
  return { tx, jobs, outbox, plain, rollups: createRollupWrites(tx), node };
}
