import {
  SLOW_RUN_MS,
  type EventSource,
  type HandlerInput,
  type LoadedHandler,
  type Policy,
  type RunNote,
} from "../engine.ts";
import { takeOutput } from "../handler-output.ts";
import { markOf } from "../marked-run.ts";
import type { Marker } from "../marker.ts";
import type { Run } from "../results.ts";
import type { HandlerRun, SqliteHandler } from "./handler.ts";
import { quarantineError } from "../quarantine.ts";
import type { InterruptedRuns } from "./interrupted-runs.ts";
import type { Sending } from "../enqueued.ts";
import type { Outbox } from "./outbox.ts";
import { nothing } from "../results.ts";

/** How an event is run. */
export interface HowToRun extends Sending {
  /** Whether the event is its own part of a batch. */
  readonly element?: boolean;
  /** The destinations that get it, if they are known already. */
  readonly destinations?: readonly string[] | undefined;
}

/** Runs handlers inside the open transaction: marked, measured and noted. Writes the messages of their events. */
export interface HandlerRuns {
  /**
   * The destinations that get an event. They are chosen before its handler runs.
   *
   * @throws HookonceError `where_failed`
   */
  destinationsOf(source: EventSource, input: HandlerInput): readonly string[];
  /**
   * @param handler null if the event is only sent on
   * @throws whatever the handler throws
   */
  run(source: EventSource, handler: LoadedHandler | null, input: HandlerInput, how: HowToRun): Run;
  /** Whether a handler has thrown this error. Otherwise a statement of hookonce itself has. */
  readonly hasThrown: (error: unknown) => boolean;
  /** What is to be logged of the runs since the last call. */
  takeNotes(): readonly RunNote[];
}

export function createHandlerRuns(
  policy: Policy,
  interrupted: InterruptedRuns,
  marker: Pick<Marker, "begin" | "end">,
  outbox: Pick<Outbox, "destinationsOf" | "write">,
  /** Called at the end of each run of a TypeScript handler, while it is still marked. */
  checkAfterCode: () => void = () => {},
): HandlerRuns {
  let notes: RunNote[] = [];
  const thrown = new WeakSet<object>();

  function note({ file }: LoadedHandler, { source, id, type }: HandlerInput, ms: number): void {
    const output = takeOutput();
    if (ms > SLOW_RUN_MS || output.length > 0)
      notes.push({ source, eventId: id, type, handler: file, ms, output });
  }

  /** What it throws is the handler's fault, or that of the config. */
  function blaming<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (typeof error === "object" && error !== null) thrown.add(error);
      throw error;
    }
  }

  function runHandler(
    source: EventSource,
    handler: LoadedHandler,
    input: HandlerInput,
    element: boolean,
  ): Run {
    const before = interrupted.find(source, input.id);
    const code = before?.handlerHash === handler.hash ? before.code : null;
    if (code !== null) throw quarantineError(code, { handler: handler.file, eventId: input.id });
    const started = performance.now();
    let ms = 0;
    let ran: HandlerRun;
    marker.begin(markOf(handler, input, element));
    try {
      // Every handler in the table was loaded by this engine.
      ran = blaming(() => (handler as SqliteHandler).run(input));
    } finally {
      if (handler.language === "ts") checkAfterCode();
      marker.end();
      ms = performance.now() - started;
      note(handler, input, ms);
    }
    if (before !== undefined) interrupted.settle(source, input.id);
    const { rowsChanged, reply } = ran;
    const durationUs = Math.round(ms * 1000);
    policy.checkChange(source, handler, rowsChanged);
    return { handler: handler.file, handlerHash: handler.hash, rowsChanged, durationUs, reply };
  }

  const destinationsOf = (source: EventSource, input: HandlerInput): readonly string[] =>
    blaming(() => outbox.destinationsOf(source, input));

  return {
    destinationsOf,
    run(source, handler, input, { element = false, destinations, ...sending }) {
      const chosen = destinations ?? destinationsOf(source, input);
      const ran = handler === null ? nothing : runHandler(source, handler, input, element);
      if (chosen.length > 0 || handler !== null)
        blaming(() => outbox.write(source, input, chosen, sending, handler !== null));
      return ran;
    },
    hasThrown: (error) => typeof error === "object" && error !== null && thrown.has(error),
    takeNotes() {
      const taken = notes;
      if (taken.length > 0) notes = [];
      return taken;
    },
  };
}
