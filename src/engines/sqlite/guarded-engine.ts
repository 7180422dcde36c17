import type { Engine } from "../engine.ts";
import type { Reader } from "../reader.ts";
import type { FileWatch } from "./file-watch.ts";

/**
 * Returns a reader whose errors name the files that are gone. It stays synchronous, because a stop closes the
 * connection after the reads that have begun.
 */
export function explainReads<R extends Reader>(reader: R, files: FileWatch): R {
  const explaining = <Result>(work: () => Result): Result => {
    try {
      return work();
    } catch (error) {
      throw files.explain(error);
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

  return {
    ...engine,
    async commit(jobs, how) {
      const batch = await explaining(() => engine.commit(jobs, how));
      const results = explaining(async () => {
        const durable = await batch.results;
        // Check after the sync, because these are the files that it wrote to.
        files.check();
        return durable;
      });
      known = Promise.allSettled([known, results]);
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
      // They are compared with the files, which a close changes.
      await known;
      try {
        files.check();
      } catch (error) {
        // The last write of the log must not reach a database that others may be using by now, and a damaged
        // log must not reach any.
        onFatal(error);
        return;
      }
      files.end();
      await engine.close();
    },
  };
}
