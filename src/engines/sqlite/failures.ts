import type { Database } from "bun:sqlite";
import { failureQueries } from "./failure-queries.macro.ts" with { type: "macro" };
import { prepare } from "./statement.ts";

const queries = failureQueries();

export interface OpenFailure {
  readonly attempts: number;
  /** Unix milliseconds, of the first delivery. */
  readonly firstAt: number;
}

export interface FailedAttempt {
  readonly source: string;
  readonly eventId: string;
  readonly type: string;
  readonly handler: string | null;
  readonly code: string;
  readonly error: string;
  readonly stack: string | null;
  /** Unix milliseconds. */
  readonly at: number;
  readonly headers: string;
  readonly body: Uint8Array;
}

export type FailureStore = ReturnType<typeof createFailureStore>;

/** Events whose handler failed. Every call is part of a transaction that the caller has open. */
export function createFailureStore(connection: Database) {
  const countOpen = prepare<Record<string, never>>(connection, queries.countOpen);
  const find = prepare<{ source: string; eventId: string }>(connection, queries.find);
  const settle = prepare<{ source: string; eventId: string; at: number }>(connection, queries.settle);
  const record = prepare<Omit<FailedAttempt, never> & Record<string, string | number | Uint8Array | null>>(
    connection,
    queries.record,
  );

  // Nearly always there are none, and then the path of a delivery is spared two look-ups. Only this process writes the table while
  // it serves (storage/lock.ts), and a failure settled elsewhere costs no more than a look-up in vain.
  let open: boolean | undefined;

  const hasOpen = (): boolean => (open ??= (countOpen.rows({})[0]?.[0] as number) > 0);

  return {
    /** Whether there may be any that are not settled. */
    hasOpen,
    find(source: string, eventId: string): OpenFailure | undefined {
      if (!hasOpen()) return undefined;
      const row = find.rows({ source, eventId })[0];
      return row && { attempts: row[0] as number, firstAt: row[1] as number };
    },
    record(attempt: FailedAttempt): void {
      open = true;
      record.run({ ...attempt });
    },
    settle(source: string, eventId: string, at: number): void {
      settle.run({ source, eventId, at });
    },
  };
}
