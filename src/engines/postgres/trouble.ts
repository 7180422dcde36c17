import { SQL } from "bun";
import { HookonceError, messageOf, withCode } from "../../errors.ts";

/** What an error of PostgreSQL means for the answer to a delivery. */
export type Trouble =
  /** The statement is wrong or violates the schema: the handler's fault. */
  | "statement"
  /** Another transaction blocked the statement. The same may succeed if it runs again, alone. */
  | "contention"
  /** The server is away, ends the connection, or is a standby. */
  | "away"
  | "full"
  | "memory";

/** Whether the server, and not a statement, is to blame. */
export const isOfServer = (trouble: Trouble): boolean => trouble !== "statement" && trouble !== "contention";

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const STATES: Readonly<Record<string, Trouble>> = {
  "40P01": "contention", // a deadlock
  "40001": "contention", // cannot be serialized
  "55P03": "contention", // lock_timeout
  "25P03": "away", // idle_in_transaction_session_timeout has ended the connection
  "25P04": "away", // transaction_timeout has
  "25006": "away", // read-only: a standby, or an old primary
  "53300": "away", // too many connections
  "53100": "full",
  "53200": "memory",
};

/** 57P01 to 57P05: it shuts down, crashes, starts, or the session is idle. 08: the connection. 28: who may connect. */
const AWAY = /^(?:57P0|08|28)/;

/** A statement has taken longer than its `statement_timeout`, or somebody has cancelled it. */
export const CANCELLED = "57014";

export function troubleOf(error: unknown): Trouble {
  if (error instanceof HookonceError && error.code === "database_unreachable") return "away";
  if (!(error instanceof SQL.PostgresError)) return "statement";
  const state = stateOf(error);
  if (state === "0A000") return isOutdatedPlan(error) ? "contention" : "statement";
  if (state !== undefined) return STATES[state] ?? (AWAY.test(state) ? "away" : "statement");
  // Bun's own: the connection is closed, refused, or its TLS or its password is not accepted.
  return /^ERR_POSTGRES_(?:CONNECTION|IDLE|LIFETIME|TLS|SASL|AUTH|UNKNOWN_AUTH|UNSUPPORTED_AUTH|FAILED_TO_OPEN)/.test(
    error.code,
  )
    ? "away"
    : "statement";
}

/**
 * "cached plan must not change result type": the table was altered meanwhile. The code also means other things, such as
 * a NaN that becomes an integer, and the message is in the server's language.
 */
const isOutdatedPlan = ({ routine }: SQL.PostgresError): boolean => routine === "RevalidateCachedQuery";

/** @throws the error if the server is away: then nothing is wrong with the statement, and the same may succeed later */
export function throwIfAway(error: unknown): void {
  if (troubleOf(error) === "away") throw error;
}

/** The SQLSTATE; undefined if the error is not the server's. */
export function stateOf(error: unknown): string | undefined {
  if (!(error instanceof SQL.PostgresError)) return undefined;
  const { errno } = error;
  return typeof errno === "string" && /^[0-9A-Z]{5}$/.test(errno) ? errno : undefined;
}

/** The error to answer with if no event is at fault. */
export function unavailable(trouble: Exclude<Trouble, "statement">, cause: unknown): HookonceError {
  switch (trouble) {
    case "contention":
      return new HookonceError(
        "database_locked",
        "Another transaction blocked this one, so nothing was recorded. Try again later.",
        { cause },
      );
    case "away":
      return new HookonceError(
        "database_unreachable",
        `The database cannot be used now, so nothing was changed: ${withState(cause)}.`,
        { cause },
      );
    case "full":
      return new HookonceError(
        "disk_full",
        "The disk of the database server is full, so nothing was recorded. Free some space, and the next retry succeeds.",
        { cause },
      );
    case "memory":
      return new HookonceError(
        "out_of_memory",
        "The database server ran out of memory, so nothing was recorded. Try again later.",
        { cause },
      );
  }
}

/** Returns the error to answer with. A trouble of one of hookonce's own statements is no event's fault. */
export function ownFailure(error: unknown): unknown {
  if (!(error instanceof SQL.PostgresError)) return error;
  const trouble = troubleOf(error);
  if (trouble !== "statement") return unavailable(trouble, error);
  return new HookonceError(
    "storage_failed",
    "A statement of hookonce itself failed, so nothing was recorded. Has another program changed its tables?",
    { cause: error },
  );
}

const RIGHTS = " Give its user the right to make a schema, as in: grant create on database shop to app.";

/** The same for a start, whose reader may see what the server says. */
export function startFailure(error: unknown, database: string): unknown {
  if (!(error instanceof SQL.PostgresError) || troubleOf(error) !== "statement") return ownFailure(error);
  const message = `hookonce's own tables in ${database} cannot be used: ${withState(error)}.${stateOf(error) === "42501" ? RIGHTS : ""}`;
  return new HookonceError("database_unusable", message, { cause: error });
}

/** The text of an error of the server, with its SQLSTATE: `terminating connection … (57P01)`. */
export function withState(error: unknown): string {
  const state = stateOf(error);
  return state === undefined ? withCode(error) : `${messageOf(error)} (${state})`;
}

/** A statement behind one that has failed, in an aborted transaction. It is not the cause. */
export const isFollowing = (error: unknown): boolean => stateOf(error) === "25P02";
