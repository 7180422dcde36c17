import { HookonceError } from "../../errors.ts";
import type { Connection, Limits } from "./connection.ts";
import type { Server } from "./server.ts";
import type { Wire } from "./wire.ts";

/** A few connections that are used again. */
export interface Pool {
  /**
   * Does work on a connection that nothing else uses meanwhile. It must leave no open transaction, or drop the
   * connection.
   *
   * @throws HookonceError `database_unreachable`, `overloaded` if all connections stay in use, and what `work` throws
   */
  use<Result>(work: (wire: Wire) => Promise<Result>): Promise<Result>;
  /** Waits for the work that has begun, and closes the connections. */
  close(): Promise<void>;
}

/** How long to wait for a connection that others use, in milliseconds. A provider waits no longer for its answer. */
const MAX_WAIT_MS = 5000;

/**
 * @param size how many connections are open at the same time
 * @param limits of each of them
 */
export function createPool(server: Server, size: number, limits: Limits = {}): Pool {
  const idle: Connection[] = [];
  const waiting = new Set<() => void>();
  const used = new Set<Promise<unknown>>();
  let free = size;
  let isClosed = false;

  async function take(): Promise<Connection> {
    if (free === 0) await turn();
    else free--;
    try {
      // The one that was used last: the server may close the others when they have been idle for long.
      for (let found = idle.pop(); found !== undefined; found = idle.pop()) if (found.isOpen()) return found;
      return await server.connect(limits);
    } catch (error) {
      leave();
      throw error;
    }
  }

  async function turn(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      waiting.delete(resolve);
      reject(new HookonceError("overloaded", "All connections to the database are in use. Try again later."));
    }, MAX_WAIT_MS);
    waiting.add(resolve);
    await promise.finally(() => clearTimeout(timer));
  }

  function leave(): void {
    const [next] = waiting;
    if (next === undefined) {
      free++;
      return;
    }
    waiting.delete(next);
    next();
  }

  async function work<Result>(task: (wire: Wire) => Promise<Result>): Promise<Result> {
    const connection = await take();
    try {
      return await task(connection);
    } finally {
      if (isClosed) await connection.drop();
      else if (connection.isOpen()) idle.push(connection);
      leave();
    }
  }

  return {
    use(task) {
      const result = work(task);
      const done = result.catch(() => {});
      used.add(done);
      void done.finally(() => used.delete(done));
      return result;
    },
    async close() {
      // What reads in several steps may go on, but leaves no connection open.
      isClosed = true;
      await Promise.all(used);
      await Promise.all(idle.splice(0).map((connection) => connection.drop()));
    },
  };
}
