import { closest, distance } from "fastest-levenshtein";
import { writeSync } from "node:fs";
import { openTrialOf, type TrialPlan, type TriedHandler } from "../app/trial.ts";
import { onStrayOutput } from "../engines/handler-output.ts";
import { exitProcess } from "../engines/handler-process.ts";
import type { Incoming } from "../engines/engine.ts";
import { HookonceError, messageOf } from "../errors.ts";
import { placeOf } from "../engines/error-place.ts";
import { eventTypes } from "../providers/event-types.ts";
import { sampleEvents } from "../simulator/sample-event.ts";
import { pathsIn } from "../simulator/starter-handler.ts";

/** What the child is told, as JSON on standard input. */
export interface TryOrder extends TrialPlan {
  /** Begins each of its lines, because handlers may write to standard output as well. */
  readonly token: string;
  /** Handlers that have been tried. */
  readonly done: readonly string[];
}

/** What the child says: one line of JSON each. */
export type TryLine =
  | { readonly is: "copy" }
  | { readonly is: "refused"; readonly why: string }
  | { readonly is: "begin"; readonly file: string; readonly type: string }
  | ({ readonly is: "end" } & Tried);

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

/** How many letters of a path may be wrong. */
const MAX_WRONG = 2;

/** How long to wait for another process's write lock before a copy is used instead, in milliseconds. */
const MAX_WAIT_MS = 500;

/**
 * Tries the handlers of a folder, in a process of its own, because user code cannot be interrupted. Ends the
 * process without closing the database (engines/sqlite/trial.ts).
 */
export async function runTryChild(): Promise<never> {
  const order = JSON.parse(await Bun.stdin.text()) as TryOrder;
  const say = (line: TryLine): void => {
    writeSync(1, `\n${order.token}${JSON.stringify(line)}\n`);
  };
  // What handlers write is for the log of a serve.
  onStrayOutput(() => {});
  try {
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
      say({ is: "end", file, type: "", why: events.why });
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
    say({ is: "end", ...((best ?? all[0]) as Tried) });
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
  const until = performance.now() + MAX_WAIT_MS;
  for (;;) {
    say({ is: "begin", file, type });
    const tried = tryOnce(handler, event);
    if (tried !== undefined) return { file, type, ...tried, nullPaths: nullPathsOf(handler, event) };
    if (place === "live" && performance.now() > until) return undefined;
    await Bun.sleep(5);
  }
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

function nullPathsOf(handler: TriedHandler, event: Incoming): NonNullable<Tried["nullPaths"]> {
  const { payloadJson } = event.input;
  const paths = payloadJson === null ? [] : pathsIn(JSON.parse(payloadJson));
  return handler.nullPaths(event).map((read) => {
    const path = /'(\$[^']*)'/.exec(read)?.[1];
    const best = path === undefined || paths.length === 0 ? undefined : closest(path, paths);
    const isMeant = best !== undefined && distance(path ?? "", best) <= MAX_WRONG;
    return { read, meant: isMeant ? best : undefined };
  });
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
