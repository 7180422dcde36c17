import type { Engine, Handlers, Job, JobResult, RunNote } from "../../src/engines/engine.ts";
import type { PausedByItself } from "../../src/engines/source-states.ts";
import type { HookonceError } from "../../src/errors.ts";
import type { Contents, EngineHarness, Store } from "./harness.ts";
import { bindTo, commitAll, handlersIn, type Bind, type Types } from "./jobs.ts";

/** An engine on a new store, both gone at the end of a test. */
export interface OpenEngine extends AsyncDisposable {
  readonly store: Store;
  readonly engine: Engine;
  readonly bind: Bind;
  /** What the engine has said of runs. */
  readonly notes: readonly RunNote[];
  /** The sources that the engine has paused by itself. */
  readonly pauses: readonly PausedByItself[];
  /** Commits all of these jobs together, with the handlers of {@link Bind}. */
  commit(jobs: readonly Job[], types?: Types): Promise<(JobResult | HookonceError)[]>;
  contents(): Promise<Contents>;
  /** Closes the engine and opens another one on the same store. */
  reopen(): Promise<void>;
}

/** @param store closed at the end of the test, but not removed; by default a new one, which is removed */
export async function openEngine(harness: EngineHarness, store?: Store): Promise<OpenEngine> {
  const used = store ?? (await harness.create());
  const notes: RunNote[] = [];
  const pauses: PausedByItself[] = [];
  let engine: Engine;
  let bind: Bind;
  const open = async (): Promise<void> => {
    engine = await used.open({
      onRun: (note) => void notes.push(note),
      onPause: (one) => void pauses.push(one),
    });
    bind = await bindTo(engine, handlersIn(harness.dialect));
  };
  await open();
  return {
    store: used,
    notes,
    pauses,
    get engine() {
      return engine;
    },
    get bind() {
      return bind;
    },
    commit: (jobs, types) => commitAll(engine, jobs, bind(types)),
    contents: () => used.contents(),
    async reopen() {
      await engine.close();
      await open();
    },
    async [Symbol.asyncDispose]() {
      await engine.close();
      if (store === undefined) await used[Symbol.asyncDispose]();
    },
  };
}

/** Commits once, without a limit of time. */
export function commitOnce(
  engine: Engine,
  jobs: readonly Job[],
  handlers: Handlers,
): ReturnType<Engine["commit"]> {
  return engine.commit(jobs, { workMs: Number.POSITIVE_INFINITY, handlers });
}
