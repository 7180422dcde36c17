import { expect, test } from "bun:test";
import type { Batch, Engine } from "../../../src/engines/engine.ts";
import type { FileWatch } from "../../../src/engines/sqlite/file-watch.ts";
import { guardFiles } from "../../../src/engines/sqlite/guarded-engine.ts";

const files: FileWatch = {
  check: () => {},
  checkContents: () => {},
  checkLock: () => {},
  explain: (error) => error,
  end: () => {},
};

const BATCHES = 1000;

/** An engine whose batches are committed when `commitAll` is called, and what has been collected of them. */
function makeEngine() {
  let collected = 0;
  const registry = new FinalizationRegistry(() => collected++);
  const closed = { yet: false };
  let release: (() => void)[] = [];
  const engine = {
    commit: () => {
      const results: Batch["results"] = new Promise((resolve) => {
        release.push(() => {
          const made: Awaited<Batch["results"]> = [];
          registry.register(made, undefined);
          resolve(made);
        });
      });
      return Promise.resolve({ begun: 1, blocked: undefined, results });
    },
    close: () => {
      closed.yet = true;
      return Promise.resolve();
    },
  } as Partial<Engine> as Engine;
  return {
    guarded: guardFiles(engine, files, () => {}),
    closed,
    collected: () => collected,
    commitAll: (): void => {
      for (const each of release) each();
      release = [];
    },
  };
}

const HOW = { workMs: 1, handlers: { for: () => null, files: [] } };

test("keeps no results of the batches before", async () => {
  const { guarded, collected, commitAll } = makeEngine();
  for (let n = 0; n < BATCHES; n++) {
    const { results } = await guarded.commit([], HOW);
    commitAll();
    await results;
  }
  for (let n = 0; n < 50 && collected() < BATCHES * 0.9; n++) {
    Bun.gc(true);
    await Bun.sleep(10);
  }
  expect(collected()).toBeGreaterThan(BATCHES * 0.9);
  await guarded.close();
});

test("a close waits for every result that is not known yet", async () => {
  const { guarded, closed, commitAll } = makeEngine();
  const batches = [await guarded.commit([], HOW), await guarded.commit([], HOW)];
  const closing = guarded.close();
  await Bun.sleep(5);
  expect(closed.yet).toBe(false);
  commitAll();
  await Promise.all([...batches.map(({ results }) => results), closing]);
  expect(closed.yet).toBe(true);
});
