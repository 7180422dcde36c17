import type { Engine } from "../engine.ts";
import type { Reader } from "../reader.ts";
import type { FileWatch } from "./file-watch.ts";

/**
 * Returns a reader whose errors name the files that are gone. What is synchronous stays so, because a stop closes
 * the connection after the reads that have begun.
 */
export function explainReads<R extends Reader>(reader: R, files: FileWatch): R {
  const explain = (error: unknown): never => {
    throw files.explain(error);
  };
  const explaining = <Result>(work: () => Result): Result => {
    try {
      const result = work();
      return result instanceof Promise ? (result.catch(explain) as Result) : result;
    } catch (error) {
      return explain(error);
    }
  };
  return new Proxy(reader, {
    get(target, name) {
      const found: unknown = Reflect.get(target, name);
      return typeof found === "function"
        ? (...args: unknown[]): unknown => explaining(() => found(...args))
        : found;
    },
  });
}

/** How often to check the files while nothing is delivered, in milliseconds. */
const EVERY_MS = 1000;

/**
 * Returns an engine that answers nothing once files of its database are gone or replaced. It names these
 * files instead of SQLite's disk I/O error.
 *
 * @param onFatal see {@link SqliteEngineOptions}
 */
export function guardFiles(engine: Engine, files: FileWatch, onFatal: (error: unknown) => void): Engine {
  async function explaining<Result>(work: () => Result | Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      throw files.explain(error);
    }
  }

  /** Resolves once all results are known. */
  let known: Promise<unknown> = Promise.resolve();

  function checkNow(): boolean {
    try {
      files.check();
      return true;
    } catch (error) {
      clearInterval(timer);
      onFatal(error);
      return false;
    }
  }

  // A checkpoint that ends after the last look has changed the database lawfully. Without another look soon
  // after it, a copy that is put in place later would be taken for its work.
  const timer = setInterval(checkNow, EVERY_MS).unref();

  return {
    ...engine,
    async commit(jobs, how) {
      const batch = await explaining(() => {
        files.checkContents();
        return engine.commit(jobs, how);
      });
      const results = explaining(async () => {
        const durable = await batch.results;
        // Check after the sync, because these are the files that it wrote to.
        files.check();
        return durable;
      });
      // Without the last step, each would keep the results of all before it.
      known = Promise.allSettled([known, results]).then(() => {});
      return { ...batch, results };
    },
    async probe(now) {
      const health = await explaining(() => engine.probe(now));
      try {
        files.check();
      } catch (error) {
        onFatal(error);
        throw error;
      }
      return health;
    },
    async close() {
      clearInterval(timer);
      // They are compared with the files, which a close changes.
      await known;
      // The last write of the log must not reach a database that others may be using by now, and a damaged log
      // must not reach any.
      if (!checkNow()) return;
      files.end();
      await engine.close();
    },
  };
}
