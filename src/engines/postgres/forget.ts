import {
  FORGOTTEN,
  hashed,
  MESSAGE_FORGOTTEN,
  reasonOfForgotten,
  TEXTS,
  type ForgetJob,
  type ForgetStep,
  type ForgettableEvent,
  type Forgotten,
  type TextPlace,
} from "../forget.ts";
import { NO_BODY } from "./body-ids.ts";
import { recorded, SETTLED, type OpenFailure, type RecordedEvent } from "../event-rows.ts";
import type { EventStore } from "./event-store.ts";
import { noteHidden } from "./hidden-ids.ts";
import type { InterruptedRuns } from "./interrupted-runs.ts";
import { noteEvent } from "./message-entries.ts";
import { createNeededBodies, eventsOf } from "./needed-bodies.ts";
import { nothing } from "../results.ts";
import { createBodyRewriting } from "./rewrite-bodies.ts";
import type { SettledEvents } from "../settled-events.ts";
import type { Tx } from "./tx.ts";

type Step<Kind> = Extract<ForgetStep, { readonly forget: Kind }>;

/** The table of each place, and the column that numbers its rows. */
const TABLES = {
  bodies: ["hookonce.bodies", "id"],
  events: ["hookonce.events", "id"],
  results: ["hookonce.results", "event"],
  "changed bodies": ["hookonce.changed_bodies", "event"],
  failures: ["hookonce.failures", "id"],
  messages: ["hookonce.messages", "id"],
  attempts: ["hookonce.attempts", "seq"],
  positions: ["hookonce.positions", "seq"],
  enqueued: ["hookonce.enqueued", "id"],
  "interrupted runs": ["hookonce.interrupted_runs", "seq"],
  jobs: ["hookonce.jobs", "seq"],
  audit: ["hookonce.audit", "id"],
  "source states": ["hookonce.source_states", "seq"],
  destinations: ["hookonce.destinations", "seq"],
} as const satisfies Readonly<Record<TextPlace, readonly [string, string]>>;

export const tableOf = (place: TextPlace): readonly [table: string, row: string] => TABLES[place];

const DONE_NOTHING: Forgotten = { state: "nothing", messages: 0 };
const DONE: Forgotten = { state: "forgotten", messages: 0 };

function removalOf(place: Step<"row">["place"]): string {
  const [table, column] = tableOf(place);
  return `delete from ${table} where ${column} = $1${place === "bodies" ? ` and not exists (${eventsOf("$1")})` : ""}`;
}

const EMPTY_FAILURE = `
  update hookonce.failures
  set first_headers = '', first_body = ''::bytea, last_headers = '', last_body = ''::bytea, error = '${FORGOTTEN}', stack = null
  where source = $1 and event_id = $2 and (last_headers <> '' or error <> '${FORGOTTEN}')`;

/** A running command is not ended. When it ends, its message is discarded and its output is not stored. */
const EMPTY_MESSAGE = `
  update hookonce.messages
  set state = case when state in ('delivered', 'sending') then state else 'discarded' end,
    settled_at = case when state = 'sending' then settled_at else coalesce(settled_at, $2) end,
    headers = null, body = null, last_error = null, reason = '${MESSAGE_FORGOTTEN}'
  where id = $1 and coalesce(reason, '') <> '${MESSAGE_FORGOTTEN}' returning event, source`;

const EMPTY_ATTEMPTS = "update hookonce.attempts set error = null, answer = '' where message = $1";

/** One step of `forget`, inside the open transaction. */
export function createForgetting(
  tx: Tx,
  store: EventStore,
  interrupted: InterruptedRuns,
  settled: SettledEvents,
) {
  const rewriting = createBodyRewriting(tx);
  const needed = createNeededBodies(tx);

  async function eventAt(row: number): Promise<(RecordedEvent & { readonly source: string }) | undefined> {
    const found = await tx
      .query(
        "select id, event_id, type, outcome, deliveries, received_at, source from hookonce.events where id = $1",
      )
      .row(row);
    const event = recorded(found);
    return event === undefined ? undefined : { ...event, source: String(found?.[6]) };
  }

  /** A failure that is not recorded becomes an event without a body. @returns its row */
  async function recordDiscarded({ event, sameBody }: Step<"event">, failure: OpenFailure): Promise<number> {
    const { source: name, eventId: id } = event;
    const source = { name, sameBody };
    const row = (await store.insertSettled(
      source,
      { id, type: failure.type },
      "discarded",
      null,
      failure,
    )) as number;
    store.insertResult(row, NO_BODY, nothing);
    return row;
  }

  async function forgetEvent(step: Step<"event">, at: number): Promise<Forgotten> {
    const { event, hides, owed, reason } = step;
    const { eventId } = event;
    const source = { name: event.source };
    const known = event.row === null ? await store.find(source, eventId) : await eventAt(event.row);
    // An earlier event with this id has no failure.
    const isCurrent = known === undefined || (await store.find(source, eventId))?.id === known.id;
    const failure = isCurrent ? await store.findFailure(source, eventId) : undefined;
    if (known !== undefined && known.eventId !== eventId) return DONE_NOTHING;
    const isOwed = failure !== undefined || known?.outcome === "unhandled" || known?.outcome === "held";
    if (isOwed && !owed) return { state: "left", messages: 0 };
    if (known !== undefined && (await isShared(known.id))) return { state: "shared", messages: 0 };
    const row = known?.id ?? (failure === undefined ? undefined : await recordDiscarded(step, failure));
    if (row === undefined) return DONE_NOTHING;
    const why = reasonOfForgotten(reason);
    if (isOwed) {
      if (known !== undefined) store.close(source, known, "discarded", why);
      store.settleFailure(source, eventId, at);
      store.keepDelivery(source, eventId, SETTLED, at, "discarded", false);
    }
    if (isCurrent) await interrupted.settle(source, eventId);
    const { isErased, messages } = await erase(row, event, isCurrent, why, at);
    const isHidden = hide(row, event, hides);
    return { state: isErased || isHidden || isOwed ? "forgotten" : "nothing", messages };
  }

  /** Erases what is stored of an event that is done. */
  async function erase(
    row: number,
    { source, eventId }: ForgettableEvent,
    isCurrent: boolean,
    why: string,
    at: number,
  ): Promise<{ readonly isErased: boolean; readonly messages: number }> {
    const result = await tx
      .query("select body, reply, reason from hookonce.results where event = $1")
      .row(row);
    const [body = NO_BODY, reply = null, reason = null] = (result ?? []) as [number?, string?, string?];
    tx.query("update hookonce.results set body = $3, reply = null, reason = $2 where event = $1").run(
      row,
      why,
      NO_BODY,
    );
    const hadBody = await rewriting.remove(body, source);
    const changed = await tx.query("delete from hookonce.changed_bodies where event = $1").changes(row);
    const failed = isCurrent ? await tx.query(EMPTY_FAILURE).changes(source, eventId) : 0;
    let messages = 0;
    for (const [id] of await tx
      .query("select id from hookonce.messages where event = $1 order by id")
      .values(row))
      messages += (await forgetMessage(Number(id), false, at)).messages;
    const hadTexts = result !== undefined && (reply !== null || reason !== why);
    return { isErased: hadBody || hadTexts || changed + failed + messages > 0, messages };
  }

  function hide(
    row: number,
    { source, eventId, type }: ForgettableEvent,
    hides: Step<"event">["hides"],
  ): boolean {
    if (!hides.id && !hides.type) return false;
    noteHidden(tx);
    const id = hides.id ? hashed(eventId) : eventId;
    const typeNow = hides.type ? hashed(type) : type;
    tx.query(
      `update hookonce.deliveries
       set event_id = $4 where source = $1 and event_id = $2 and era = (select era from hookonce.events where id = $3)`,
    ).run(source, eventId, row, id);
    tx.query("update hookonce.events set event_id = $2, type = $3 where id = $1").run(row, id, typeNow);
    tx.query("update hookonce.failures set event_id = $3, type = $4 where source = $1 and event_id = $2").run(
      source,
      eventId,
      id,
      typeNow,
    );
    tx.query(
      `update hookonce.messages
       set event_id = $2, type = $3 where event = $1`,
    ).run(row, id, typeNow);
    return true;
  }

  /** Whether other events need the body of this one. */
  async function isShared(event: number): Promise<boolean> {
    const body = (await tx.query("select body from hookonce.results where event = $1").row(event))?.[0];
    if (typeof body !== "number" || body === NO_BODY) return false;
    return (await needed.eventsOf(body)).some((other) => other !== event);
  }

  async function part({ body, parts }: Step<"batch">): Promise<Forgotten> {
    let source: string | undefined;
    for (const { event } of parts) source ??= (await eventAt(event))?.source;
    if (source === undefined) return DONE_NOTHING;
    await rewriting.split(body, source, parts);
    // Nothing may need the body of an event any more, now that it is alone.
    for (const { event } of parts) settled.note(source, event);
    return DONE;
  }

  async function forgetMessage(row: number, hidesId: boolean, at: number): Promise<Forgotten> {
    const emptied = await tx.query(EMPTY_MESSAGE).values(row, at);
    noteEvent(emptied, settled);
    tx.query(EMPTY_ATTEMPTS).run(row);
    if (hidesId) {
      const id = await tx.query("select message_id from hookonce.messages where id = $1").row(row);
      noteHidden(tx);
      if (id !== undefined)
        tx.query("update hookonce.messages set message_id = $2 where id = $1").run(
          row,
          hashed(String(id[0])),
        );
    }
    return emptied.length > 0 ? { state: "forgotten", messages: 1 } : DONE_NOTHING;
  }

  async function replace({ place, row, texts }: Step<"texts">): Promise<Forgotten> {
    const known: readonly string[] = TEXTS[place];
    const names = Object.keys(texts).filter((name) => known.includes(name));
    if (place === "positions") noteHidden(tx);
    const [table, column] = tableOf(place);
    const sets = names.map((name, index) => `${name} = $${index + 2}`).join(", ");
    const changes = await tx
      .query(`update ${table} set ${sets} where ${column} = $1`)
      .changes(row, ...names.map((name) => texts[name] ?? null));
    return changes > 0 ? DONE : DONE_NOTHING;
  }

  return async ({ step, at }: ForgetJob): Promise<Forgotten> => {
    switch (step.forget) {
      case "event":
        return forgetEvent(step, at);
      case "batch":
        return part(step);
      case "message":
        return forgetMessage(step.row, step.hidesId, at);
      case "texts":
        return replace(step);
      case "row": {
        const changes = await tx.query(removalOf(step.place)).changes(step.row);
        return {
          state: changes > 0 ? "forgotten" : "nothing",
          messages: step.place === "enqueued" ? changes : 0,
        };
      }
    }
  };
}
