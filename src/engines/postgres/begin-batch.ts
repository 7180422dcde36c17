import type { Job } from "../engine.ts";
import type { Limits } from "./connection.ts";
import { within } from "./deadline.ts";
import { DEADLINE_MS } from "./handler.ts";
import { HIDDEN_IDS } from "./hidden-ids.ts";
import type { Lane } from "./lane.ts";
import { IDLE_MS } from "./handler-runs.ts";
import { lock } from "./locks.ts";
import { keyOf, type Done } from "./plain-deliveries.ts";
import { ALL_FAILING, ALL_STATES } from "./source-states.ts";
import { arrayOf, textOf } from "./sql.ts";
import { rollBack } from "./transaction.ts";
import { troubleOf } from "./trouble.ts";

/** In milliseconds. So long after it has frozen, a node loses the baton. */
const TIMEOUTS = { baton: 1000, statement: DEADLINE_MS, idle: IDLE_MS.usual } as const;

/** Of a connection that writes batches. The limits of the server are set by each batch. */
export const BATCH_LIMITS: Limits = { silenceMs: TIMEOUTS.statement + 5000 };

/** How long the server may take to begin a batch, once it has the baton, in milliseconds. */
const BEGIN_MS = 5000;

const SETTINGS = `
  select set_config('lock_timeout', $1, true), set_config('statement_timeout', $2, true),
    set_config('idle_in_transaction_session_timeout', $3, true), set_config('synchronous_commit', 'on', true),
    set_config('hookonce.own', 'on', true), set_config('hookonce.node', $4, true)`;

const FACTS = `
  select exists (select 1 from hookonce.failures where settled_at is null),
    exists (select 1 from hookonce.interrupted_runs),
    exists (select 1 from hookonce.meta where key = '${HIDDEN_IDS}')`;

const FAILED = `
  select source, event_id from hookonce.failures
  where settled_at is null and (source, event_id) in (select * from unnest($1::text[], $2::text[]))`;

/**
 * Begins a transaction with the baton, and reads what holds for all of its jobs.
 *
 * @returns false if another node has the baton
 */
export async function beginBatch(
  { tx, jobs, outbox, node }: Lane,
  batonMs: number = TIMEOUTS.baton,
): Promise<boolean> {
  const { wire } = tx;
  outbox.takeWritten();
  const baton = lock("baton");
  const settings = [`${batonMs}`, `${TIMEOUTS.statement}`, `${TIMEOUTS.idle}`, node()];
  const sent = [
    wire.send("begin isolation level read committed"),
    // A function that a handler has called may have changed settings of the session, or its role.
    wire.send("reset session authorization"),
    wire.send("reset all"),
    wire.send(SETTINGS, settings),
    wire.send(textOf(baton), baton.values),
    wire.send(FACTS),
  ] as const;
  const states = Promise.all([tx.query(ALL_STATES).values(), tx.query(ALL_FAILING).values()]);
  states.catch(() => {});
  const answers = await within(wire, batonMs + BEGIN_MS, () => Promise.allSettled(sent));
  const failed = answers.find((answer) => answer.status === "rejected");
  if (failed !== undefined) {
    await rollBack(wire);
    if (troubleOf(failed.reason) === "contention") return false;
    throw failed.reason;
  }
  const [failures, interrupted, hidden] = (await sent[5]).rows[0] as [boolean, boolean, boolean];
  Object.assign(tx.facts, { failures, interrupted, hidden });
  jobs.takeNotes();
  jobs.begin(...(await states));
  return true;
}

/** The events of these deliveries that have failed before. */
export async function failedAmong({ tx }: Lane, list: readonly Job[]): Promise<Set<string>> {
  if (!tx.facts.failures) return new Set();
  const inputs = list.flatMap((job) => (job.kind === "delivery" ? [job.event.input] : []));
  const rows = await tx
    .query(FAILED)
    .values(arrayOf(inputs.map(({ source }) => source)), arrayOf(inputs.map(({ id }) => id)));
  return new Set(rows.map(([source, eventId]) => keyOf(String(source), String(eventId))));
}

/** Another delivery of a failed event is not plain any more. */
export function noteFailure(failed: Set<string>, job: Job | undefined, result: Done | undefined): void {
  if (job?.kind !== "delivery" || typeof result !== "object" || result === null) return;
  if ("outcome" in result && result.outcome === "failed")
    failed.add(keyOf(job.event.source.name, job.event.input.id));
}
