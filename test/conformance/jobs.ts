import type {
  Engine,
  EventSource,
  HandlerCode,
  Handlers,
  Incoming,
  Job,
  LoadedHandler,
  JobResult,
} from "../../src/engines/engine.ts";
import type { Entry } from "../../src/engines/records.ts";
import type { SourceEntry } from "../../src/engines/source-states.ts";
import { HookonceError } from "../../src/errors.ts";
import type { Event, Reply } from "../../src/event.ts";
import type { Dialect } from "./harness.ts";

/** Jobs, sources and handlers of the suite. Everything is frozen: nothing mutable rides on an event. */

/** A stored delivery is one event, or a list of them. */
const payloadOf: EventSource["payloadOf"] = (stored, eventId) => {
  const json = new TextDecoder().decode(stored.body);
  const value = parse(json);
  if (Array.isArray(value)) return elementOf(stored, eventId);
  return { json: value === undefined ? null : json };
};

/** The event in a list that has this id as its `id`. A retry may add a prefix to the id: `retry/a`. */
const elementOf: EventSource["payloadOf"] = ({ body }, eventId) => {
  const value = parse(new TextDecoder().decode(body));
  if (!Array.isArray(value)) return undefined;
  const element = (value as { id: string }[]).find(({ id }) => id === eventId.split("/").at(-1));
  return element === undefined ? undefined : { json: JSON.stringify(element) };
};

const typeOf: EventSource["typeOf"] = ({ body }, eventId) => {
  const events = [parse(new TextDecoder().decode(body))].flat() as { id?: string }[];
  return events.some(({ id }) => id === eventId.split("/").at(-1)) ? "" : undefined;
};

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** A source as hookonce.toml makes it by default, except for `change`. */
export function sourceWith(change: Partial<EventSource> = {}): EventSource {
  const name = change.name ?? "shop";
  return Object.freeze({
    name,
    handlersOf: name,
    unhandled: "record",
    requireChange: false,
    sameBody: false,
    retryForMs: 0,
    retryWindowMs: 10_000,
    payloadOf,
    typeOf,
    ...change,
  });
}

export const shop = sourceWith();

/** The same source with `batch` in its config: it reads lists only. */
export const batchShop = sourceWith({ payloadOf: elementOf });

export interface DeliveryOptions {
  /** Names the handler; `other` has none. */
  readonly type?: string;
  readonly source?: EventSource;
  readonly cents?: number;
  /** Whether the handler fails on this body. */
  readonly fail?: boolean;
  /** Instead of the body that is made of the above. */
  readonly body?: string | Uint8Array;
  /** Unix milliseconds. */
  readonly at?: number;
  /** Of the header `x-note`. */
  readonly note?: string;
  /** The id that an earlier version gave the event. */
  readonly earlierId?: string;
}

export type Delivery = Extract<Job, { kind: "delivery" }>;

export function deliver(id: string, options: DeliveryOptions = {}): Delivery {
  const { cents = 1, fail = false } = options;
  const { body = JSON.stringify({ id: id.split("/").at(-1), cents, fail }) } = options;
  return delivery(id, options, body, undefined);
}

/** The deliveries of a batch's elements, which share its bytes. An element is its id and its options. */
export function batchOf(
  elements: readonly (readonly [id: string, options?: Omit<DeliveryOptions, "body">])[],
): readonly Delivery[] {
  const batch = Object.freeze({});
  const texts = elements.map(([id, { cents = 1, fail = false } = {}]) =>
    JSON.stringify({ id: id.split("/").at(-1), cents, fail }),
  );
  const body = `[${texts.join(",")}]`;
  return elements.map(([id, options], n) =>
    delivery(id, { source: batchShop, ...options }, body, batch, texts[n]),
  );
}

function delivery(
  id: string,
  { type = "credit", source = shop, at = 1000, note, earlierId }: DeliveryOptions,
  body: string | Uint8Array,
  batch: object | undefined,
  element?: string,
): Delivery {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const text = new TextDecoder().decode(bytes);
  const event: Incoming = Object.freeze({
    source,
    batch,
    earlierIds: earlierId === undefined ? [] : [earlierId],
    input: Object.freeze({
      id,
      type,
      source: source.name,
      receivedAt: at,
      payloadJson: element ?? (parse(text) === undefined ? null : text),
      headersJson: JSON.stringify(note === undefined ? {} : { "x-note": note }),
      body: bytes,
    }),
  });
  return Object.freeze({ kind: "delivery", event });
}

export function apply(eventId: string, { source = shop, at = 9000 } = {}): Job {
  return Object.freeze({ kind: "apply", source, eventId, at });
}

/** hookonce's own retry of a failure. */
export function retry(eventId: string, { source = shop, at = 9000 } = {}): Job {
  return Object.freeze({ kind: "apply", source, eventId, at, isRetry: true });
}

/** `apply ID` of an event that was discarded. */
export function applyAfterAll(eventId: string): Job {
  return Object.freeze({
    kind: "apply",
    source: shop,
    eventId,
    at: 9000,
    isNamed: true,
    reason: "it was needed",
  });
}

const LAST = { event: Number.MAX_SAFE_INTEGER, change: Number.MAX_SAFE_INTEGER };

export function replay(eventId: string, { source = shop, job = "job 1", ordered = LAST } = {}): Job {
  return Object.freeze({ kind: "replay", source, eventId, at: 9000, reason: "a test", job, ordered });
}

export function discard(eventId: string, { source = shop } = {}): Job {
  return Object.freeze({ kind: "discard", source, eventId, at: 9000, reason: "a test" });
}

/** Sends a stored event to a destination. */
export function forward(eventId: string, destination: string, { source = shop, job = "job 1" } = {}): Job {
  return Object.freeze({ kind: "forward", source, eventId, at: 9000, destination, job });
}

interface Pausing {
  readonly state?: "held" | "refusing";
  readonly until?: number;
}

/** Somebody pauses the source `shop`. */
export function pause({ state = "held", until }: Pausing = {}): Job {
  return sourceEntry({ state, until: until ?? null, reason: "a test", stopOnFailure: false });
}

/** Somebody resumes it. */
export function resume({ stopOnFailure = false } = {}): Job {
  return sourceEntry({ state: "open", until: null, reason: null, stopOnFailure });
}

function sourceEntry(change: Pick<SourceEntry, "state" | "until" | "reason" | "stopOnFailure">): Job {
  const entry: SourceEntry = { entry: "source", name: "shop", at: 9000, ...change };
  return Object.freeze({ kind: "record", entries: [entry] });
}

/** The time of the pause that ends at `until` is over. */
export function pauseOver(until: number): Job {
  const entry: Entry = { entry: "pause over", name: "shop", until, at: 9000 };
  return Object.freeze({ kind: "record", entries: [entry] });
}

/** Runs the next held event. */
export function runHeld({ source = shop, at = 9000 } = {}): Job {
  return Object.freeze({ kind: "resume", source, at });
}

export function importOf(...ids: readonly string[]): Job {
  const events = ids.map((id) => ({ id, type: "credit", at: 500 }));
  return Object.freeze({ kind: "import", source: shop, events, at: 9000 });
}

/** Null if the engine cannot have it. */
export type HandlerSet = Readonly<Record<HandlerName, HandlerCode | null>>;

export type HandlerName =
  | "writeEffect"
  | "credit"
  | "failAtCommit"
  | "endTransaction"
  | "changeNothing"
  | "enqueue"
  | "enqueueTs"
  | "reply"
  | "slow"
  | "loud"
  | "oddError"
  | "later";

function written(type: string, text: string): HandlerCode {
  return { language: "sql", file: `handlers/shop/${type}.sql`, hash: `${type} 1`, text };
}

/** The handlers of the suite in an engine's dialect. */
export function handlersIn({ sql, writeEffect }: Dialect): HandlerSet {
  const coded = (
    type: string,
    then: (event: Event) => unknown,
  ): Extract<HandlerCode, { language: "ts" }> => ({
    language: "ts",
    file: `handlers/shop/${type}.ts`,
    hash: `${type} 1`,
    run({ event, db }) {
      const effect = writeEffect(db, event);
      return effect instanceof Promise ? effect.then(() => then(event)) : then(event);
    },
    replyOf: (returned) => (returned ?? null) as Reply | null,
    placeOf: () => undefined,
  });
  return {
    writeEffect: written("writeEffect", sql.writeEffect),
    /** Fails if `$.fail` is true, as the next two do. */
    credit: written("credit", sql.credit),
    failAtCommit: written("failAtCommit", sql.failAtCommit),
    endTransaction: sql.endTransaction === null ? null : written("endTransaction", sql.endTransaction),
    changeNothing: written("changeNothing", sql.changeNothing),
    enqueue: written("enqueue", sql.enqueue),
    /**
     * Enqueues what `$.to` of the payload says, with the id `$.id` if there is one: an object, text, and bytes. Throws
     * if `$.fail` is true.
     */
    enqueueTs: {
      ...coded("enqueueTs", () => null),
      run({ event, enqueue }) {
        const { to, id, fail } = event.payload as { to: string; id?: string; fail?: boolean };
        enqueue(to, { hello: event.id, large: 9007199254740993n }, { id, headers: { "X-Note": "one" } });
        enqueue(to, "text", { headers: { "Content-Type": "text/x-note" } });
        enqueue(to, Uint8Array.of(0, 255));
        if (fail === true) throw new Error("refused");
        return null;
      },
    },
    /**
     * Writes an effect. If `$.fail` is true it throws, otherwise it replies with the event's id and cents.
     */
    reply: coded("reply", ({ id, payload }): Reply => {
      const { cents, fail } = payload as { cents: number; fail: boolean };
      if (fail) throw new Error(`${id} is refused`);
      return { status: 201, headers: { "x-id": id }, body: `${id}: ${cents}` };
    }),
    /** Writes an effect and takes 5 ms. */
    slow: coded("slow", () => {
      const until = performance.now() + 5;
      while (performance.now() < until);
      return null;
    }),
    /** Writes an effect and two lines with `console`. Throws if `$.fail` is true. */
    loud: coded("loud", ({ id, payload }) => {
      console.log("begins", id);
      console.warn("ends", id);
      if ((payload as { fail: boolean }).fail) throw new Error(`${id} is refused`);
      return null;
    }),
    /** Writes an effect and throws a text that a database may refuse. */
    oddError: coded("oddError", () => {
      throw new Error("odd \0 text \uD800");
    }),
    /** Returns a promise, and writes its effect after an await. */
    later: {
      ...coded("later", () => null),
      async run({ event, db }) {
        await Promise.resolve();
        await writeEffect(db, event);
        return null;
      },
    },
  };
}

/** The handler of each type. */
export type Types = Readonly<Record<string, HandlerName>>;

/** Makes tables of handlers for one engine. By default each type runs the handler of its name. */
export type Bind = (types?: Types) => Handlers;

/** Loads every handler into an engine. */
export async function bindTo(engine: Engine, set: HandlerSet): Promise<Bind> {
  const loaded = new Map<string, LoadedHandler>();
  for (const [name, code] of Object.entries(set)) {
    if (code === null) continue;
    const handler = await engine.loadHandler(code);
    if (!("hash" in handler)) throw new Error(`${code.file} was refused: ${JSON.stringify(handler)}`);
    loaded.set(name, handler);
  }
  return (types) => ({
    for(source, type) {
      if (source !== "shop") return null;
      return loaded.get((types === undefined ? type : types[type]) ?? "") ?? null;
    },
    files: [],
  });
}

/** Commits all of these jobs, in as many batches as the engine makes of them. */
export async function commitAll(
  engine: Engine,
  jobs: readonly Job[],
  handlers: Handlers,
): Promise<(JobResult | HookonceError)[]> {
  const results: (JobResult | HookonceError)[] = [];
  while (results.length < jobs.length) {
    const batch = await engine.commit(jobs.slice(results.length), {
      workMs: Number.POSITIVE_INFINITY,
      handlers,
    });
    if (batch.begun === 0) throw batch.blocked ?? new Error("the engine has begun none of the jobs");
    results.push(...(await batch.results));
  }
  return results;
}

/** A result in a few words, for example `failed handler_error` or `duplicate, changed body, reply a: 1`. */
export function inWords(result: JobResult | HookonceError, job?: Job): string {
  if (result instanceof HookonceError) return `refused ${result.code}`;
  if (result === null) return job?.kind === "resume" ? "none left" : "recorded";
  if ("messages" in result) return `${result.state}, ${result.messages} messages`;
  if ("state" in result) return result.changed ? `now ${result.state}` : `still ${result.state}`;
  if ("fresh" in result) return `${result.fresh} new, ${result.known} known, ${result.owed} owed`;
  if ("isEnd" in result) return `${result.removed} removed, ${result.discarded} discarded`;
  const { outcome, error, changedBody, reply, isAccepted = false } = result;
  const code = error instanceof HookonceError ? error.code : "handler_error";
  return [
    outcome === "failed" && error !== null ? `failed ${code}` : outcome,
    ...(isAccepted ? ["accepted"] : []),
    ...(changedBody ? ["changed body"] : []),
    ...(reply === null ? [] : [`reply ${reply.body}`]),
  ].join(", ");
}
