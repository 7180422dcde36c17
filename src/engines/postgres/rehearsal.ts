import type { PostgresTarget } from "../../config/postgres.ts";
import { HookonceError, messageOf, type Problem } from "../../errors.ts";
import type { HandlerDuration, Migration, Rehearsed, StartPlan } from "../store.ts";
import { expressionProblem } from "./conditions.ts";
import type { Connection } from "./connection.ts";
import { readDurability } from "./durability.ts";
import { createGates } from "./gate.ts";
import {
  applyOwn,
  historyOf,
  isWithoutTransaction,
  ownSet,
  problemOf,
  problemsOf,
  runStatements,
  userSet,
} from "./migrations.ts";
import { refuseHalfMoved } from "./move-in.ts";
import { handlerModules, loadHandler } from "./postgres-engine.ts";
import { tryLock } from "./locks.ts";
import { createServer } from "./server.ts";
import { refuseChanges } from "./source-rules.ts";
import { doubtsOf, loadSqlHandler } from "./sql-handler.ts";
import { rowsOf } from "./sql.ts";
import { LOOK_MS, startsElsewhere } from "./start-lock.ts";
import { refuseServer } from "./start.ts";
import { rollBack } from "./transaction.ts";
import { ownFailure, startFailure, troubleOf } from "./trouble.ts";
import type { Wire } from "./wire.ts";

/** How long a migration that is only tried waits for a table that others use, in milliseconds. */
const LOCK_TIMEOUT_MS = 1000;

/** How long it waits for another node's start, in milliseconds. */
const LONGEST_WAIT_MS = 60_000;

/**
 * Does what a start would do, in a transaction that is rolled back. It stays open until `close`, because handlers are
 * checked against the tables that it has made. Only pending migrations are run.
 *
 * @throws HookonceError `database_unreachable`, `database_unusable`, `database_newer` and its like
 */
export async function rehearseStart(
  target: PostgresTarget,
  plan: StartPlan,
  { durations }: { readonly durations: boolean },
): Promise<Rehearsed> {
  const wire = await createServer(target).connect();
  const until = performance.now() + LONGEST_WAIT_MS;
  try {
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- one try after another
      await wire.send("begin isolation level read committed");
      // oxlint-disable-next-line no-await-in-loop
      const rehearsed = await rehearseOn(wire, target.name, plan, durations);
      if (rehearsed !== undefined) return rehearsed;
      // oxlint-disable-next-line no-await-in-loop
      await wire.send("rollback");
      if (performance.now() >= until) throw startsElsewhere(LONGEST_WAIT_MS);
      // oxlint-disable-next-line no-await-in-loop
      await Bun.sleep(LOOK_MS);
    }
  } catch (error) {
    await wire.drop();
    throw startFailure(error, target.name);
  }
}

/** @returns undefined while another node starts, and there are migrations to try */
async function rehearseOn(
  wire: Connection,
  name: string,
  plan: StartPlan,
  durations: boolean,
): Promise<Rehearsed | undefined> {
  const problems: Problem[] = [];
  const changedRules: Problem[] = [];
  await refuseServer(wire);
  const notes: string[] = [];
  const warnings: string[] = [];
  await collect(problems, async () => {
    const { promise, warning } = await readDurability(wire);
    notes.push(promise);
    if (warning !== undefined) warnings.push(warning);
  });
  await wire.send(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
  const own = await historyOf(wire, ownSet);
  problems.push(...own.refusals.map(({ message }) => ({ message })));
  const isNew = own.pending.length === ownSet.migrations.length;
  if (isNew) notes.push(`the first start will make hookonce's tables in the schema hookonce of ${name}`);
  const user = await historyOf(wire, userSet(plan.migrations));
  problems.push(...user.refusals.map(({ message }) => ({ message })));
  if (own.pending.length + user.pending.length > 0) {
    // Two transactions that create the same schema get in each other's way.
    const [lock] = await rowsOf<{ taken: boolean }>(wire, tryLock("start"));
    if (lock?.taken !== true) return undefined;
  }
  const { rules } = plan;
  if (!isNew) {
    await collect(problems, () => refuseHalfMoved(wire));
    if (rules !== null) await collect(changedRules, () => refuseChanges(wire, rules, plan));
  }
  const measured = durations && !isNew ? await handlerDurations(wire) : [];
  await applyOwn(wire, own.pending, plan.now);
  for (const migration of user.pending) problems.push(...(await tryMigration(wire, migration)));
  const openGate = createGates();
  // One after another: they share the transaction.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const result = last.then(work).catch((error: unknown) => {
      throw ownFailure(error);
    });
    last = result.catch(() => {});
    return result;
  };
  return {
    isNew,
    notes,
    warnings,
    problems,
    changedRules,
    pending: user.pending,
    durations: measured,
    doubtsOf: (code) => (code.language === "sql" ? doubtsOf(code) : []),
    loadHandler: (code) =>
      inTurn(() =>
        code.language === "sql" ? loadSqlHandler(wire, code) : loadHandler(wire, code, openGate, () => {}),
      ),
    handlerModules,
    checkWhere: (expression) => inTurn(() => expressionProblem(wire, expression)),
    close: () => void rollBack(wire).then(() => wire.drop()),
  };
}

/** Adds the problems of a refusal to the list. */
async function collect(problems: Problem[], work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof HookonceError)) throw error;
    problems.push(...(error.problems.length > 0 ? error.problems : [{ message: messageOf(error) }]));
  }
}

/** Goes on after a statement that fails, so that one mistake does not hide the next. */
async function tryMigration(wire: Wire, migration: Migration): Promise<Problem[]> {
  const problems = problemsOf(migration);
  // What cannot run in a transaction cannot be tried.
  if (problems.length > 0 || isWithoutTransaction(migration)) return problems;
  const tell = (error: unknown, line: number | undefined): void => {
    const problem = problemOf(migration, line, error);
    const isBusy = troubleOf(error) === "contention";
    problems.push(isBusy ? { ...problem, message: IN_USE } : problem);
  };
  await runStatements(wire, migration, tell, { savepoints: true });
  return problems;
}

const IN_USE = "cannot be tried now, because another transaction uses its tables. Try again later";

/** How many of a handler's latest events are measured, and how many of all sources are searched for them. */
const SAMPLE = 1000;
const LATEST = 500_000;

/** Measures each handler separately, so that a slow handler that seldom runs is not hidden by busier ones. */
function handlerDurations(wire: Wire): Promise<HandlerDuration[]> {
  return wire.read(
    `select source, handler, percentile_disc(0.99) within group (order by duration_us) as "slowestUs" from (
       select e.source, e.handler, r.duration_us, row_number() over (partition by e.source, e.handler order by e.id desc) as latest
       from (select id, source, handler from hookonce.events where handler is not null order by id desc limit $1) e
       join hookonce.results r on r.event = e.id) measured
     where latest <= $2 group by source, handler order by source, handler`,
    [LATEST, SAMPLE],
  );
}
