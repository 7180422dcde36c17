import { lockDatabase } from "../sqlite/lock.ts";
import { servedBy } from "../sqlite/lock-text.ts";
import type { LockOptions, ServeLock } from "../store.ts";

/**
 * Allows one `serve` per inbox folder: two would share the socket and the marker of the handler that runs. Other nodes
 * on the same database have separate folders.
 *
 * @param beside the path beside which this node keeps its files
 * @throws HookonceError `database_in_use`, `shutting_down`, `disk_full`, `database_unusable`
 */
export const lockNode = (beside: string, options?: LockOptions): Promise<ServeLock> =>
  lockDatabase(beside, options, {
    // The marker of the last process may be there, and the database is elsewhere.
    refuse() {},
    inUse: (_, holder) =>
      `This inbox folder is in use by another hookonce (${holder}). Stop that process. Another node needs another inbox folder.`,
  });

/** Names the `serve` of this inbox folder. */
export const nodeServedBy = servedBy;
