import { counted } from "../../logging/counted.ts";
import type { EventSource, Policy } from "../engine.ts";
import {
  NOTHING_RAN,
  type Counted,
  type CountedSource,
  type Paused,
  type Resumed,
} from "../paused-sources.ts";
import type { PausedByItself, SourceEntry, SourceState } from "../source-states.ts";
import type { FailurePlace } from "../event-rows.ts";
import { createHeldEvents } from "./held-events.ts";
import { recordChange } from "./job-entries.ts";
import type { Tx } from "./tx.ts";

/** Which sources are paused. Every call belongs to the caller's open transaction, except `committed`. */
export interface SourceStates {
  /** Reads the states. Call it when a savepoint was undone. */
  read(): Promise<void>;
  /** Takes the rows of ALL_STATES and ALL_FAILING. Call it when a transaction has begun. */
  begin(states: readonly unknown[][], failing: readonly unknown[][]): void;
  /** Call it after the commit. Returns which sources hookonce has paused by itself. */
  committed(): readonly PausedByItself[];
  /** The state of a source; undefined if it is open. */
  of(source: Pick<EventSource, "name">): SourceState | undefined;
  /** Whether a run that succeeds is to be counted. */
  isFailing(source: Pick<EventSource, "name">): boolean;
  change(entry: SourceEntry): Promise<void>;
  /** Resumes a source whose pause ends at `until`. With another one, somebody has paused it anew. */
  resumeAfter(name: string, until: number, at: number): Promise<void>;
  /** Opens a resuming source, of which nothing is left to run. */
  open(name: string): void;
  /** The last failure that a resuming source has run. */
  ranOf(source: Pick<EventSource, "name">): FailurePlace;
  /** A resuming source has run its failures up to this one. An earlier one changes nothing. */
  haveRun(source: Pick<EventSource, "name">, upTo: FailurePlace): void;
  /** Counts what has become of an event. A failure may pause its source. */
  count(source: CountedSource, result: Counted, at: number, how: "delivery" | Resumed): void;
}

export const ALL_STATES =
  "select name, state, until, reason, stop_on_failure, ran_place, ran_failure from hookonce.source_states";

/** How many failures in a row each source with `hold_after` has. */
export const ALL_FAILING = "select name, failures from hookonce.failing_sources";

export function createSourceStates(tx: Tx, policy: Pick<Policy, "countsForHold">): SourceStates {
  const held = createHeldEvents(tx);
  const all = tx.query(ALL_STATES);
  const allFailing = tx.query(ALL_FAILING);
  const write = tx.query(
    `insert into hookonce.source_states
       (name, state, since, until, reason, stop_on_failure, ran_place, ran_failure)
     values ($1, $2, $3, $4, $5, $6, $7, $8)
     on conflict (name) do update set
       since = case when source_states.state = excluded.state then source_states.since else excluded.since end,
       state = excluded.state, until = excluded.until, reason = excluded.reason,
       stop_on_failure = excluded.stop_on_failure,
       ran_place = excluded.ran_place, ran_failure = excluded.ran_failure`,
  );
  const writeRan = tx.query(
    "update hookonce.source_states set ran_place = $2, ran_failure = $3 where name = $1",
  );
  const remove = tx.query("delete from hookonce.source_states where name = $1");
  const writeFailing = tx.query(
    `insert into hookonce.failing_sources (name, failures) values ($1, $2)
     on conflict (name) do update set failures = excluded.failures`,
  );
  const removeFailing = tx.query("delete from hookonce.failing_sources where name = $1");
  let states = new Map<string, Paused>();
  let failing = new Map<string, number>();
  let pausedByItself: PausedByItself[] = [];

  function take(rows: readonly unknown[][], counts: readonly unknown[][]): void {
    states = new Map(
      (rows as [string, SourceState, number | null, string | null, boolean, number, number][]).map(
        ([name, state, until, reason, stopOnFailure, place, failure]) => [
          name,
          { state, until, reason, stopOnFailure, ran: { place, failure } },
        ],
      ),
    );
    failing = new Map(counts as [string, number][]);
  }

  function set(name: string, at: number, change: Omit<Paused, "ran">): void {
    const before = states.get(name);
    // A repeated resume does not begin again.
    const ran = before?.state === change.state ? before.ran : NOTHING_RAN;
    const { state, until, reason, stopOnFailure } = change;
    write.run(name, state, at, until, reason, stopOnFailure, ran.place, ran.failure);
    states.set(name, { ...change, ran });
  }

  function open(name: string): void {
    remove.run(name);
    states.delete(name);
  }

  async function resume(
    name: string,
    at: number,
    reason: string | null,
    stopOnFailure: boolean,
  ): Promise<void> {
    if (!states.has(name)) return;
    if (
      (await held.next({ name })) === undefined &&
      (await held.failureAfter({ name }, NOTHING_RAN)) === undefined
    )
      return open(name);
    set(name, at, { state: "resuming", until: null, reason, stopOnFailure });
  }

  function beginsAnew(name: string): void {
    if (failing.delete(name)) removeFailing.run(name);
  }

  function pauseByItself(name: string, at: number, reason: string): void {
    beginsAnew(name);
    const state = states.get(name)?.state;
    if (state === "held" || state === "refusing") return;
    set(name, at, { state: "held", until: null, reason, stopOnFailure: false });
    recordChange(tx, { at, actor: "hookonce", action: "pause", target: name, reason });
    pausedByItself.push({ source: name, reason });
  }

  return {
    async read() {
      const [rows, counts] = await Promise.all([all.values(), allFailing.values()]);
      take(rows, counts);
    },
    begin(rows, counts) {
      pausedByItself = [];
      take(rows, counts);
    },
    committed: () => pausedByItself,
    of: ({ name }) => states.get(name)?.state,
    isFailing: ({ name }) => failing.has(name),
    async change({ name, state, at, until, reason, stopOnFailure }) {
      if (state === "open") return resume(name, at, null, stopOnFailure);
      const before = states.get(name);
      const isPaused = before !== undefined && before.state !== "resuming";
      const why = reason ?? (isPaused ? before.reason : null);
      set(name, at, { state, until, reason: why, stopOnFailure: false });
    },
    async resumeAfter(name, until, at) {
      if (states.get(name)?.until !== until) return;
      await resume(name, at, null, false);
      recordChange(tx, { at, actor: "hookonce", action: "resume", target: name, reason: "its time is over" });
    },
    open,
    ranOf: ({ name }) => states.get(name)?.ran ?? NOTHING_RAN,
    haveRun({ name }, { place, failure }) {
      const paused = states.get(name);
      if (paused?.state !== "resuming") return;
      const { ran } = paused;
      if (place < ran.place || (place === ran.place && failure <= ran.failure)) return;
      writeRan.run(name, place, failure);
      states.set(name, { ...paused, ran: { place, failure } });
    },
    count({ name, holdAfter }, result, at, how) {
      if (result.outcome === "processed" && result.handler !== null) beginsAnew(name);
      if (result.outcome !== "failed") return;
      if (how !== "delivery" && states.get(name)?.stopOnFailure === true)
        return pauseByItself(name, at, "an event failed after resume --stop-on-failure");
      // The first run of this failure was counted.
      if (how === "failed" || holdAfter === undefined || !policy.countsForHold(result)) return;
      const count = (failing.get(name) ?? 0) + 1;
      if (count >= holdAfter)
        return pauseByItself(name, at, `${counted(count, "failure")} in a row (hold_after = ${holdAfter})`);
      failing.set(name, count);
      writeFailing.run(name, count);
    },
  };
}
