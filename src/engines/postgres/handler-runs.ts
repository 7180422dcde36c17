import {
  SLOW_RUN_MS,
  type EventSource,
  type HandlerInput,
  type LoadedHandler,
  type Policy,
  type RunNote,
} from "../engine.ts";
import type { Sending } from "../enqueued.ts";
import { takeOutput } from "../handler-output.ts";
import { markOf } from "../marked-run.ts";
import type { Marker } from "../marker.ts";
import { quarantineError } from "../quarantine.ts";
import { nothing, type Run } from "../results.ts";
import type { PostgresHandler } from "./handler.ts";
import type { InterruptedRuns } from "./interrupted-runs.ts";
import type { Outbox } from "./outbox.ts";
import type { Tx } from "./tx.ts";

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
  destinationsOf(source: EventSource, input: HandlerInput): Promise<readonly string[]>;
  /**
   * @param handler null if the event is only sent on
   * @throws whatever the handler throws
   */
  run(source: EventSource, handler: LoadedHandler | null, input: HandlerInput, how: HowToRun): Promise<Run>;
  /** What became of a run that has ended. @throws HookonceError `no_rows_changed` */
  ranOf(
    source: EventSource,
    handler: LoadedHandler,
    input: HandlerInput,
    ran: { readonly rowsChanged: number; readonly reply: Run["reply"]; readonly ms: number },
  ): Run;
  /** Remembers that an error is the handler's fault, or that of the config. */
  readonly blame: (error: unknown) => void;
  /** Whether a handler has thrown this error. Otherwise a statement of hookonce itself has. */
  readonly hasThrown: (error: unknown) => boolean;
  /** What is to be logged of the runs since the last call. */
  takeNotes(): readonly RunNote[];
}

/** While a handler runs, triggers guard hookonce's own tables (drizzle/postgres). */
export const OWN_ON = "select set_config('hookonce.own', 'on', true)";
export const OWN_OFF = "select set_config('hookonce.own', 'off', true)";

/**
 * How long a transaction may wait for its node, in milliseconds. Then the server ends it, and others get the baton.
 * While a TypeScript handler runs, the node may wait for longer than the handler may take, and than its watchdog
 * needs to tell the others of it.
 */
export const IDLE_MS = { usual: 10_000, handler: 50_000 } as const;

const idleFor = (ms: number): string => `, set_config('idle_in_transaction_session_timeout', '${ms}', true)`;

export function createHandlerRuns(
  tx: Tx,
  policy: Policy,
  interrupted: InterruptedRuns,
  marker: Pick<Marker, "begin" | "end">,
  outbox: Pick<Outbox, "destinationsOf" | "write">,
): HandlerRuns {
  let notes: RunNote[] = [];
  const thrown = new WeakSet<object>();
  const [ownOff, ownOn] = [tx.query(OWN_OFF), tx.query(OWN_ON)];
  const begin = tx.query(`${OWN_OFF}${idleFor(IDLE_MS.handler)}`);
  const end = tx.query(`${OWN_ON}${idleFor(IDLE_MS.usual)}`);

  function note({ file }: LoadedHandler, { source, id, type }: HandlerInput, ms: number): void {
    const output = takeOutput();
    if (ms > SLOW_RUN_MS || output.length > 0)
      notes.push({ source, eventId: id, type, handler: file, ms, output });
  }

  function blame(error: unknown): void {
    if (typeof error === "object" && error !== null) thrown.add(error);
  }

  async function blaming<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      blame(error);
      throw error;
    }
  }

  function ranOf(
    source: EventSource,
    handler: LoadedHandler,
    input: HandlerInput,
    { rowsChanged, reply, ms }: Parameters<HandlerRuns["ranOf"]>[3],
  ): Run {
    note(handler, input, ms);
    policy.checkChange(source, handler, rowsChanged);
    const durationUs = Math.round(ms * 1000);
    return { handler: handler.file, handlerHash: handler.hash, rowsChanged, durationUs, reply };
  }

  async function runHandler(
    source: EventSource,
    handler: LoadedHandler,
    input: HandlerInput,
    element: boolean,
  ): Promise<Run> {
    const before = await interrupted.find(source, input.id);
    const code = before?.handlerHash === handler.hash ? before.code : null;
    if (code !== null) throw quarantineError(code, { handler: handler.file, eventId: input.id });
    // What was sent before is hookonce's own, and so is an error of it.
    await tx.settled();
    // SQL runs in the server, which ends it by itself.
    const isMarked = handler.language === "ts";
    (isMarked ? begin : ownOff).run();
    if (isMarked) marker.begin(markOf(handler, input, element));
    const started = performance.now();
    let ran;
    try {
      // Every handler in the table was loaded by this engine.
      ran = await blaming((handler as PostgresHandler).run(tx.wire, input));
    } catch (error) {
      note(handler, input, performance.now() - started);
      throw error;
    } finally {
      if (isMarked) marker.end();
    }
    const ms = performance.now() - started;
    (isMarked ? end : ownOn).run();
    if (before !== undefined) await interrupted.settle(source, input.id);
    return ranOf(source, handler, input, { ...ran, ms });
  }

  const destinationsOf = (source: EventSource, input: HandlerInput): Promise<readonly string[]> =>
    blaming(outbox.destinationsOf(source, input));

  return {
    destinationsOf,
    async run(source, handler, input, { element = false, destinations, ...sending }) {
      const chosen = destinations ?? (await destinationsOf(source, input));
      const ran = handler === null ? nothing : await runHandler(source, handler, input, element);
      if (chosen.length > 0 || handler !== null)
        await blaming(outbox.write(source, input, chosen, sending, handler !== null));
      return ran;
    },
    ranOf,
    blame,
    hasThrown: (error) => typeof error === "object" && error !== null && thrown.has(error),
    takeNotes() {
      const taken = notes;
      if (taken.length > 0) notes = [];
      return taken;
    },
  };
}
