import { sql, type Sql } from "./sql.ts";

/**
 * Advisory locks of one database, each until the end of its transaction. All nodes use them, also those of other
 * versions: never give a number another meaning.
 */
const LOCKS = {
  /** A start migrates, or compares the rules of sources. `create schema if not exists` alone fails in a race. */
  start: 1,
  /**
   * The baton. A transaction holds it while it writes events. So handlers run one after another, and events get
   * their ids in the order of the commits.
   */
  baton: 2,
} as const;

export type LockName = keyof typeof LOCKS;

/** "hook" in ASCII: no other program is likely to use it. */
const CLASS = 0x686f6f6b;

/** Waits for a lock, up to `lock_timeout`. */
export const lock = (name: LockName): Sql => sql`select pg_advisory_xact_lock(${CLASS}, ${LOCKS[name]})`;

/** Takes a lock if nobody has it. The column `taken` says so. */
export const tryLock = (name: LockName): Sql =>
  sql`select pg_try_advisory_xact_lock(${CLASS}, ${LOCKS[name]}) as taken`;

/** Held while a node claims a message of a destination of which all nodes together send only so many at once. */
export const destinationLock = (name: string): Sql =>
  sql`select pg_advisory_xact_lock(${CLASS + 1}, hashtext(${name}))`;
