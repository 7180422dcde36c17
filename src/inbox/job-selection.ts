import type { EventSource } from "../engines/engine.ts";
import {
  QUARANTINE_CODES,
  type Cursor,
  type EventFilter,
  type Followed,
  type FoundEvent,
  type OwedEvent,
  type Reader,
} from "../engines/reader.ts";
import { HookonceError } from "../errors.ts";

/** Jobs that do something with each event of a selection. */
export type EventAction = "apply" | "replay" | "discard" | "resend";

/** What to do, and with which events. */
export interface EventJobRequest {
  readonly action: EventAction;
  /** Certain events, or all that match. */
  readonly filter: EventFilter;
  /**
   * At most this many events are run or discarded. Events without a handler do not count, so a repeated run
   * gets past them.
   */
  readonly limit?: number | undefined;
  /** Only counts what would be done. */
  readonly dryRun: boolean;
  /** `replay` and `discard` need one, and so does `apply` of a discarded event. */
  readonly reason?: string | undefined;
  /** `replay` also runs stale events. */
  readonly evenStale?: boolean | undefined;
  /** The destination to which `resend` sends events. */
  readonly to?: string | undefined;
  /** Events per second. */
  readonly rate?: number | undefined;
}

/** An event that a job looks at. */
export interface Selected extends Omit<OwedEvent, "outcome"> {
  readonly outcome: FoundEvent["outcome"];
}

/** The last event, failure and change at the time when a job was requested. */
export type Ordered = Followed;

interface HasOutcome {
  readonly outcome: NonNullable<EventFilter["outcome"]>;
}

/** How far a job has come, so that it can go on after a crash. */
export interface JobPosition {
  /** The page that is looked at next. */
  readonly after?: Cursor | undefined;
  /** How many of the given ids are done with. */
  readonly ids: number;
  /** By a filter, events that came later are not selected: nobody has seen them. */
  readonly ordered: Ordered;
}

/** How many events are read at once, and are in the queue at once, so that they share a sync. */
export const PAGE = 64;

/** A search reads bodies, 10 ms for a page. It rests so many times as long, so that deliveries keep their rate. */
const REST = 9;

interface Selecting {
  readonly reader: Pick<Reader, "owed" | "recorded" | "find" | "failure">;
  readonly sources: ReadonlyMap<string, EventSource>;
}

/**
 * The events of a job, a page at a time and in the order received, each page with the position after it.
 *
 * @throws HookonceError `unknown_event`, `ambiguous_event`, `not_owed`, `not_processed`, `reason_missing`
 */
export async function* select(
  inbox: Selecting,
  request: EventJobRequest,
  from: JobPosition,
): AsyncGenerator<readonly [events: readonly Selected[], position: JobPosition]> {
  const { filter } = request;
  if (filter.ids !== undefined) {
    yield* named(inbox, request, filter.ids, from);
    return;
  }
  refuseOutcome(request);
  const { reader } = inbox;
  let { after } = from;
  const rest = filter.search === undefined ? 0 : REST;
  do {
    const began = performance.now();
    const page =
      request.action === "replay" || request.action === "resend"
        ? await recordedPage(reader, request, after, from.ordered)
        : await reader.owed(filter, after, PAGE, from.ordered);
    const took = performance.now() - began;
    after = page.next;
    yield [page.items, { ...from, after }];
    // Reading a page blocks. Let the deliveries in before the next one.
    await Bun.sleep(rest * took);
  } while (after !== undefined);
}

/** An outcome that the action is not for selects nothing, which is a mistake. */
function refuseOutcome({ action, filter: { outcome }, evenStale }: EventJobRequest): void {
  if (outcome === undefined) return;
  if (action === "replay") {
    if (isReplayable({ outcome }, evenStale)) return;
    const remedy =
      outcome === "stale" ? "For stale ones, add --even-stale." : "To run what is owed, use hookonce apply.";
    throw new HookonceError(
      "not_processed",
      `Only processed events can be replayed, but the filter asks for ${outcome} ones. ${remedy}`,
    );
  }
  if (action === "resend") {
    if (isOwed({ outcome })) throw owedNotSent(`the filter asks for ${outcome} ones`);
    return;
  }
  if (action === "apply" && outcome === "held")
    throw new HookonceError(
      "not_owed",
      `The filter asks for held events, whose source is paused. ${WHEN_HELD}`,
    );
  if (!isOwed({ outcome }))
    throw new HookonceError(
      "not_owed",
      action === "apply"
        ? `Only owed events can be applied, but the filter asks for ${outcome} ones. Use unhandled or failed.`
        : `Only owed events can be discarded, but the filter asks for ${outcome} ones. Use unhandled, failed or held.`,
    );
}

const WHEN_HELD = "What is held runs when its source resumes: hookonce resume NAME.";

function owedNotSent(what: string): HookonceError {
  return new HookonceError(
    "not_processed",
    `Owed events cannot be sent to a destination, and ${what}. hookonce apply runs what is owed, and sends it on.`,
  );
}

/** Processed events, and others if they are asked for. */
async function recordedPage(
  reader: Selecting["reader"],
  { action, filter, evenStale = false }: EventJobRequest,
  after: Cursor | undefined,
  ordered: JobPosition["ordered"],
) {
  if (action === "resend")
    return reader.recorded({ ...filter, outcome: filter.outcome ?? "processed" }, after, PAGE, ordered);
  const outcome = evenStale ? filter.outcome : "processed";
  const page = await reader.recorded({ ...filter, outcome }, after, PAGE, ordered);
  return { ...page, items: page.items.filter((event) => isReplayable(event, evenStale)) };
}

export function isReplayable({ outcome }: HasOutcome, evenStale = false): boolean {
  return outcome === "processed" || (evenStale && outcome === "stale");
}

/**
 * Looks all of them up before anything is done with the first one. Some may have been settled meanwhile, so only
 * a selection in which no event fits is refused.
 */
async function* named(
  { reader, sources }: Selecting,
  request: EventJobRequest,
  ids: readonly string[],
  from: JobPosition,
): AsyncGenerator<readonly [readonly Selected[], JobPosition]> {
  const { source } = request.filter;
  const names = source === undefined ? [...sources.keys()] : [source];
  const events: Selected[] = [];
  for (const eventId of new Set(ids)) {
    const event = oneEvent(eventId, request.filter, await reader.find(eventId, names));
    const failure = event.outcome === "failed" ? await reader.failure(event.source, eventId) : undefined;
    const quarantine = failure !== undefined && isQuarantineCode(failure.code) ? failure : undefined;
    events.push({ ...event, quarantine });
    // A look-up blocks for 0.15 ms. Let the deliveries in.
    if (events.length % PAGE === 0) await Bun.sleep(0);
  }
  const misfits = events.map((event) => misfitOf(request, event));
  const [first] = misfits;
  if (first !== undefined && !misfits.includes(undefined)) throw first;
  for (let done = from.ids; done < events.length; done += PAGE)
    yield [events.slice(done, done + PAGE), { ...from, ids: done + PAGE }];
}

const isQuarantineCode = (code: string): boolean => (QUARANTINE_CODES as readonly string[]).includes(code);

/** @throws HookonceError `unknown_event`, `ambiguous_event` */
export function oneEvent(eventId: string, { source }: EventFilter, found: readonly FoundEvent[]): Selected {
  const [event, other] = found;
  if (event === undefined) {
    const where = source === undefined ? "" : ` in source "${source}"`;
    throw new HookonceError("unknown_event", `There is no event with the id "${eventId}"${where}.`);
  }
  if (other !== undefined) {
    const list = found.map((one) => `${one.source} (${one.type || "no type"}, ${one.outcome})`);
    throw new HookonceError(
      "ambiguous_event",
      `Several sources have an event with the id "${eventId}": ${list.join(", ")}. Add --source NAME.`,
    );
  }
  return { ...event, eventId };
}

export const isOwed = ({ outcome }: HasOutcome): boolean =>
  outcome === "unhandled" || outcome === "failed" || outcome === "held";

/**
 * Why an action is not for an event that somebody has named. Undefined if it is, or if the event is already as the
 * action would leave it. A filter leaves out what does not fit.
 */
export function misfitOf(
  { action, reason, evenStale }: EventJobRequest,
  event: Selected,
): HookonceError | undefined {
  const { eventId, outcome } = event;
  if (action === "discard" && !isOwed(event) && outcome !== "discarded")
    return new HookonceError(
      "not_owed",
      `The event "${eventId}" is ${outcome}. Only an owed event can be discarded.`,
    );
  if (action === "replay" && !isReplayable(event, evenStale)) {
    const what = `The event "${eventId}" is ${outcome}`;
    const remedy =
      outcome === "held"
        ? ` ${WHEN_HELD}`
        : isOwed(event)
          ? ` To run it, use hookonce apply ${eventId}.`
          : "";
    return new HookonceError(
      "not_processed",
      outcome === "stale"
        ? `${what}, because a newer one was applied before it. To run it after all, add --even-stale.`
        : `${what}. Only a processed event can be replayed.${remedy}`,
    );
  }
  if (action === "resend" && isOwed(event)) return owedNotSent(`the event "${eventId}" is ${outcome}`);
  if (action === "apply" && outcome === "discarded" && reason === undefined)
    return new HookonceError(
      "reason_missing",
      `The event "${eventId}" was discarded. To apply it after all, say why: add --reason TEXT.`,
    );
  return undefined;
}
