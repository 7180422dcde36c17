import type { Tx } from "./tx.ts";
import { HookonceError } from "../../errors.ts";
import type {
  ChangedMessage,
  EventSource,
  Handlers,
  Imported,
  ImportedEvent,
  Job,
  Result,
} from "../engine.ts";
import type { Entry } from "../records.ts";
import { eventRedacted } from "../event-redacted.ts";
import type { ForgetJob, Forgotten } from "../forget.ts";
import type { Retained, RetentionJob } from "../retention.ts";
import { createEntries } from "./entries.ts";
import { SETTLED } from "../event-rows.ts";
import type { EventStore } from "./event-store.ts";
import { createForgetting } from "./forget.ts";
import type { HandlerRuns } from "./handler-runs.ts";
import { createImports } from "./imports.ts";
import type { InterruptedRuns } from "./interrupted-runs.ts";
import { createMessageChanges } from "./message-entries.ts";
import type { Outbox } from "./outbox.ts";
import type { Positions } from "./positions.ts";
import { notRunnable, nothing, resultOf } from "../results.ts";
import { createRetention } from "./retention.ts";
import type { SettledEvents } from "../settled-events.ts";
import type { SourceStates } from "./source-states.ts";

type Replay = Extract<Job, { kind: "replay" }>;
type Discard = Extract<Job, { kind: "discard" }>;

/** What jobs do that neither deliver nor apply, inside the open transaction. */
export interface OtherJobs {
  /** @throws what the handler throws */
  readonly replay: (job: Replay, handlers: Handlers) => Promise<Result>;
  readonly discard: (job: Discard) => Promise<Result>;
  readonly forward: (job: Extract<Job, { kind: "forward" }>) => Promise<Result>;
  readonly changeMessage: (job: Extract<Job, { kind: "message" }>) => Promise<ChangedMessage>;
  readonly importEvents: (
    source: EventSource,
    events: readonly ImportedEvent[],
    now: number,
  ) => Promise<Imported>;
  /** @throws HookonceError `token_exists`, `unknown_token` */
  readonly record: (entry: Entry) => Promise<void>;
  readonly forget: (job: ForgetJob) => Promise<Forgotten>;
  readonly retain: (job: RetentionJob) => Promise<Retained>;
}

export function createOtherJobs(
  tx: Tx,
  store: EventStore,
  positions: Positions,
  runs: HandlerRuns,
  interrupted: InterruptedRuns,
  outbox: Outbox,
  states: SourceStates,
  settled: SettledEvents,
): OtherJobs {
  return {
    async replay(job, handlers) {
      const { source, eventId, reason, ordered } = job;
      const known = await store.find(source, eventId);
      const said = { ...resultOf(nothing), eventId, type: known?.type ?? "" };
      if (known?.outcome !== "processed" && !(job.evenStale === true && known?.outcome === "stale"))
        return { ...said, outcome: "duplicate" };
      const before = await store.replayOf(known.id);
      if (before.job === job.job) return { ...said, outcome: "processed" };
      // A replay is a change, too. But what an earlier job has replayed was processed when that one was ordered.
      const isLater = known.id > ordered.event || before.change > ordered.change;
      if (before.job === null && isLater) return { ...said, outcome: "duplicate" };
      if (states.of(source) !== undefined) return { ...said, outcome: "held" };
      const handler = handlers.for(source.handlersOf, known.type);
      if (handler === null && (source.forwards ?? []).length === 0)
        throw new HookonceError(
          "no_handler",
          `There is no handler for the type "${known.type}" in handlers/${source.handlersOf}/.`,
        );
      const input = await store.stored(source, known);
      if (input === undefined) throw notRunnable((await store.bodyOf(known.id)) !== undefined, job);
      if (await store.isRedacted(known.id)) throw eventRedacted(eventId);
      const place = await positions.placeToMoveTo(source, input);
      // The messages of a replay have other ids, or the receiver would take them for the first ones.
      const run = `replay ${before.replays + 1}`;
      const ran = await runs.run(source, handler, input, { event: known.id, at: job.at, run });
      await positions.move(source, eventId, place);
      store.complete(source, known, ran, job.at);
      store.countReplay(known.id, job.job, reason);
      return { ...said, ...resultOf(ran), outcome: "processed" };
    },

    async discard({ source, eventId, at, reason }) {
      const known = await store.find(source, eventId);
      const failure = await store.findFailure(source, eventId);
      const type = known?.type ?? failure?.type ?? "";
      const said = { ...resultOf(nothing), eventId, type };
      if (known === undefined) {
        if (failure === undefined) return { ...said, outcome: "duplicate" };
        const id = (await store.insertSettled(
          source,
          { id: eventId, type },
          "discarded",
          null,
          failure,
        )) as number;
        // Its body is kept, because it may be applied after all.
        await store.insertSettledResult(id, failure, nothing);
        store.giveReason(id, reason);
      } else {
        if (known.outcome !== "unhandled" && known.outcome !== "held")
          return { ...said, outcome: "duplicate" };
        store.close(source, known, "discarded", reason);
      }
      store.settleFailure(source, eventId, at);
      store.keepDelivery(source, eventId, SETTLED, at, "discarded", false);
      await interrupted.settle(source, eventId);
      return { ...said, outcome: "discarded" };
    },

    async forward({ source, eventId, at, destination, job }) {
      const known = await store.find(source, eventId);
      const type = known?.type ?? "";
      const said = { ...resultOf(nothing), eventId, type };
      const input = known === undefined ? undefined : await store.stored(source, known);
      if (known === undefined || input === undefined) return { ...said, outcome: "duplicate" };
      if (await store.isRedacted(known.id))
        return { ...said, outcome: "failed", error: eventRedacted(eventId) };
      await outbox.write(source, input, [destination], { event: known.id, at, run: `job ${job}` }, false);
      return { ...said, outcome: "processed" };
    },

    changeMessage: createMessageChanges(tx, outbox, settled),
    importEvents: createImports(tx, store, interrupted, settled),
    record: createEntries(tx, outbox, states, settled),
    forget: createForgetting(tx, store, interrupted, settled),
    retain: createRetention(tx, store, interrupted, settled),
  };
}
