import type { Database } from "bun:sqlite";
import type { Marker } from "../marker.ts";
import { troubleOf } from "./sqlite-error.ts";

/**
 * The writer's transactions, on prepared statements. The `transaction` functions of bun:sqlite and drizzle
 * commit at the first `await`. Neither notices if an error inside (disk full, RAISE(ROLLBACK)) has ended the
 * whole transaction. Each SAVEPOINT … RELEASE after that would silently commit. So check `open` after every
 * error.
 */
export interface Transaction {
  /** BEGIN IMMEDIATE. Returns false if another process holds the write lock. */
  begin(): boolean;
  /** The error for which `begin` has returned false. */
  readonly blockedBy: unknown;
  commit(): void;
  /** Does nothing if the transaction has already ended. */
  rollback(): void;
  readonly open: boolean;
  /** Begins the part of one event. Savepoints do not nest. */
  savepoint(): void;
  release(): void;
  /** Undoes everything since the savepoint, and removes it. */
  rollbackToSavepoint(): void;
}

/** @param syncs hears when COMMIT begins and ends, if COMMIT waits for the disk */
export function createTransaction(db: Database, syncs?: Pick<Marker, "beginSync" | "endSync">): Transaction {
  const begin = db.query("begin immediate");
  const commit = db.query("commit");
  const rollback = db.query("rollback");
  const savepoint = db.query("savepoint hookonce_event");
  const release = db.query("release hookonce_event");
  const rollbackTo = db.query("rollback to hookonce_event");
  let blockedBy: unknown;
  return {
    begin() {
      try {
        begin.run();
        return true;
      } catch (error) {
        if (troubleOf(error) !== "busy") throw error;
        blockedBy = error;
        return false;
      }
    },
    get blockedBy() {
      return blockedBy;
    },
    commit() {
      syncs?.beginSync();
      try {
        commit.run();
      } finally {
        syncs?.endSync();
      }
    },
    rollback() {
      if (db.inTransaction) rollback.run();
    },
    get open() {
      return db.inTransaction;
    },
    savepoint: () => void savepoint.run(),
    release: () => void release.run(),
    rollbackToSavepoint() {
      rollbackTo.run();
      release.run();
    },
  };
}

/** Does all of `work` or none of it, in the open transaction or in a new one. */
export function atomically<Result>(db: Database, work: () => Result): Result {
  if (db.inTransaction) return work();
  db.run("begin immediate");
  try {
    const result = work();
    db.run("commit");
    return result;
  } catch (error) {
    if (db.inTransaction) db.run("rollback");
    throw error;
  }
}
