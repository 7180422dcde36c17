import type { Database } from "bun:sqlite";
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

/** Which sources are paused. Every call belongs to the caller's open transaction, except `committed`. */
export interface SourceStates {
  /** Reads the states. Call it when a transaction has begun, and when a savepoint was undone. */
  read(): void;
  /** Drops what an undone transaction has left in memory. Call it when a transaction has begun. */
  begin(): void;
  /** Call it after the commit. Returns which sources hookonce has paused by itself. */
  committed(): readonly PausedByItself[];
  /** The state of a source; undefined if it is open. */
  of(source: Pick<EventSource, "name">): SourceState | undefined;
  change(entry: SourceEntry): void;
  /** Resumes a source whose pause ends at `until`. With another one, somebody has paused it anew. */
  resumeAfter(name: string, until: number, at: number): void;
  /** Opens a resuming source, of which nothing is left to run. */
  open(name: string): void;
  /** The last failure that a resuming source has run. */
  ranOf(source: Pick<EventSource, "name">): FailurePlace;
  /** A resuming source has run its failures up to this one. An earlier one changes nothing. */
  haveRun(source: Pick<EventSource, "name">, upTo: FailurePlace): void;
  /** Counts what has become of an event. A failure may pause its source. */
  count(source: CountedSource, result: Counted, at: number, how: "delivery" | Resumed): void;
}

export function createSourceStates(db: Database, policy: Pick<Policy, "countsForHold">): SourceStates {
  const held = createHeldEvents(db);
  // Both tables are almost always empty. Then each read takes 0.2 µs.
  const all = db.query(
    "select name, state, until, reason, stop_on_failure, ran_place, ran_failure from hookonce_source_states",
  );
  const allFailing = db.query("select name, failures from hookonce_failing_sources");
  const write = db.query(
    `insert into hookonce_source_states
       (name, state, since, until, reason, stop_on_failure, ran_place, ran_failure)
     values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
     on conflict (name) do update set since = iif(state = excluded.state, since, excluded.since),
       state = excluded.state, until = excluded.until, reason = excluded.reason,
       stop_on_failure = excluded.stop_on_failure,
       ran_place = excluded.ran_place, ran_failure = excluded.ran_failure`,
  );
  const writeRan = db.query(
    "update hookonce_source_states set ran_place = ?2, ran_failure = ?3 where name = ?1",
  );
  const remove = db.query("delete from hookonce_source_states where name = ?");
  const writeFailing = db.query(
    `insert into hookonce_failing_sources (name, failures) values (?1, ?2)
     on conflict (name) do update set failures = excluded.failures`,
  );
  const removeFailing = db.query("delete from hookonce_failing_sources where name = ?");
  let states = new Map<string, Paused>();
  /** How many failures in a row each source with `hold_after` has. */
  let failing = new Map<string, number>();
  let pausedByItself: PausedByItself[] = [];

  function read(): void {
    const rows = all.values() as [
      string,
      SourceState,
      number | null,
      string | null,
      number,
      number,
      number,
    ][];
    if (rows.length > 0 || states.size > 0)
      states = new Map(
        rows.map(([name, state, until, reason, stop, place, failure]) => [
          name,
          { state, until, reason, stopOnFailure: stop === 1, ran: { place, failure } },
        ]),
      );
    const counts = allFailing.values() as [string, number][];
    if (counts.length > 0 || failing.size > 0) failing = new Map(counts);
  }

  function set(name: string, at: number, change: Omit<Paused, "ran">): void {
    const before = states.get(name);
    // A repeated resume does not begin again.
    const ran = before?.state === change.state ? before.ran : NOTHING_RAN;
    const { state, until, reason, stopOnFailure } = change;
    write.run(name, state, at, until, reason, stopOnFailure ? 1 : 0, ran.place, ran.failure);
    states.set(name, { ...change, ran });
  }

  function open(name: string): void {
    remove.run(name);
    states.delete(name);
  }

  function resume(name: string, at: number, reason: string | null, stopOnFailure: boolean): void {
    if (!states.has(name)) return;
    if (held.next({ name }) === undefined && held.failureAfter({ name }, NOTHING_RAN) === undefined)
      return open(name);
    set(name, at, { state: "resuming", until: null, reason, stopOnFailure });
  }

  function beginsAnew(name: string): void {
    if (!failing.delete(name)) return;
    removeFailing.run(name);
  }

  function pauseByItself(name: string, at: number, reason: string): void {
    beginsAnew(name);
    const state = states.get(name)?.state;
    if (state === "held" || state === "refusing") return;
    set(name, at, { state: "held", until: null, reason, stopOnFailure: false });
    recordChange(db, { at, actor: "hookonce", action: "pause", target: name, reason });
    pausedByItself.push({ source: name, reason });
  }

  return {
    read,
    begin() {
      pausedByItself = [];
      read();
    },
    committed: () => pausedByItself,
    of: ({ name }) => states.get(name)?.state,
    change({ name, state, at, until, reason, stopOnFailure }) {
      if (state === "open") return resume(name, at, null, stopOnFailure);
      const before = states.get(name);
      const isPaused = before !== undefined && before.state !== "resuming";
      const why = reason ?? (isPaused ? before.reason : null);
      set(name, at, { state, until, reason: why, stopOnFailure: false });
    },
    resumeAfter(name, until, at) {
      if (states.get(name)?.until !== until) return;
      resume(name, at, null, false);
      recordChange(db, { at, actor: "hookonce", action: "resume", target: name, reason: "its time is over" });
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

/** For a try, which runs events of paused sources, too. */
export const allOpen: SourceStates = {
  read() {},
  begin() {},
  committed: () => [],
  of: () => undefined,
  change() {},
  resumeAfter() {},
  open() {},
  ranOf: () => NOTHING_RAN,
  haveRun() {},
  count() {},
};
