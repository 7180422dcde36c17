import type { Engine } from "../../src/engines/engine.ts";
import type { Reader } from "../../src/engines/reader.ts";
import type { EngineHarness, Store } from "./harness.ts";
import * as sqlite from "./sqlite.ts";

/**
 * SQLite with every method behind a round trip, as that of a server is: nothing is done when a call returns,
 * and a batch is committed before its results arrive. It shows that neither the contract nor the suite needs
 * an engine that answers at once.
 */
export const harness: EngineHarness = {
  module: import.meta.path,
  dialect: sqlite.harness.dialect,
  create: async () => behindRoundTrip(await sqlite.harness.create()),
  at: (location) => behindRoundTrip(sqlite.harness.at(location)),
};

function behindRoundTrip(store: Store): Store {
  return {
    location: store.location,
    contents: () => store.contents(),
    whileLocked: (work) => store.whileLocked(work),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    open: async (onRun) => remote(await store.open(onRun)),
  };
}

/** The way there or back. */
async function hop(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
  await new Promise<void>((resolve) => setImmediate(resolve));
}

async function call<Result>(work: () => Result | Promise<Result>): Promise<Result> {
  await hop();
  try {
    return await work();
  } finally {
    await hop();
  }
}

function remote(engine: Engine): Engine {
  const underway = new Set<Promise<unknown>>();
  return {
    overlaps: engine.overlaps,
    async commit(jobs, how) {
      const batch = await call(() => engine.commit(jobs, how));
      const results = batch.results.then(async (done) => {
        await hop();
        return done;
      });
      underway.add(results);
      const end = (): void => void underway.delete(results);
      results.then(end, end);
      return { begun: batch.begun, blocked: batch.blocked, results };
    },
    reader: () =>
      call(async (): Promise<Reader> => {
        const reader = await engine.reader();
        return new Proxy(reader, {
          get(target, name) {
            const read: unknown = Reflect.get(target, name);
            return typeof read === "function" ? (...args: unknown[]) => call(() => read(...args)) : read;
          },
        });
      }),
    loadHandler: (code) => call(() => engine.loadHandler(code)),
    handlerModules: () => call(() => engine.handlerModules()),
    probe: (now) => call(() => engine.probe(now)),
    show: (loaded) => engine.show(loaded),
    wipe: () => call(() => engine.wipe()),
    async close() {
      await engine.close();
      await Promise.allSettled(underway);
    },
  };
}
