import type { Database, Statement } from "bun:sqlite";
import { HookonceError } from "../../errors.ts";
import { asNumber, checkValues, withNumbers } from "./exact-values.ts";
import { ownTablesWrittenBy, programOf, writesView } from "./own-tables.ts";
import { splitStatements, type SqlStatement } from "./sql-text.ts";
import { troubleOf } from "./sqlite-error.ts";
import { leavingGate } from "../late-error.ts";
import { refusePromise } from "../returned.ts";

/**
 * Every statement of a handler passes this gate. It allows statements that read and write rows. It refuses
 * statements that could end the event's transaction, have an effect after it, or reach other files.
 */

const ALLOWED = new Set(["SELECT", "WITH", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE"]);
const READS = new Set(["SELECT", "VALUES"]);

/**
 * Compares with a list of allowed keywords, because a list of refused ones would never be complete.
 *
 * @throws HookonceError `statement_refused`
 */
export function checkKeyword(keyword: string): void {
  if (ALLOWED.has(keyword)) return;
  throw new HookonceError(
    "statement_refused",
    `A handler's statement must start with one of ${[...ALLOWED].join(", ")}, and this one starts with ${keyword || "no keyword"}. Create tables in migrations/. hookonce begins and commits the transaction.`,
  );
}

/** The table behind the view `hookonce_outbox`, into which handlers insert. */
const ENQUEUED = "hookonce_enqueued";

const enqueueing = new WeakSet<Database>();

/** Whether a handler of this connection inserts into the view `hookonce_outbox`. */
export const enqueues = (db: Database): boolean => enqueueing.has(db);

/** Bound values, of any type that bun:sqlite accepts. */
type Values = Parameters<Statement["run"]>;

/** The part of bun:sqlite's `Statement` that runs a handler's statement. */
export type HandlerStatement = Pick<Statement, "run" | "all" | "get" | "values" | "safeIntegers">;

export interface AllowedStatement {
  readonly statement: HandlerStatement;
  readonly reads: boolean;
  /** SQLite counts no rows for it, because an INSTEAD OF trigger changes them. */
  readonly writesView: boolean;
  readonly parameters: readonly string[];
}

/**
 * Prepares a statement that has passed {@link checkKeyword}.
 *
 * @throws HookonceError `statement_refused` if it would write hookonce's own tables. For example, an event
 *   whose row is deleted would be applied again
 */
export function prepareAllowed(db: Database, { text, keyword, parameters }: SqlStatement): AllowedStatement {
  if (text.includes("\0") || !text.isWellFormed()) {
    throw new HookonceError(
      "statement_refused",
      "The statement's text contains a NUL or half of a surrogate pair, and SQLite would drop or replace it. Bind values as parameters.",
    );
  }
  // db.query() returns the same statement for the same text. The line break makes the text different from
  // hookonce's own, because `safeIntegers` would change how hookonce reads.
  const statement = db.query(`${text}\n`);
  if (READS.has(keyword)) return { statement, reads: true, writesView: false, parameters };
  const program = programOf(db, text);
  // Through the view, and not by its name.
  const isEnqueued = (table: string): boolean => table === ENQUEUED && !text.toLowerCase().includes(ENQUEUED);
  const written = ownTablesWrittenBy(db, text, program);
  if (written.some(isEnqueued)) enqueueing.add(db);
  const own = written.filter((table) => !isEnqueued(table));
  if (own.length === 0) return { statement, reads: false, writesView: writesView(program), parameters };
  throw new HookonceError(
    "statement_refused",
    `This statement writes ${own.join(", ")}, directly or by a trigger. A handler may only read hookonce's own tables, and insert into the view hookonce_outbox.`,
  );
}

/**
 * Returns a function that reads how many rows a connection has changed, including those that triggers and
 * foreign keys changed.
 */
export function countTotalChanges(db: Database): () => number {
  const statement = db.query("select total_changes()");
  return () => statement.values()[0]?.[0] as number;
}

/** How the statements of handlers reach SQLite. A trial observes them on this way. */
export interface StatementAccess {
  /** See {@link prepareAllowed}. */
  readonly prepare: (statement: SqlStatement) => AllowedStatement;
  /** See {@link countTotalChanges}. */
  readonly totalChanges: () => number;
}

export function directAccess(db: Database): StatementAccess {
  return { prepare: (statement) => prepareAllowed(db, statement), totalChanges: countTotalChanges(db) };
}

/**
 * How many prepared statements are kept for a connection. The limit is for handlers that build SQL from data.
 */
const MAX_CACHED = 500;

export interface GatedStatement {
  run(...values: Values): { changes: number; lastInsertRowid: number | bigint };
  all(...values: Values): unknown[];
  get(...values: Values): unknown;
  values(...values: Values): unknown[][];
}

/** The part of bun:sqlite's `Database` that drizzle uses. Handlers see it as `db.$client`. */
export interface GatedClient {
  prepare(sql: string): GatedStatement;
  query(sql: string): GatedStatement;
  run(sql: string, ...values: Values): { changes: number; lastInsertRowid: number | bigint };
  /** Runs `work` in a savepoint, and undoes it if it throws. */
  savepoint<Result>(work: () => Result): Result;
}

export interface Gate {
  readonly client: GatedClient;
  /**
   * Closes the gate for good. Otherwise a late write would become part of another event's transaction.
   *
   * @returns how many rows were changed
   * @throws an error that the handler caught, if it ended the transaction or came from the disk
   */
  close(): number;
}

/** Opens a gate for one call of a handler. `onLateError` receives the error of a promise that was refused. */
export type OpenGate = (onLateError?: (error: unknown) => void) => Gate;

export function createGates(db: Database, access = directAccess(db)): OpenGate {
  const cache = new Map<string, AllowedStatement>();
  const { prepare: prepareOne, totalChanges } = access;
  const changesOf = db.query("select changes()");
  const changes = (): number => changesOf.values()[0]?.[0] as number;

  function cached(sql: string): AllowedStatement {
    const hit = cache.get(sql);
    if (hit !== undefined) return hit;
    const [first, second] = splitStatements(sql);
    checkKeyword(first?.keyword ?? "");
    if (second !== undefined) {
      throw new HookonceError(
        "statement_refused",
        `Run one statement per call. SQLite would silently drop "${second.text.slice(0, 40)}".`,
      );
    }
    const made = prepareOne(first as SqlStatement);
    // A number would round some integers. withNumbers() and asNumber() convert the others to numbers.
    made.statement.safeIntegers(true);
    if (cache.size >= MAX_CACHED) {
      for (const oldest of cache.keys()) {
        cache.delete(oldest);
        break;
      }
    }
    cache.set(sql, made);
    return made;
  }

  return (onLateError = () => {}) => {
    let finished = false;
    let rowsChanged = 0;
    let depth = 0;
    /** The first error that ended the transaction. It fails the event even if the handler catches it. */
    let fatal: unknown;

    function check(): void {
      if (finished) {
        throw leavingGate(
          new HookonceError(
            "handler_finished",
            "This handler has returned, and its transaction has ended. Use db only while the handler runs.",
          ),
        );
      }
      if (fatal !== undefined) {
        throw leavingGate(
          new HookonceError(
            "handler_ended_transaction",
            "An earlier statement ended the transaction, so nothing more can be written.",
            { cause: fatal },
          ),
        );
      }
    }

    function guarded<Result>(work: () => Result): Result {
      check();
      let result: Result;
      try {
        result = work();
      } catch (error) {
        if (!db.inTransaction || troubleOf(error) !== "statement") fatal ??= error;
        throw leavingGate(error);
      }
      if (!db.inTransaction) {
        fatal ??= new HookonceError("handler_ended_transaction", "A statement ended the transaction.");
        throw leavingGate(fatal);
      }
      return result;
    }

    function reading<Rows extends readonly unknown[]>(
      sql: string,
      values: Values,
      read: (statement: HandlerStatement, values: Values) => Rows,
    ): Rows {
      return guarded(() => {
        const { statement, reads, writesView, parameters } = cached(sql);
        const checked = checkValues(values, parameters);
        if (reads) return withNumbers(read(statement, checked));
        // INSERT … RETURNING returns rows and no count, and a WITH may contain one. Like a count, changes()
        // leaves out what triggers and foreign keys did. After a statement that wrote nothing, it still
        // returns the previous count.
        const before = totalChanges();
        const rows = read(statement, checked);
        const total = totalChanges() - before;
        if (total > 0) rowsChanged += writesView ? total : changes();
        return withNumbers(rows);
      });
    }

    const prepare = (sql: string): GatedStatement => {
      // Refuse now a statement that would be refused when it runs.
      guarded(() => cached(sql));
      return {
        run: (...values) => client.run(sql, ...values),
        all: (...values) => reading(sql, values, (statement, checked) => statement.all(...checked)),
        get: (...values) => reading(sql, values, (statement, checked) => [statement.get(...checked)])[0],
        values: (...values) => reading(sql, values, (statement, checked) => statement.values(...checked)),
      };
    };

    const client: GatedClient = {
      prepare,
      query: prepare,
      run: (sql, ...values) =>
        guarded(() => {
          const { statement, writesView, parameters } = cached(sql);
          const checked = checkValues(values, parameters);
          const before = writesView ? totalChanges() : 0;
          const { changes: counted, lastInsertRowid } = statement.run(...checked);
          const changed = writesView ? totalChanges() - before : counted;
          rowsChanged += changed;
          return { changes: changed, lastInsertRowid: asNumber(lastInsertRowid) };
        }),
      savepoint(work) {
        const name = `handler_${++depth}`;
        guarded(() => db.run(`savepoint ${name}`));
        const before = rowsChanged;
        try {
          const result = work();
          refusePromise(result, "The function given to db.transaction", onLateError);
          guarded(() => db.run(`release ${name}`));
          return result;
        } catch (error) {
          if (!finished && fatal === undefined && db.inTransaction) {
            db.run(`rollback to ${name}`);
            db.run(`release ${name}`);
            rowsChanged = before;
          }
          throw leavingGate(error);
        } finally {
          depth--;
        }
      },
    };

    return {
      client,
      close() {
        finished = true;
        if (fatal !== undefined) throw fatal;
        return rowsChanged;
      },
    };
  };
}
