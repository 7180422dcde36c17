import type { Database } from "bun:sqlite";
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
import { createHiddenIds } from "./hidden-ids.ts";
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
  readonly replay: (job: Replay, handlers: Handlers) => Result;
  readonly discard: (job: Discard) => Result;
  readonly forward: (job: Extract<Job, { kind: "forward" }>) => Result;
  readonly changeMessage: (job: Extract<Job, { kind: "message" }>) => ChangedMessage;
  readonly importEvents: (source: EventSource, events: readonly ImportedEvent[], now: number) => Imported;
  /** @throws HookonceError `token_exists`, `unknown_token` */
  readonly record: (entry: Entry) => void;
  readonly forget: (job: ForgetJob) => Forgotten;
  readonly retain: (job: RetentionJob) => Retained;
}

export function createOtherJobs(
  db: Database,
  store: EventStore,
  positions: Positions,
  runs: HandlerRuns,
  interrupted: InterruptedRuns,
  outbox: Outbox,
  states: SourceStates,
  settled: SettledEvents,
): OtherJobs {
  const hidden = createHiddenIds(db);
  return {
    replay(job, handlers) {
      const { source, eventId, reason, ordered } = job;
      const known = store.find(source, eventId);
      const said = { ...resultOf(nothing), eventId, type: known?.type ?? "" };
      if (known?.outcome !== "processed" && !(job.evenStale === true && known?.outcome === "stale"))
        return { ...said, outcome: "duplicate" };
      const before = store.replayOf(known.id);
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
      const input = store.stored(source, known);
      if (input === undefined) throw notRunnable(store.bodyOf(known.id) !== undefined, job);
      if (store.isRedacted(known.id)) throw eventRedacted(eventId);
      const place = positions.placeToMoveTo(source, input);
      // The messages of a replay have other ids, or the receiver would take them for the first ones.
      const run = `replay ${before.replays + 1}`;
      const ran = runs.run(source, handler, input, { event: known.id, at: job.at, run });
      positions.move(source, eventId, place);
      store.complete(source, known, ran, job.at);
      store.countReplay(known.id, job.job, reason);
      return { ...said, ...resultOf(ran), outcome: "processed" };
    },

    discard({ source, eventId, at, reason }) {
      const known = store.find(source, eventId);
      const failure = store.findFailure(source, eventId);
      const type = known?.type ?? failure?.type ?? "";
      const said = { ...resultOf(nothing), eventId, type };
      if (known === undefined) {
        if (failure === undefined) return { ...said, outcome: "duplicate" };
        const id = store.insertSettled(source, { id: eventId, type }, "discarded", null, failure) as number;
        // Its body is kept, because it may be applied after all.
        store.insertSettledResult(id, failure, nothing);
        store.giveReason(id, reason);
      } else {
        if (known.outcome !== "unhandled" && known.outcome !== "held")
          return { ...said, outcome: "duplicate" };
        store.close(source, known, "discarded", reason);
      }
      store.settleFailure(source, eventId, at);
      store.keepDelivery(source, eventId, SETTLED, at, "discarded", false);
      interrupted.settle(source, eventId);
      return { ...said, outcome: "discarded" };
    },

    forward({ source, eventId, at, destination, job }) {
      const known = store.find(source, eventId);
      const type = known?.type ?? "";
      const said = { ...resultOf(nothing), eventId, type };
      const input = known === undefined ? undefined : store.stored(source, known);
      if (known === undefined || input === undefined) return { ...said, outcome: "duplicate" };
      if (store.isRedacted(known.id)) return { ...said, outcome: "failed", error: eventRedacted(eventId) };
      outbox.write(source, input, [destination], { event: known.id, at, run: `job ${job}` }, false);
      return { ...said, outcome: "processed" };
    },

    changeMessage: createMessageChanges(db, outbox, settled),
    importEvents: createImports(db, store, interrupted, settled, hidden),
    record: createEntries(db, outbox, states, settled),
    forget: createForgetting(db, store, interrupted, hidden, settled),
    retain: createRetention(db, store, interrupted, settled),
  };
}
