import { writeSync } from "node:fs";
import { openTrialOf, withLock, type TrialPlan, type TriedHandler } from "../app/trial.ts";
import { runEvents, type DryRunLine, type DryRunOrder } from "../app/dry-run-child.ts";
import type { TrialLine, TrialOrder } from "../app/trial-process.ts";
import { onStrayOutput } from "../engines/handler-output.ts";
import { exitProcess } from "../engines/handler-process.ts";
import type { Incoming } from "../engines/engine.ts";
import { HookonceError, messageOf } from "../errors.ts";
import { placeOf } from "../engines/error-place.ts";
import { lookUp, nearestPath } from "../handlers/payload-paths.ts";
import { eventTypes } from "../providers/event-types.ts";
import { sampleEvents } from "../simulator/sample-event.ts";

/** What the child is told, as JSON on standard input. */
export interface TryOrder extends TrialPlan, TrialOrder {
  /** Handlers that have been tried. */
  readonly done: readonly string[];
}

/** A handler that runs. */
export interface Trying {
  readonly file: string;
  readonly type: string;
}

type TryLine = TrialLine<Trying, Tried>;

/** What became of a handler. */
export interface Tried {
  readonly file: string;
  /** The type of the made-up event; empty if there was none. */
  readonly type: string;
  readonly rows?: number;
  readonly failure?: { readonly message: string; readonly at: string | undefined };
  /** Reads of a JSON path that found nothing in the event, and the path that was probably meant. */
  readonly nullPaths?: readonly { readonly read: string; readonly meant: string | undefined }[];
  /** Why it was not tried. */
  readonly why?: string;
}

/**
 * Tries the handlers of a folder, in a process of its own, because user code cannot be interrupted. Ends the
 * process without closing the database (engines/sqlite/trial.ts).
 */
export async function runTryChild(): Promise<never> {
  const order = JSON.parse(await Bun.stdin.text()) as TryOrder | DryRunOrder;
  const say = (line: TryLine | DryRunLine): void => {
    writeSync(1, `\n${order.token}${JSON.stringify(line)}\n`);
  };
  // What handlers write is for the log of a serve.
  onStrayOutput(() => {});
  try {
    if ("events" in order) {
      await runEvents(order, say);
      return exitProcess(0);
    }
    const opened = await openTrialOf(order);
    if (opened === "copy") say({ is: "copy" });
    else if ("why" in opened) say({ is: "refused", why: opened.why });
    else await tryAll(opened.handlers, order, say);
  } catch (error) {
    if (!(error instanceof HookonceError)) throw error;
    say({ is: "refused", why: messageOf(error) });
  }
  return exitProcess(0);
}

async function tryAll(
  handlers: readonly TriedHandler[],
  { done, place }: TryOrder,
  say: (line: TryLine) => void,
): Promise<void> {
  for (const handler of handlers) {
    const { file } = handler;
    if (done.includes(file)) continue;
    const events = eventsFor(handler);
    if ("why" in events) {
      say({ is: "end", ran: { file, type: "", why: events.why } });
      continue;
    }
    const all: Tried[] = [];
    for (const event of events) {
      const one = await tryOn(event, handler, place, say);
      if (one === undefined) return say({ is: "copy" });
      all.push(one);
    }
    // One event that fits is enough: `_any` need not be for all of them.
    const best = all.find(({ failure, nullPaths }) => failure === undefined && nullPaths?.length === 0);
    say({ is: "end", ran: (best ?? all[0]) as Tried });
  }
}

/** @returns undefined if another process holds the write lock */
async function tryOn(
  event: Incoming,
  handler: TriedHandler,
  place: TryOrder["place"],
  say: (line: TryLine) => void,
): Promise<Tried | undefined> {
  const { file } = handler;
  const { type } = event.input;
  const tried = await withLock(place, () => {
    say({ is: "begin", file, type });
    return tryOnce(handler, event);
  });
  return tried === undefined ? undefined : { file, type, ...tried, nullPaths: nullPathsOf(handler, event) };
}

/** @returns undefined if another process holds the write lock */
function tryOnce(handler: TriedHandler, event: Incoming): Pick<Tried, "rows" | "failure"> | undefined {
  try {
    const ran = handler.run(event);
    return ran === undefined ? undefined : { rows: ran.rowsChanged };
  } catch (error) {
    return { failure: { message: messageOf(error), at: placeOf(error) } };
  }
}

function nullPathsOf({ paths }: TriedHandler, { input }: Incoming): NonNullable<Tried["nullPaths"]> {
  const payload: unknown = JSON.parse(input.payloadJson ?? "null");
  const headers: unknown = JSON.parse(input.headersJson);
  const found = paths.flatMap(({ of, read, steps }) => {
    const value = of === "payload" ? payload : headers;
    return lookUp(value, steps) === "found" ? [] : [{ read, meant: nearestPath([value], steps) }];
  });
  // Once, however often the handler reads it.
  return [...new Map(found.map((one) => [one.read, one])).values()];
}

/** The events to try a handler on: at least one. */
function eventsFor({ key, sources }: TriedHandler): Incoming[] | { readonly why: string } {
  const id = Buffer.from(crypto.getRandomValues(new Uint8Array(12))).toString("hex");
  let why = "there is no source for it";
  for (const source of sources) {
    const samples = sampleEvents(source, key, eventTypes, id, Date.now());
    const events = samples.filter((sample) => !("why" in sample)) as Incoming[];
    if (events.length > 0) return events;
    const [first] = samples;
    why =
      first !== undefined && "why" in first
        ? first.why
        : `there is no sample of what source "${source.name}" receives`;
  }
  return { why };
}
