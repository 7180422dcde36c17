import { HookonceError } from "../../errors.ts";
import type { ClosableReader } from "../store.ts";
import type { Limits } from "./connection.ts";
import type { Node } from "./nodes.ts";
import type { Pool } from "./pool.ts";
import { alertReads, sourceStateReads } from "./reads/state-reads.ts";
import { arrivalReads } from "./reads/arrivals.ts";
import type { Ask } from "./reads/ask.ts";
import { changeReads } from "./reads/changes.ts";
import { detailReads } from "./reads/event-detail.ts";
import { findReads } from "./reads/find-events.ts";
import { forgetReads } from "./reads/forget-reads.ts";
import { failingReads } from "./reads/failing-handlers.ts";
import { groupReads } from "./reads/failure-groups.ts";
import { ledgerReads } from "./reads/ledger-reads.ts";
import { listReads } from "./reads/lists.ts";
import { messageReads } from "./reads/message-reads.ts";
import { nodeReads } from "./reads/node-reads.ts";
import { owedCounts } from "./reads/owed-counts.ts";
import { owedReads } from "./reads/owed.ts";
import { retentionReads } from "./reads/retention-reads.ts";
import { rowsOf } from "./sql.ts";
import { CANCELLED, ownFailure, stateOf } from "./trouble.ts";

/** How long a query may take, in milliseconds. A page takes much less. */
const LONGEST_READ_MS = 30_000;

/** Of a connection that reads. The server ends a query that nobody waits for any more. */
export const READ_LIMITS: Limits = { statementMs: LONGEST_READ_MS, silenceMs: LONGEST_READ_MS + 5000 };

/**
 * Reads everything that is not a delivery. Each read is one or a few queries, each with a snapshot for itself: a
 * snapshot that is held keeps VACUUM from removing rows.
 *
 * @param pool used for nothing else, with {@link READ_LIMITS}
 * @param node claims messages to send. Without it none can be claimed
 */
export function createReader(pool: Pool, node?: Node): ClosableReader {
  const ask: Ask = async (statement) => {
    try {
      return await pool.use((wire) => rowsOf(wire, statement));
    } catch (error) {
      throw stateOf(error) === CANCELLED ? tooLong(error) : ownFailure(error);
    }
  };
  return {
    ...owedReads(ask),
    ...findReads(ask),
    ...owedCounts(ask),
    ...listReads(ask),
    ...groupReads(ask),
    ...failingReads(ask),
    ...changeReads(ask),
    ...arrivalReads(ask),
    ...detailReads(ask),
    ...ledgerReads(ask),
    ...messageReads(ask, node),
    ...nodeReads(ask),
    ...retentionReads(ask),
    ...forgetReads(ask),
    ...sourceStateReads(ask),
    ...alertReads(ask),
    close: () => void pool.close(),
  };
}

const tooLong = (cause: unknown): HookonceError =>
  new HookonceError(
    "overloaded",
    `The database server has not answered a query within ${LONGEST_READ_MS / 1000} s, or somebody has cancelled it. Ask for less, or try again later.`,
    { cause },
  );
