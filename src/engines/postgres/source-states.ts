import { counted } from "../../logging/counted.ts";
import type { EventSource, Policy, Result } from "../engine.ts";
import type { PausedByItself, SourceEntry, SourceState } from "../source-states.ts";
import { createHeldEvents } from "./held-events.ts";
import { recordChange } from "./job-entries.ts";
import type { Tx } from "./tx.ts";

/** Which sources are paused. Every call belongs to the caller's open transaction, except `committed`. */
export interface SourceStates {
  /** Reads them. Call it when a savepoint was undone. */
  read(): Promise<void>;
  /** Takes what was read, and forgets what was counted in a transaction that was undone. */
  begin(rows: readonly unknown[][]): void;
  /** Call it after the commit. Returns which sources hookonce has paused by itself. */
  committed(): readonly PausedByItself[];
  /** Whether none is paused, and none counts its failures. */
  readonly areOpen: boolean;
  /** Undefined: it is open. */
  of(source: Pick<EventSource, "name">): SourceState | undefined;
  change(entry: SourceEntry): Promise<void>;
  /** Resumes a source whose pause is over by this time. */
  resumeIfOver(name: string, at: number): Promise<void>;
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

/** How many failures in a row each source has. Of one node and in memory only: a start begins anew. */
export interface FailureCounts {
  committed: ReadonlyMap<string, number>;
}

export const ALL_STATES =
  "select name, state, until, reason, stop_on_failure from hookonce.source_states order by seq";

export function createSourceStates(tx: Tx, policy: Policy, counts: FailureCounts): SourceStates {
  const held = createHeldEvents(tx);
  const all = tx.query(ALL_STATES);
  const write = tx.query(
    `insert into hookonce.source_states (name, state, since, until, reason, stop_on_failure)
     values ($1, $2, $3, $4, $5, $6)
     on conflict (name) do update set
       since = case when source_states.state = excluded.state then source_states.since else excluded.since end,
       state = excluded.state, until = excluded.until, reason = excluded.reason,
       stop_on_failure = excluded.stop_on_failure`,
  );
  const remove = tx.query("delete from hookonce.source_states where name = $1");
  let states = new Map<string, Paused>();
  let failures = new Map<string, number>();
  let pausedByItself: PausedByItself[] = [];

  function take(rows: readonly unknown[][]): void {
    states = new Map(
      (rows as [string, SourceState, number | null, string | null, boolean][]).map(
        ([name, state, until, reason, stopOnFailure]) => [name, { state, until, reason, stopOnFailure }],
      ),
    );
  }

  function set(name: string, at: number, paused: Paused): void {
    const { state, until, reason, stopOnFailure } = paused;
    write.run(name, state, at, until, reason, stopOnFailure);
    states.set(name, paused);
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
    if ((await held.next({ name })) === undefined) return open(name);
    set(name, at, { state: "resuming", until: null, reason, stopOnFailure });
  }

  function pauseByItself(name: string, at: number, reason: string): void {
    failures.delete(name);
    set(name, at, { state: "held", until: null, reason, stopOnFailure: false });
    recordChange(tx, { at, actor: "hookonce", action: "pause", target: name, reason });
    pausedByItself.push({ source: name, reason });
  }

  return {
    read: async () => take(await all.values()),
    begin(rows) {
      failures = new Map(counts.committed);
      pausedByItself = [];
      take(rows);
    },
    committed() {
      counts.committed = failures;
      return pausedByItself;
    },
    get areOpen() {
      return states.size === 0 && failures.size === 0;
    },
    of: ({ name }) => states.get(name)?.state,
    async change({ name, state, at, until, reason, stopOnFailure }) {
      if (state === "open") await resume(name, at, null, stopOnFailure);
      else set(name, at, { state, until, reason, stopOnFailure: false });
    },
    async resumeIfOver(name, at) {
      // Somebody may have paused it anew since it was read.
      const until = states.get(name)?.until ?? null;
      if (until === null || until > at) return;
      await resume(name, at, null, false);
      recordChange(tx, { at, actor: "hookonce", action: "resume", target: name, reason: "its time is over" });
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
