import type { Database } from "bun:sqlite";
import { counted } from "../../logging/counted.ts";
import type { EventSource, Policy, Result } from "../engine.ts";
import type { PausedByItself, SourceEntry, SourceState } from "../source-states.ts";
import { createHeldEvents } from "./held-events.ts";
import { recordChange } from "./job-entries.ts";

/** Which sources are paused. Every call belongs to the caller's open transaction, except `committed`. */
export interface SourceStates {
  /** Reads them. Call it when a transaction has begun, and when a savepoint was undone. */
  read(): void;
  /** Forgets what was counted in a transaction that was undone. Call it when another one has begun. */
  begin(): void;
  /** Call it after the commit. Returns which sources hookonce has paused by itself. */
  committed(): readonly PausedByItself[];
  /** Undefined: it is open. */
  of(source: Pick<EventSource, "name">): SourceState | undefined;
  change(entry: SourceEntry): void;
  /** Resumes a source whose pause is over by this time. */
  resumeIfOver(name: string, at: number): void;
  /** Opens a resuming source, of which nothing is held any more. */
  open(name: string): void;
  /** Counts what has become of an event. A failure may pause its source. */
  count(source: EventSource, result: Result, at: number, how: { readonly isResume: boolean }): void;
}

interface Paused {
  readonly state: SourceState;
  readonly until: number | null;
  readonly reason: string | null;
  readonly stopOnFailure: boolean;
}

export function createSourceStates(db: Database, policy: Policy): SourceStates {
  const held = createHeldEvents(db);
  // The table is almost always empty. Then the read takes 0.2 µs.
  const all = db.query("select name, state, until, reason, stop_on_failure from hookonce_source_states");
  const write = db.query(
    `insert into hookonce_source_states (name, state, since, until, reason, stop_on_failure)
     values (?1, ?2, ?3, ?4, ?5, ?6)
     on conflict (name) do update set since = iif(state = excluded.state, since, excluded.since),
       state = excluded.state, until = excluded.until, reason = excluded.reason,
       stop_on_failure = excluded.stop_on_failure`,
  );
  const remove = db.query("delete from hookonce_source_states where name = ?");
  let states = new Map<string, Paused>();
  /** How many failures in a row each source has. In memory only: a start begins anew. */
  let failures = new Map<string, number>();
  let committedFailures = failures;
  let pausedByItself: PausedByItself[] = [];

  function read(): void {
    const rows = all.values() as [string, SourceState, number | null, string | null, number][];
    if (rows.length === 0 && states.size === 0) return;
    states = new Map(
      rows.map(([name, state, until, reason, stop]) => [
        name,
        { state, until, reason, stopOnFailure: stop === 1 },
      ]),
    );
  }

  function set(name: string, at: number, paused: Paused): void {
    const { state, until, reason, stopOnFailure } = paused;
    write.run(name, state, at, until, reason, stopOnFailure ? 1 : 0);
    states.set(name, paused);
  }

  function open(name: string): void {
    remove.run(name);
    states.delete(name);
  }

  function resume(name: string, at: number, reason: string | null, stopOnFailure: boolean): void {
    if (!states.has(name)) return;
    if (held.next({ name }) === undefined) return open(name);
    set(name, at, { state: "resuming", until: null, reason, stopOnFailure });
  }

  function pauseByItself(name: string, at: number, reason: string): void {
    failures.delete(name);
    set(name, at, { state: "held", until: null, reason, stopOnFailure: false });
    recordChange(db, { at, actor: "hookonce", action: "pause", target: name, reason });
    pausedByItself.push({ source: name, reason });
  }

  return {
    read,
    begin() {
      failures = committedFailures.size === 0 ? new Map() : new Map(committedFailures);
      pausedByItself = [];
      read();
    },
    committed() {
      committedFailures = failures;
      return pausedByItself;
    },
    of: ({ name }) => states.get(name)?.state,
    change({ name, state, at, until, reason, stopOnFailure }) {
      if (state === "open") resume(name, at, null, stopOnFailure);
      else set(name, at, { state, until, reason, stopOnFailure: false });
    },
    resumeIfOver(name, at) {
      // Somebody may have paused it anew since it was read.
      const until = states.get(name)?.until ?? null;
      if (until === null || until > at) return;
      resume(name, at, null, false);
      recordChange(db, { at, actor: "hookonce", action: "resume", target: name, reason: "its time is over" });
    },
    open,
    count(source, result, at, { isResume }) {
      const { name } = source;
      if (result.outcome === "processed" && result.handler !== null) failures.delete(name);
      if (result.outcome !== "failed") return;
      if (isResume && states.get(name)?.stopOnFailure === true)
        return pauseByItself(name, at, "an event failed after resume --stop-on-failure");
      if (source.holdAfter === undefined || !policy.countsForHold(result)) return;
      const count = (failures.get(name) ?? 0) + 1;
      failures.set(name, count);
      if (count >= source.holdAfter)
        pauseByItself(name, at, `${counted(count, "failure")} in a row (hold_after = ${source.holdAfter})`);
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
  resumeIfOver() {},
  open() {},
  count() {},
};
