import { HookonceError } from "../../errors.ts";
import type { Handlers, Incoming, Job, JobResult, LoadedHandler, Policy, Result } from "../engine.ts";
import { nothing, resultOf, type Run } from "../results.ts";
import type { BatchBodies } from "./deliveries.ts";
import type { PostgresHandler } from "./handler.ts";
import { OWN_OFF, OWN_ON, type HandlerRuns } from "./handler-runs.ts";
import type { Outbox } from "./outbox.ts";
import { createPlainBodies } from "./plain-bodies.ts";
import type { SourceStates } from "./source-states.ts";
import { arrayOf } from "./sql.ts";
import { isFollowing } from "./trouble.ts";
import type { Tx } from "./tx.ts";

/**
 * Most deliveries bring a new event for a SQL handler, or for none, or for a source that is paused. Nothing has to be
 * read for them, so they share their statements and wait for the server three times in all, not five times each.
 */

type Delivery = Extract<Job, { kind: "delivery" }>;

/** A delivery of a new event that needs no look at what is stored. */
interface Plain {
  readonly job: Delivery;
  /** Null if it is only recorded, or only sent on. */
  readonly handler: PostgresHandler | null;
  readonly outcome: "processed" | "unhandled" | "held";
  readonly destinations: readonly string[];
  /** What is stored as its run if no handler runs. */
  readonly noRun: Run;
}

/** What the transaction has read. */
export interface PlainFacts {
  readonly states: Pick<SourceStates, "of" | "isFailing">;
  /** Events that have failed before, as {@link keyOf} writes them. */
  readonly failed: ReadonlySet<string>;
  /** Whether an earlier transaction has stored the bytes of the event's batch. */
  readonly hasStored: (batch: object) => boolean;
  readonly isRedacted: (source: string) => boolean;
}

export interface PlainDeliveries {
  /** The first jobs from an index on that are plain, at most so many. */
  take(
    list: readonly Job[],
    from: number,
    max: number,
    handlers: Handlers,
    facts: PlainFacts,
  ): readonly Plain[];
  /**
   * @param other does one of them as any other job, because its event is recorded already
   * @param fail records that the event of a job has failed, and has no row any more. `position`, also that of `other`,
   *   is the event's place in the order received
   */
  run(
    plain: readonly Plain[],
    bodies: BatchBodies,
    other: (job: Job, position: number | undefined) => Promise<Done>,
    fail: (job: Job, error: unknown, position: number) => Promise<Done>,
  ): Promise<readonly Done[]>;
  /**
   * How long an event of the last run took, in milliseconds, without the round trips that all of them share. Undefined
   * if it is not known, because only one ran.
   */
  eachMs(): number | undefined;
}

/** Another transaction blocked the job, so it runs once more, alone. */
export const AGAIN = Symbol("again");

/** What became of a job of a batch. */
export type Done = JobResult | HookonceError | typeof AGAIN;

export const keyOf = (source: string, eventId: string): string => JSON.stringify([source, eventId]);

const INSERT_EVENTS = `
  insert into hookonce.events (source, event_id, type, received_at, outcome, handler, last_delivery_at)
  select source, event_id, type, at, outcome, handler, at
  from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[])
    with ordinality as given (source, event_id, type, at, outcome, handler, number)
  order by number
  on conflict (source, event_id, era) do nothing
  returning id, source, event_id`;

const INSERT_RESULTS = `
  insert into hookonce.results (event, body, rows_changed, duration_us, handler_hash)
  select * from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[])`;

interface Inserted extends Plain {
  readonly event: number;
}

/** An event whose handler has failed. */
interface Failed {
  readonly error: unknown;
  /** Whether a statement of it has reached the server, which then undoes those behind it, too. */
  readonly isSent: boolean;
}

export function createPlainDeliveries(
  tx: Tx,
  policy: Policy,
  runs: HandlerRuns,
  outbox: Pick<Outbox, "write">,
): PlainDeliveries {
  const { wire } = tx;
  const insertEvents = tx.query(INSERT_EVENTS);
  const storeBodies = createPlainBodies(tx);
  const insertResults = tx.query(INSERT_RESULTS);
  const removeEvent = tx.query("delete from hookonce.events where id = $1");

  function plainOf(job: Job | undefined, handlers: Handlers, facts: PlainFacts): Plain | undefined {
    if (job?.kind !== "delivery") return undefined;
    const { source, input, batch, earlierIds = [], isIgnored = false } = job.event;
    const { forwards = [] } = source;
    if (isIgnored || earlierIds.length > 0 || source.sameBody) return undefined;
    if (facts.isRedacted(source.name) || facts.failed.has(keyOf(source.name, input.id))) return undefined;
    if (batch !== undefined && facts.hasStored(batch)) return undefined;
    const state = facts.states.of(source);
    if (state === "refusing") return undefined;
    if (state !== undefined) {
      // After its window it gets a new number, which must be lower than those of the events behind it.
      if (source.dedupWindowMs !== undefined) return undefined;
      const handlerHash = handlers.for(source.handlersOf, input.type)?.hash ?? null;
      return { job, handler: null, outcome: "held", destinations: [], noRun: { ...nothing, handlerHash } };
    }
    if (source.requireChange || source.placeOf !== undefined) return undefined;
    if (source.holdAfter !== undefined || facts.states.isFailing(source)) return undefined;
    const taking = forwards.filter(({ takes }) => takes(input.type));
    if (taking.some(({ where }) => where !== undefined)) return undefined;
    const handler = handlers.for(source.handlersOf, input.type) as PostgresHandler | null;
    if (handler !== null && (handler.language !== "sql" || handler.mayEnqueue)) return undefined;
    const decided = policy.decideNew(source, input.type, handler, taking.length > 0);
    const destinations = [...new Set(taking.map(({ destination }) => destination))];
    if ("run" in decided) return { job, handler, outcome: "processed", destinations, noRun: nothing };
    if ("record" in decided && decided.record === "unhandled")
      return { job, handler: null, outcome: "unhandled", destinations: [], noRun: nothing };
    return undefined;
  }

  /** Of the events whose statements were behind those of another one. */
  const behind = { ms: 0, events: 0 };

  /** @returns the rows of those that are new */
  async function insert(plain: readonly Plain[]): Promise<Map<Delivery, number>> {
    const inputs = plain.map(({ job }) => job.event.input);
    const rows = await insertEvents.values(
      arrayOf(inputs.map(({ source }) => source)),
      arrayOf(inputs.map(({ id }) => id)),
      arrayOf(inputs.map(({ type }) => type)),
      arrayOf(inputs.map(({ receivedAt }) => receivedAt)),
      arrayOf(plain.map(({ outcome }) => outcome)),
      arrayOf(plain.map(({ handler }) => handler?.file ?? null)),
    );
    const ids = new Map(
      rows.map(([id, source, eventId]) => [keyOf(String(source), String(eventId)), Number(id)]),
    );
    const inserted = new Map<Delivery, number>();
    for (const { job } of plain) {
      const { source, id } = job.event.input;
      const key = keyOf(source, id);
      const row = ids.get(key);
      if (row === undefined) continue;
      inserted.set(job, row);
    }
    return inserted;
  }

  /** Sends the statements of these events at once. Those behind the first that fails have no effect. */
  async function runOnce(events: readonly Inserted[]): Promise<{ ran: Run[]; failed?: Failed }> {
    const sent: (ReturnType<typeof send> | undefined)[] = [];
    let refused: Failed | undefined;
    for (const { job, handler } of events) {
      try {
        sent.push(handler === null ? undefined : send(handler, job));
      } catch (error) {
        refused = { error, isSent: false };
        break;
      }
    }
    const ran: Run[] = [];
    let before = performance.now();
    let failed: Failed | undefined;
    for (const [index, one] of sent.entries()) {
      if (one === undefined) {
        if (failed === undefined) ran.push((events[index] as Inserted).noRun);
        continue;
      }
      const { steps, at } = await one;
      const ms = at - before;
      before = at;
      if (index > 0) Object.assign(behind, { ms: behind.ms + ms, events: behind.events + 1 });
      const [, run, released] = steps;
      const isDone = run.status === "fulfilled" && released.status === "fulfilled";
      // The server undoes a failed event, and all behind it, only if it was told of the failure.
      if (failed === undefined ? !isDone && released.status === "fulfilled" : isDone)
        throw new HookonceError("storage_failed", "The driver has failed between two events.");
      if (failed !== undefined) continue;
      const { job, handler } = events[index] as Inserted;
      if (isDone)
        ran.push(
          runs.ranOf(job.event.source, handler as LoadedHandler, job.event.input, { ...run.value, ms }),
        );
      else failed = { error: firstOf(steps), isSent: true };
    }
    failed ??= refused;
    return failed === undefined ? { ran } : { ran, failed };
  }

  /** @throws what the handler throws before it has sent anything */
  function send(handler: PostgresHandler, { event: { input } }: Delivery) {
    const savepoint = wire.send("savepoint hookonce_event");
    savepoint.catch(() => {});
    const release = (): ReturnType<typeof wire.send> => {
      const released = wire.send("release hookonce_event");
      released.catch(() => {});
      return released;
    };
    let run: ReturnType<PostgresHandler["run"]>;
    try {
      run = handler.run(wire, input);
    } catch (error) {
      void release();
      throw error;
    }
    const released = release();
    return Promise.allSettled([savepoint, run, released]).then((steps) => ({ steps, at: performance.now() }));
  }

  async function runAll(events: readonly Inserted[]): Promise<(Run | Failed)[]> {
    const all: (Run | Failed)[] = [];
    while (all.length < events.length) {
      const off = wire.send(OWN_OFF);
      const { ran, failed } = await runOnce(events.slice(all.length));
      all.push(...ran);
      if (failed !== undefined) {
        runs.blame(failed.error);
        if (failed.isSent) {
          await wire.send("rollback to hookonce_event");
          await wire.send("release hookonce_event");
        }
        all.push(failed);
      }
      await Promise.all([off, wire.send(OWN_ON)]);
    }
    return all;
  }

  /** Stores bodies, results and messages of events that have run. */
  async function store(
    done: readonly (Inserted & { readonly ran: Run })[],
    bodies: BatchBodies,
  ): Promise<void> {
    if (done.length === 0) return;
    const own: { event: number; incoming: Incoming }[] = [];
    const bodyRows = done.map(({ event, job: { event: incoming } }) => {
      const stored = incoming.batch === undefined ? undefined : bodies.get(incoming.batch);
      if (stored !== undefined) return stored;
      own.push({ event, incoming });
      if (incoming.batch !== undefined) bodies.set(incoming.batch, event);
      return event;
    });
    storeBodies(own);
    insertResults.run(
      arrayOf(done.map(({ event }) => event)),
      arrayOf(bodyRows),
      arrayOf(done.map(({ ran }) => ran.rowsChanged)),
      arrayOf(done.map(({ ran }) => ran.durationUs)),
      arrayOf(done.map(({ ran }) => ran.handlerHash)),
    );
    for (const { event, job, destinations } of done) {
      const { source, input } = job.event;
      if (destinations.length > 0)
        await outbox.write(source, input, destinations, { event, at: input.receivedAt }, false);
    }
  }

  return {
    take(list, from, max, handlers, facts) {
      const taken: Plain[] = [];
      if (tx.facts.interrupted || tx.facts.hidden) return taken;
      const keys = new Set<string>();
      for (let index = from; index < list.length && taken.length < max; index++) {
        const plain = plainOf(list[index], handlers, facts);
        if (plain === undefined) break;
        const { source, id } = plain.job.event.input;
        const key = keyOf(source, id);
        // If the first delivery of an event fails, the next one gets a new number. It must be lower than those of the
        // events behind it.
        if (keys.has(key)) break;
        keys.add(key);
        taken.push(plain);
      }
      return taken;
    },

    eachMs: () => (behind.events === 0 ? undefined : behind.ms / behind.events),

    async run(plain, bodies, other, fail) {
      Object.assign(behind, { ms: 0, events: 0 });
      const inserted = await insert(plain);
      const results: Done[] = [];
      let group: Inserted[] = [];

      const runGroup = async (): Promise<void> => {
        const events = group;
        group = [];
        if (events.length === 0) return;
        const all = await runAll(events);
        const done = events.flatMap((one, index) => {
          const ran = all[index] as Run | Failed;
          return "error" in ran ? [] : [{ ...one, ran }];
        });
        await store(done, bodies);
        for (const [index, one] of events.entries()) {
          const ran = all[index] as Run | Failed;
          if ("error" in ran) {
            removeEvent.run(one.event);
            // Its place in the order received is behind the event before it.
            results.push(await fail(one.job, ran.error, one.event - 1));
          } else results.push(resultOfNew(one, ran));
        }
      };

      for (const [index, one] of plain.entries()) {
        const event = inserted.get(one.job);
        if (event === undefined) {
          await runGroup();
          // Those behind it are inserted already.
          const next = plain.slice(index).flatMap(({ job }) => inserted.get(job) ?? [])[0];
          results.push(await other(one.job, next === undefined ? undefined : next - 1));
        } else group.push({ ...one, event });
      }
      await runGroup();
      return results;
    },
  };
}

function resultOfNew({ job, outcome }: Plain, ran: Run): Result {
  const { id, type } = job.event.input;
  return { ...resultOf(ran), eventId: id, type, outcome };
}

/** The error that has caused the others. */
function firstOf(steps: readonly PromiseSettledResult<unknown>[]): unknown {
  const errors = steps.flatMap((step) => (step.status === "rejected" ? [step.reason as unknown] : []));
  return errors.find((error) => !isFollowing(error)) ?? errors[0];
}
