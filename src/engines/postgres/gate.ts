import { HookonceError } from "../../errors.ts";
import { leavingGate } from "../late-error.ts";
import { explainValue } from "./bindings.ts";
import { DEADLINE_MS } from "./handler.ts";
import type { Observe } from "./observation.ts";
import { stateOf } from "./trouble.ts";
import { changedSoFar, countedBy, type Counted } from "./row-counts.ts";
import type { SqlStatement } from "./sql-text.ts";
import { checkOnServer, onlyStatement, refused } from "./statement-check.ts";
import { checkedValues, readValue } from "./values.ts";
import type { Wire } from "./wire.ts";

/**
 * Every statement of a TypeScript handler passes this gate. It sends what reads and writes rows, refuses what could
 * have an effect after the event's transaction, and waits for all of it.
 */

/** Statements that the server has accepted, by their text. */
interface Allowed {
  readonly text: string;
  readonly counted: Counted;
}

/** What a statement has done. */
interface Ran {
  readonly rows: readonly (readonly unknown[] | Readonly<Record<string, unknown>>)[];
  /** Undefined if it only reads. */
  readonly changed: number | undefined;
}

/** How many are kept. The limit is for handlers that build SQL from data. */
const MAX_CACHED = 500;

/** Rows as arrays, in the order of the columns, or as objects. */
export type RowForm = "arrays" | "objects";

/** What `db` is made of. */
export interface GatedClient {
  /** Runs one statement. */
  query(sql: string, values: readonly unknown[], form: RowForm): Promise<unknown[]>;
  /** Runs `work` in a savepoint, and undoes it if it throws. `outer` is how many are open around it. */
  savepoint<Result>(outer: number, work: () => Promise<Result>): Promise<Result>;
}

export interface Gate {
  readonly client: GatedClient;
  /**
   * Lets no further statement through, and waits for those that were given to it.
   *
   * @returns how many rows were changed
   * @throws the first error after which nothing can be written, even if the handler has caught it, or that of a
   *   statement that the handler has not awaited
   */
  close(): Promise<number>;
  /** Lets nothing through any more, not even what was given to it. Resolves when nothing is under way. */
  shut(): Promise<void>;
}

/**
 * Opens a gate for one run of a handler, inside its event's savepoint.
 *
 * @param deadlineMs how long the handler may take. A statement that begins late gets what is left of it
 */
export type OpenGate = (wire: Wire, deadlineMs: number) => Gate;

/** @param observe runs the statements of a handler that is tried */
export function createGates(observe: Observe = (_statement, _bound, work) => work()): OpenGate {
  const cache = new Map<string, Allowed>();

  async function allowed(wire: Wire, sql: string): Promise<Allowed> {
    const hit = cache.get(sql);
    if (hit !== undefined) return hit;
    const statement = onlyStatement(sql);
    const { types } = await checkOnServer(wire, statement.text);
    const made = { text: withJsonAsText(statement, types), counted: countedBy(statement) };
    if (cache.size >= MAX_CACHED) cache.delete(cache.keys().next().value as string);
    cache.set(sql, made);
    return made;
  }

  return (wire, deadlineMs) => {
    const began = performance.now();
    /** Whether statements get less than `statement_timeout` of the transaction. */
    let isLimited = false;
    let state: "open" | "closed" | "shut" = "open";
    let rowsChanged = 0;
    let depth = 0;
    /** The first error outside of a savepoint. Nothing can be written after it. */
    let fatal: { readonly error: unknown } | undefined;
    const pending = new Set<Promise<unknown>>();
    /** Statements run in the order in which they were given, also while one of them is checked. */
    let turn: Promise<unknown> = Promise.resolve();

    function checkOpen(): void {
      if (state !== "open") throw leavingGate(finished());
      if (fatal !== undefined) throw leavingGate(ended(fatal.error));
    }

    function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
      checkOpen();
      const result = turn.then(async () => {
        if (state === "shut") throw leavingGate(finished());
        return work();
      });
      // Also if the handler does not await it, so that nothing is reported as unhandled.
      const settled = result.catch(() => {});
      turn = settled;
      pending.add(result);
      void settled.then(() => pending.delete(result));
      return result;
    }

    /** Otherwise the baton would be held for as long once more. Most handlers end before this matters. */
    async function limitNext(): Promise<void> {
      const ms = performance.now() - began;
      if (ms < deadlineMs / 6) return;
      isLimited = true;
      await wire.send(`set local statement_timeout = ${Math.max(1, Math.ceil(deadlineMs - ms))}`);
    }

    async function send(sql: string, values: readonly unknown[], form: RowForm): Promise<Ran> {
      const { text, counted } = await allowed(wire, sql);
      const checked = checkedValues(values);
      const before = counted === "statistics" ? await changedSoFar(wire) : 0;
      await limitNext();
      const { rows, command, count } = await (form === "arrays"
        ? wire.send(text, checked)
        : wire.objects(text, checked));
      if (counted === "statistics") return { rows, changed: (await changedSoFar(wire)) - before };
      return { rows, changed: counted === "tag" && command !== "SELECT" ? count : undefined };
    }

    async function run(sql: string, values: readonly unknown[], form: RowForm): Promise<unknown[]> {
      try {
        const { rows, changed } = await observe(
          { sql, line: null },
          values,
          () => send(sql, values, form),
          (sent) => sent.changed ?? sent.rows.length,
        );
        rowsChanged += changed ?? 0;
        return rows.map(readRow);
      } catch (error) {
        const shown = explainValue(error);
        // What the gate refuses has not reached the server.
        if (stateOf(error) !== undefined && depth === 0) fatal ??= { error: shown };
        throw leavingGate(shown);
      }
    }

    return {
      client: {
        query: (sql, values, form) => inTurn(() => run(sql, values, form)),
        async savepoint(outer, work) {
          checkOpen();
          if (outer !== depth) throw leavingGate(refused(OTHER_TRANSACTION));
          const name = `handler_${++depth}`;
          const before = rowsChanged;
          try {
            await inTurn(() => wire.send(`savepoint ${name}`));
            const result = await work();
            await inTurn(() => wire.send(`release ${name}`));
            return result;
          } catch (error) {
            if (state === "open") {
              await inTurn(() => wire.send(`rollback to ${name}`));
              await inTurn(() => wire.send(`release ${name}`));
              rowsChanged = before;
            }
            throw leavingGate(error);
          } finally {
            depth--;
          }
        },
      },
      async close() {
        if (depth > 0) fatal ??= { error: refused(OPEN_TRANSACTION) };
        state = "closed";
        const floating = await Promise.allSettled(pending);
        if (fatal !== undefined) throw fatal.error;
        const failed = floating.find((one) => one.status === "rejected");
        if (failed !== undefined) throw failed.reason;
        if (isLimited) await wire.send(`set local statement_timeout = ${DEADLINE_MS}`);
        return rowsChanged;
      },
      async shut() {
        state = "shut";
        await Promise.allSettled(pending);
      },
    };
  };
}

const OTHER_TRANSACTION =
  "Another db.transaction() is open. Await it before the next one, or begin the next one with its tx.";
const OPEN_TRANSACTION = "The handler has returned before its db.transaction() has ended. Await it.";

function finished(): HookonceError {
  return new HookonceError(
    "handler_finished",
    "This handler has ended, and so has its transaction. Await each statement before the handler returns.",
  );
}

function ended(cause: unknown): HookonceError {
  return new HookonceError(
    "handler_ended_transaction",
    "An earlier statement has failed, so nothing more can be written. Run a statement that may fail in db.transaction().",
    { cause },
  );
}

/** An array or an object. */
function readRow(row: readonly unknown[] | Readonly<Record<string, unknown>>): unknown {
  if (Array.isArray(row)) return row.map(readValue);
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, readValue(value)]));
}

/**
 * A parameter of the type json or jsonb gets its value as text. Otherwise Bun would write JSON text as JSON once more,
 * as a string in quotation marks.
 */
function withJsonAsText({ tokens }: SqlStatement, types: readonly string[]): string {
  return tokens
    .map(({ kind, text }) => {
      const type = kind === "parameter" ? types[Number(text.slice(1)) - 1] : undefined;
      return type === "json" || type === "jsonb" ? `((${text}::text)::${type})` : text;
    })
    .join("");
}
