import { HookonceError } from "../../errors.ts";
import type { PostgresTarget } from "../../config/postgres.ts";
import type { EventSource, Incoming, Job, Result } from "../engine.ts";
import { noMarker } from "../marker.ts";
import type { StoredEvent, Trial, TrialOptions } from "../store.ts";
import { firstLine, MAX_MESSAGES, type ObservedMessage, type ObservedRun } from "../trial.ts";
import { causeOf } from "./batch.ts";
import { watchChanges } from "./changed-tables.ts";
import { createEventStore } from "./event-store.ts";
import { createGates } from "./gate.ts";
import { createHandlerRuns } from "./handler-runs.ts";
import { createInterruptedRuns, type InterruptedRuns } from "./interrupted-runs.ts";
import { createJobs, type Jobs } from "./jobs.ts";
import {
  applyOwn,
  historyOf,
  isWithoutTransaction,
  migrationFailed,
  ownSet,
  runStatements,
  userSet,
} from "./migrations.ts";
import { createObservation } from "./observation.ts";
import { createOutbox } from "./outbox.ts";
import { handlerModules } from "./postgres-engine.ts";
import { createRedactions } from "./redactions.ts";
import { createServer } from "./server.ts";
import { loadSqlHandler } from "./sql-handler.ts";
import { rollBack, writeOwn } from "./transaction.ts";
import { ownFailure, troubleOf } from "./trouble.ts";
import { openTx, type Tx } from "./tx.ts";
import type { Wire } from "./wire.ts";

/**
 * In milliseconds. A batch and a run may wait for each other. The run gives up before the server looks for a deadlock
 * (deadlock_timeout, 1 s), and so never ends the batch.
 */
const SETTINGS = `
  select set_config('lock_timeout', '500', true), set_config('statement_timeout', '900', true),
    set_config('idle_in_transaction_session_timeout', '40000', true)`;

/**
 * Opens a database to try handlers on. Each run is in a transaction that is rolled back. It does not hold up other
 * events, except those that change the same rows. Migrations that a start would apply are applied in each of these
 * transactions.
 */
export async function openTrial(
  target: PostgresTarget,
  options: TrialOptions,
): Promise<Trial | { readonly why: string }> {
  const server = createServer(target);
  const wire = await server.connect();
  const own = await historyOf(wire, ownSet);
  const user = await historyOf(wire, userSet(options.migrations));
  const [refused] = [...own.refusals, ...user.refusals];
  if (refused !== undefined) return { why: refused.message };
  const tx = openTx(wire);
  const changes = watchChanges(wire, await server.connect());
  const observation = createObservation();
  const openGate = createGates(observation.observe);
  const dryJobs = jobsOf(tx, options, createInterruptedRuns(tx));
  // A handler that hung or ended the process is tried again, because it may have been corrected.
  const jobs = jobsOf(tx, options, {
    find: () => Promise.resolve(undefined),
    settle: () => Promise.resolve(),
  });
  const store = createEventStore(tx, { note() {} });

  async function begin(): Promise<void> {
    await wire.send("begin isolation level read committed");
    await wire.send(SETTINGS);
    await applyOwn(wire, own.pending, options.now);
    for (const migration of user.pending)
      if (!isWithoutTransaction(migration))
        await runStatements(wire, migration, (error, line) => {
          throw migrationFailed(migration, line, error);
        });
    await writeOwn(wire);
  }

  /** @throws what is not the handler's fault */
  async function rolledBack<Done>(work: () => Promise<Done>): Promise<Done> {
    try {
      await begin();
      return await work();
    } catch (error) {
      if (troubleOf(error) === "contention") throw inTheWay(error);
      throw error;
    } finally {
      await rollBack(wire);
    }
  }

  /**
   * What a delivery of an event does, or an apply or a replay of a stored one. It runs whether a newer one was
   * applied or not.
   */
  async function jobFor(event: Incoming | StoredEvent): Promise<TriedJob> {
    const source = { ...event.source, placeOf: undefined };
    if ("input" in event) return { kind: "delivery", event: await asNew(event, source) };
    const { eventId } = event;
    const one = { source, eventId, at: options.now, reason: "try" };
    const outcome = (await store.find(source, eventId))?.outcome;
    return outcome === "processed" || outcome === "stale"
      ? { kind: "replay", ...one, job: "try", ordered: NOW, evenStale: true }
      : { kind: "apply", ...one, isNamed: true };
  }

  /**
   * A body that is given runs even if its event is stored, or would be ignored. It then has another id, because a
   * delivery with a known id runs the stored body, or nothing.
   */
  async function asNew(
    { input, earlierIds = [], ...event }: Incoming,
    given: EventSource,
  ): Promise<Incoming> {
    const source = { ...given, sameBody: false };
    let { id } = input;
    for (const known of [input.id, ...earlierIds])
      if ((await store.find(source, known)) ?? (await store.findFailure(source, known)))
        id = `try_${input.id}`;
    return { ...event, source, isIgnored: false, input: { ...input, id } };
  }

  return {
    handlerModules,
    async loadHandler(code) {
      if (code.language === "ts") {
        const { loadTsHandler } = await import("./ts-handler.ts");
        return loadTsHandler(code, { openGate, onLateError() {} });
      }
      return rolledBack(() => loadSqlHandler(wire, code, observation.observe));
    },
    dryRun: (job, handlers) =>
      rolledBack(async () => {
        await changes.begin();
        dryJobs.begin([], []);
        try {
          const { outcome } = (await dryJobs.run(job, handlers, new Map())) as Result;
          await tx.settled();
          return outcome === "processed" ? { tables: await changes.counts() } : {};
        } catch (error) {
          throw await blamed(tx, dryJobs, error);
        } finally {
          dryJobs.takeNotes();
        }
      }),
    observe: (event, handler) =>
      rolledBack(async () => {
        observation.begin();
        const job = await jobFor(event);
        const eventId = job.kind === "delivery" ? job.event.input.id : job.eventId;
        await changes.begin();
        const last = await lastMessage(wire);
        jobs.begin([], []);
        let ran: Ran;
        try {
          const only = { for: () => handler, files: [] };
          const { outcome, rowsChanged, durationUs, reply } = (await jobs.run(
            job,
            only,
            new Map(),
          )) as Result;
          await tx.settled();
          const isRun = outcome === "processed";
          const messages = await messagesOf(
            wire,
            last,
            job.kind === "delivery" ? job.event.source : job.source,
            eventId,
          );
          const tables = isRun ? await changes.rows() : [];
          ran = { ran: isRun, error: undefined, rowsChanged, durationUs, reply, tables, messages };
        } catch (thrown) {
          const error = await blamed(tx, jobs, thrown);
          ran = { ran: true, error, rowsChanged: 0, durationUs: 0, reply: null, tables: [], messages: [] };
        }
        const output = jobs.takeNotes().flatMap((note) => note.output);
        return { ...ran, eventId, ...observation.noted(), output };
      }),
  };
}

/** Everything that is processed now. */
const NOW = { event: Number.MAX_SAFE_INTEGER, change: Number.MAX_SAFE_INTEGER };

type TriedJob = Extract<Job, { kind: "delivery" | "apply" | "replay" }>;

type Ran = Omit<ObservedRun, "eventId" | "statements" | "bound" | "rowsRead" | "output">;

function jobsOf(tx: Tx, { policy, enqueueProblem }: TrialOptions, interrupted: InterruptedRuns): Jobs {
  const outbox = createOutbox(tx, enqueueProblem);
  // Unmarked: the parent of this process watches the run.
  const runs = createHandlerRuns(tx, policy, interrupted, noMarker, outbox);
  const redactions = createRedactions(tx, () => undefined, noMarker);
  return createJobs(tx, { policy, runs, interrupted, outbox, redactions });
}

/**
 * The error of the handler.
 *
 * @throws what is not its fault
 */
async function blamed(tx: Tx, jobs: Jobs, thrown: unknown): Promise<unknown> {
  const error = await causeOf(tx, thrown);
  if (troubleOf(error) !== "statement") throw error;
  return error instanceof HookonceError || jobs.isOfHandler(error) ? error : ownFailure(error);
}

function inTheWay(cause: unknown): HookonceError {
  return new HookonceError(
    "database_locked",
    "another transaction holds rows or tables that the handler uses. Try again later.",
    { cause },
  );
}

async function lastMessage(wire: Wire): Promise<number> {
  const [found] = await wire.read<{ id: number }>("select coalesce(max(id), 0) as id from hookonce.messages");
  return found?.id ?? 0;
}

/** Reads the messages of a run before it is rolled back. */
async function messagesOf(
  wire: Wire,
  last: number,
  { name }: Pick<EventSource, "name">,
  eventId: string,
): Promise<ObservedMessage[]> {
  const rows = await wire.read<{ destination: string; id: string; body: Uint8Array | null }>(
    `select destination, message_id as id, body from hookonce.messages
     where id > $1 and source = $2 and event_id = $3 order by id limit $4`,
    [last, name, eventId, MAX_MESSAGES],
  );
  return rows.map(({ destination, id, body }) => ({
    destination,
    id,
    body: body === null ? null : firstLine(body),
  }));
}
