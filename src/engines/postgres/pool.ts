import type { Connection } from "./connection.ts";
import type { Server } from "./server.ts";
import type { Wire } from "./wire.ts";

/** A few connections that are used again. */
export interface Pool {
  /**
   * Does work on a connection that nothing else uses meanwhile. It must leave no open transaction, or drop the
   * connection.
   *
   * @throws HookonceError `database_unreachable`, and what `work` throws
   */
  use<Result>(work: (wire: Wire) => Promise<Result>): Promise<Result>;
  /** Waits for the work that has begun, and closes the connections. */
  close(): Promise<void>;
}

/** @param size how many connections are open at the same time */
export function createPool(server: Server, size: number): Pool {
  const idle: Connection[] = [];
  const waiting: (() => void)[] = [];
  const used = new Set<Promise<unknown>>();
  let free = size;

  async function take(): Promise<Connection> {
    if (free === 0) await new Promise<void>((resolve) => waiting.push(resolve));
    else free--;
    try {
      // The one that was used last: the others may be closed by the server some day.
      for (let found = idle.pop(); found !== undefined; found = idle.pop()) if (found.isOpen()) return found;
      return await server.connect();
    } catch (error) {
      leave();
      throw error;
    }
  }

  function leave(): void {
    const next = waiting.shift();
    if (next === undefined) free++;
    else next();
  }

  async function work<Result>(task: (wire: Wire) => Promise<Result>): Promise<Result> {
    const connection = await take();
    try {
      return await task(connection);
    } finally {
      if (connection.isOpen()) idle.push(connection);
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
      await Promise.all(used);
      await Promise.all(idle.splice(0).map((connection) => connection.drop()));
    },
  };
}
