import { Database } from "bun:sqlite";
import { statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { HookonceError } from "../../errors.ts";
import type { EventSource, Incoming, Job, Result } from "../engine.ts";
import type { StoredEvent, Trial, TrialOptions } from "../store.ts";
import { firstLine, MAX_MESSAGES, type ObservedMessage, type ObservedRun } from "../trial.ts";
import { watchChanges, type ChangeWatch } from "./changed-tables.ts";
import { createEventStore, type EventStore } from "./event-store.ts";
import { createGates } from "./gate.ts";
import { createHandlerRuns } from "./handler-runs.ts";
import { createInterruptedRuns, type InterruptedRuns } from "./interrupted-runs.ts";
import { createJobs, type Jobs } from "./jobs.ts";
import { migrate, ownSet, pendingMigrations, userSet } from "./migrations.ts";
import { createObservation } from "./observation.ts";
import { readPragma } from "./open.ts";
import { createOutbox } from "./outbox.ts";
import { ownMigrations } from "./own-migrations.ts";
import { handlerModules, loadHandler } from "./sqlite-engine.ts";
import { allOpen } from "./source-states.ts";
import { createTransaction } from "./transaction.ts";

/** A larger database is not copied, in bytes: it would take longer than a check may. */
const MAX_COPIED = 2 * 1024 ** 3;

/**
 * Opens a database to try handlers on. Nothing closes it: closing the last connection would move the log into
 * the real database, and a check changes nothing.
 */
export function openTrial(
  database: string,
  options: TrialOptions,
): Trial | "copy" | { readonly why: string } {
  const { place } = options;
  let connection: Database;
  if (place === "new") {
    connection = new Database(":memory:", { strict: true });
  } else if (place === "live") {
    connection = new Database(database, { readwrite: true, create: false, strict: true });
    connection.run("pragma wal_autocheckpoint = 0");
    if (!isReady(connection, options)) return "copy";
  } else {
    const why = whyNotCopied(database, options);
    if (why !== undefined) return { why };
    const real = new Database(database, { readonly: true, strict: true });
    real.run("pragma busy_timeout = 5000");
    real.query("vacuum into ?").run(options.copy);
    real.close(true);
    connection = new Database(options.copy, { readwrite: true, strict: true });
  }
  connection.run("pragma busy_timeout = 0");
  connection.run("pragma foreign_keys = on");
  connection.run("pragma trusted_schema = off");
  if (place !== "live") {
    // Nobody needs it after a crash.
    connection.run("pragma synchronous = off");
    migrate(connection, ownSet(ownMigrations), options.now);
    migrate(connection, userSet(options.migrations), options.now);
  }
  const transaction = createTransaction(connection);
  const changes = watchChanges(connection);
  const observation = createObservation(connection, () => changes.written(), options.rowQueries);
  const openGate = createGates(connection, observation.access(false));
  const store = createEventStore(connection);
  const messages = watchMessages(connection);
  const dryJobs = jobsOf(connection, store, options, createInterruptedRuns(connection));
  // A handler that hung or ended the process is tried again, because it may have been corrected.
  const jobs = jobsOf(connection, store, options, { any: false, find: () => undefined, settle() {} });

  /**
   * What a delivery of an event does, or an apply or a replay of a stored one. It runs whether a newer one was
   * applied or not.
   */
  function jobFor(event: Incoming | StoredEvent): TriedJob {
    const source = { ...event.source, placeOf: undefined };
    if ("input" in event) return { kind: "delivery", event: asNew(event, source) };
    const { eventId } = event;
    const one = { source, eventId, at: options.now, reason: "try" };
    const outcome = store.find(source, eventId)?.outcome;
    return outcome === "processed" || outcome === "stale"
      ? { kind: "replay", ...one, job: "try", ordered: NOW, evenStale: true }
      : { kind: "apply", ...one, isNamed: true };
  }

  /**
   * A body that is given runs even if its event is stored, or would be ignored. It then has another id, because
   * a delivery with a known id runs the stored body, or nothing.
   */
  function asNew({ input, earlierIds = [], ...event }: Incoming, given: EventSource): Incoming {
    const source = { ...given, sameBody: false };
    const isStored = (id: string): boolean =>
      store.find(source, id) !== undefined || store.findFailure(source, id) !== undefined;
    const id = [input.id, ...earlierIds].some(isStored) ? `try_${input.id}` : input.id;
    return { ...event, source, isIgnored: false, input: { ...input, id } };
  }

  return {
    handlerModules,
    loadHandler: async (code) => loadHandler(connection, code, openGate, undefined, observation.access(true)),
    dryRun(job, handlers) {
      if (!transaction.begin()) return undefined;
      try {
        dryJobs.begin();
        const { outcome } = dryJobs.run(job, handlers, new Map()) as Result;
        const tables = changes.rows().map(({ rows: _rows, ...counts }) => counts);
        return outcome === "processed" ? { tables } : {};
      } finally {
        dryJobs.takeNotes();
        transaction.rollback();
      }
    },
    observe(event, handler) {
      observation.begin();
      if (!transaction.begin()) return undefined;
      let ran: Ran;
      let eventId: string;
      try {
        jobs.begin();
        messages.begin();
        const only = { for: () => handler, files: [] };
        const job = jobFor(event);
        eventId = job.kind === "delivery" ? job.event.input.id : job.eventId;
        ran = ranOf(() => jobs.run(job, only, new Map()) as Result, changes, messages);
      } finally {
        transaction.rollback();
      }
      const output = jobs.takeNotes().flatMap((note) => note.output);
      const durationUs = Math.max(0, ran.durationUs - observation.readUs());
      return { ...ran, durationUs, eventId, ...observation.noted(), output };
    },
  };
}

/** Everything that is processed now. */
const NOW = { event: Number.MAX_SAFE_INTEGER, change: Number.MAX_SAFE_INTEGER };

type TriedJob = Extract<Job, { kind: "delivery" | "apply" | "replay" }>;

type Ran = Omit<ObservedRun, "eventId" | "statements" | "bound" | "rowsRead" | "output">;

function ranOf(run: () => Result, changes: ChangeWatch, messages: MessageWatch): Ran {
  try {
    const { outcome, rowsChanged, durationUs, reply } = run();
    const ran = outcome === "processed";
    const wrote = { tables: ran ? changes.rows() : [], messages: messages.written() };
    return { ran, error: undefined, rowsChanged, durationUs, reply, ...wrote };
  } catch (error) {
    return { ran: true, error, rowsChanged: 0, durationUs: 0, reply: null, tables: [], messages: [] };
  }
}

function jobsOf(
  connection: Database,
  store: EventStore,
  { policy, enqueueProblem }: Pick<TrialOptions, "policy" | "enqueueProblem">,
  interrupted: InterruptedRuns,
): Jobs {
  const outbox = createOutbox(connection, enqueueProblem);
  // Unmarked: the parent of this process watches the run.
  const runs = createHandlerRuns(policy, interrupted, { begin() {}, end() {} }, outbox);
  return createJobs(connection, store, policy, runs, interrupted, outbox, undefined, allOpen);
}

type MessageWatch = ReturnType<typeof watchMessages>;

/** Reads the messages of a run before it is rolled back. */
function watchMessages(connection: Database) {
  let last = 0;
  return {
    begin(): void {
      last = Number(connection.query("select coalesce(max(id), 0) from hookonce_messages").values()[0]?.[0]);
    },
    written: (): ObservedMessage[] =>
      connection
        .query<{ destination: string; id: string; body: Uint8Array | string | null }, [number, number]>(
          "select destination, message_id as id, body from hookonce_messages where id > ?1 order by id limit ?2",
        )
        .all(last, MAX_MESSAGES)
        .map(({ body, ...message }) =>
          Object.assign(message, { body: body === null ? null : firstLine(body) }),
        ),
  };
}

function isReady(real: Database, { migrations }: TrialOptions): boolean {
  if (readPragma(real, "journal_mode") !== "wal") return false;
  try {
    const pending = [...pendingMigrations(real, ownSet(ownMigrations))];
    return pending.length === 0 && pendingMigrations(real, userSet(migrations)).length === 0;
  } catch (error) {
    // The check has reported it: for example, a newer hookonce made the database.
    if (error instanceof HookonceError) return false;
    throw error;
  }
}

function whyNotCopied(database: string, { copy }: TrialOptions): string | undefined {
  const size = statSync(database).size + (statSync(`${database}-wal`, { throwIfNoEntry: false })?.size ?? 0);
  const mib = Math.ceil(size / 1024 ** 2);
  if (size > MAX_COPIED) return `the database has ${mib} MiB, and they need a copy of it`;
  const folder = dirname(copy);
  const { bavail, bsize } = statfsSync(folder);
  // Half as much again, for what the handlers write.
  if (bavail * bsize < 1.5 * size)
    return `there is no room in ${folder} for a copy of the database (${mib} MiB)`;
  return undefined;
}
