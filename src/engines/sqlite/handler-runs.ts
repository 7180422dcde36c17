import {
  SLOW_RUN_MS,
  type EventSource,
  type HandlerInput,
  type LoadedHandler,
  type Policy,
  type RunNote,
} from "../engine.ts";
import { takeOutput } from "../handler-output.ts";
import type { Marker, Run as Marked } from "../marker.ts";
import type { Run } from "./event-store.ts";
import type { HandlerRun, SqliteHandler } from "./handler.ts";
import { quarantineError, type InterruptedRuns } from "./interrupted-runs.ts";

/** Runs handlers inside the open transaction: marked, measured and noted. */
export interface HandlerRuns {
  /**
   * @param element whether the event is its own part of a batch
   * @throws whatever the handler throws
   */
  run(source: EventSource, handler: LoadedHandler, input: HandlerInput, element?: boolean): Run;
  /** Whether a handler has thrown this error. Otherwise a statement of hookonce itself has. */
  readonly hasThrown: (error: unknown) => boolean;
  /** What is to be logged of the runs since the last call. */
  takeNotes(): readonly RunNote[];
}

export function createHandlerRuns(
  policy: Policy,
  interrupted: InterruptedRuns,
  marker: Pick<Marker, "begin" | "end">,
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

  return {
    run(source, handler, input, element = false) {
      const before = interrupted.find(source, input.id);
      const code = before?.handlerHash === handler.hash ? before.code : null;
      if (code !== null) throw quarantineError(code, { handler: handler.file, eventId: input.id });
      const started = performance.now();
      let ms = 0;
      let ran: HandlerRun;
      marker.begin(markOf(handler, input, element));
      try {
        // Every handler in the table was loaded by this engine.
        ran = (handler as SqliteHandler).run(input);
      } catch (error) {
        if (typeof error === "object" && error !== null) thrown.add(error);
        throw error;
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
    },
    hasThrown: (error) => typeof error === "object" && error !== null && thrown.has(error),
    takeNotes() {
      const taken = notes;
      if (taken.length > 0) notes = [];
      return taken;
    },
  };
}

function markOf(handler: LoadedHandler, input: HandlerInput, element: boolean): Marked {
  return {
    source: input.source,
    eventId: input.id,
    type: input.type,
    handler: handler.file,
    handlerHash: handler.hash,
    receivedAt: input.receivedAt,
    headersJson: input.headersJson,
    body: element ? (input.payloadJson ?? "") : input.body,
  };
}
