import type { Database } from "bun:sqlite";
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
import type { HiddenIds } from "./hidden-ids.ts";
import type { InterruptedRuns } from "./interrupted-runs.ts";
import { noteEvent } from "./message-entries.ts";
import { createNeededBodies, eventsOf } from "./needed-bodies.ts";
import { nothing } from "../results.ts";
import { createBodyRewriting } from "./rewrite-bodies.ts";
import type { SettledEvents } from "../settled-events.ts";

type Step<Kind> = Extract<ForgetStep, { readonly forget: Kind }>;

const TABLES = {
  bodies: "hookonce_bodies",
  events: "hookonce_events",
  results: "hookonce_results",
  "changed bodies": "hookonce_changed_bodies",
  failures: "hookonce_failures",
  messages: "hookonce_messages",
  attempts: "hookonce_attempts",
  positions: "hookonce_positions",
  enqueued: "hookonce_enqueued",
  "interrupted runs": "hookonce_interrupted_runs",
  jobs: "hookonce_jobs",
  audit: "hookonce_audit",
  "source states": "hookonce_source_states",
  destinations: "hookonce_destinations",
} as const satisfies Readonly<Record<TextPlace, string>>;

export const tableOf = (place: TextPlace): string => TABLES[place];

const DONE_NOTHING: Forgotten = { state: "nothing", messages: 0 };
const DONE: Forgotten = { state: "forgotten", messages: 0 };

const removalOf = (place: Step<"row">["place"]): string =>
  `delete from ${tableOf(place)} where rowid = ?1${place === "bodies" ? ` and not exists (${eventsOf("?1")})` : ""}`;

const EMPTY_FAILURE = `
  update hookonce_failures
  set first_headers = '', first_body = x'', last_headers = '', last_body = x'', error = '${FORGOTTEN}', stack = null
  where source = ?1 and event_id = ?2 and (last_headers <> '' or error <> '${FORGOTTEN}')`;

/** A running command is not ended. When it ends, its message is discarded and its output is not stored. */
const EMPTY_MESSAGE = `
  update hookonce_messages
  set state = iif(state in ('delivered', 'sending'), state, 'discarded'),
    settled_at = iif(state = 'sending', settled_at, coalesce(settled_at, ?2)),
    headers = null, body = null, last_error = null, reason = '${MESSAGE_FORGOTTEN}'
  where id = ?1 and coalesce(reason, '') <> '${MESSAGE_FORGOTTEN}' returning event, source`;

const EMPTY_ATTEMPTS = "update hookonce_attempts set error = null, answer = '' where message = ?1";

/** One step of `forget`, inside the open transaction. */
export function createForgetting(
  db: Database,
  store: EventStore,
  interrupted: InterruptedRuns,
  hidden: HiddenIds,
  settled: SettledEvents,
) {
  const rewriting = createBodyRewriting(db);
  const needed = createNeededBodies(db);

  function eventAt(row: number): (RecordedEvent & { readonly source: string }) | undefined {
    const [found] = db
      .query(
        "select id, event_id, type, outcome, deliveries, received_at, source from hookonce_events where id = ?1",
      )
      .values(row);
    const event = recorded(found);
    return event === undefined ? undefined : { ...event, source: String(found?.[6]) };
  }

  /** A failure that is not recorded becomes an event without a body. @returns its row */
  function recordDiscarded({ event, sameBody }: Step<"event">, failure: OpenFailure): number {
    const { source: name, eventId: id } = event;
    const source = { name, sameBody };
    const row = store.insertSettled(source, { id, type: failure.type }, "discarded", null, failure) as number;
    store.insertResult(row, NO_BODY, nothing);
    return row;
  }

  function forgetEvent(step: Step<"event">, at: number): Forgotten {
    const { event, hides, owed, reason } = step;
    const { eventId } = event;
    const source = { name: event.source };
    const known = event.row === null ? store.find(source, eventId) : eventAt(event.row);
    // An earlier event with this id has no failure.
    const isCurrent = known === undefined || store.find(source, eventId)?.id === known.id;
    const failure = isCurrent ? store.findFailure(source, eventId) : undefined;
    if (known !== undefined && known.eventId !== eventId) return DONE_NOTHING;
    const isOwed = failure !== undefined || known?.outcome === "unhandled" || known?.outcome === "held";
    if (isOwed && !owed) return { state: "left", messages: 0 };
    if (known !== undefined && isShared(known.id)) return { state: "shared", messages: 0 };
    const row = known?.id ?? (failure === undefined ? undefined : recordDiscarded(step, failure));
    if (row === undefined) return DONE_NOTHING;
    const why = reasonOfForgotten(reason);
    if (isOwed) {
      if (known !== undefined) store.close(source, known, "discarded", why);
      store.settleFailure(source, eventId, at);
      store.keepDelivery(source, eventId, SETTLED, at, "discarded", false);
    }
    if (isCurrent) interrupted.settle(source, eventId);
    const { isErased, messages } = erase(row, event, isCurrent, why, at);
    const isHidden = hide(row, event, hides);
    return { state: isErased || isHidden || isOwed ? "forgotten" : "nothing", messages };
  }

  /** Erases what is stored of an event that is done. */
  function erase(
    row: number,
    { source, eventId }: ForgettableEvent,
    isCurrent: boolean,
    why: string,
    at: number,
  ): { readonly isErased: boolean; readonly messages: number } {
    const [result] = db
      .query("select body, reply, reason from hookonce_results where event = ?1")
      .values(row);
    const [body = NO_BODY, reply = null, reason = null] = (result ?? []) as [number?, string?, string?];
    db.query("update hookonce_results set body = ?3, reply = null, reason = ?2 where event = ?1").run(
      row,
      why,
      NO_BODY,
    );
    const hadBody = rewriting.remove(body, source);
    const changed = db.query("delete from hookonce_changed_bodies where event = ?1").run(row).changes;
    const failed = isCurrent ? db.query(EMPTY_FAILURE).run(source, eventId).changes : 0;
    const messages = db
      .query("select id from hookonce_messages indexed by hookonce_messages_event where event = ?1")
      .values(row)
      .filter(([id]) => forgetMessage(Number(id), false, at).messages > 0).length;
    const hadTexts = result !== undefined && (reply !== null || reason !== why);
    return { isErased: hadBody || hadTexts || changed + failed + messages > 0, messages };
  }

  function hide(
    row: number,
    { source, eventId, type }: ForgettableEvent,
    hides: Step<"event">["hides"],
  ): boolean {
    if (!hides.id && !hides.type) return false;
    hidden.note();
    const id = hides.id ? hashed(eventId) : eventId;
    const typeNow = hides.type ? hashed(type) : type;
    db.query(
      `update hookonce_deliveries indexed by sqlite_autoindex_hookonce_deliveries_1
       set event_id = ?4 where source = ?1 and event_id = ?2 and era = (select era from hookonce_events where id = ?3)`,
    ).run(source, eventId, row, id);
    db.query("update hookonce_events set event_id = ?2, type = ?3 where id = ?1").run(row, id, typeNow);
    db.query("update hookonce_failures set event_id = ?3, type = ?4 where source = ?1 and event_id = ?2").run(
      source,
      eventId,
      id,
      typeNow,
    );
    db.query(
      `update hookonce_messages indexed by hookonce_messages_event
       set event_id = ?2, type = ?3 where event = ?1`,
    ).run(row, id, typeNow);
    return true;
  }

  /** Whether other events need the body of this one. */
  function isShared(event: number): boolean {
    const body = db.query("select body from hookonce_results where event = ?1").values(event)[0]?.[0];
    return (
      typeof body === "number" && body !== NO_BODY && needed.eventsOf(body).some((other) => other !== event)
    );
  }

  function part({ body, parts }: Step<"batch">): Forgotten {
    const source = parts.map(({ event }) => eventAt(event)?.source).find((name) => name !== undefined);
    if (source === undefined) return DONE_NOTHING;
    rewriting.split(body, source, parts);
    // Nothing may need the body of an event any more, now that it is alone.
    for (const { event } of parts) settled.note(source, event);
    return DONE;
  }

  function forgetMessage(row: number, hidesId: boolean, at: number): Forgotten {
    const emptied = db.query(EMPTY_MESSAGE).values(row, at);
    noteEvent(emptied, settled);
    db.query(EMPTY_ATTEMPTS).run(row);
    if (hidesId) {
      const [id] = db.query("select message_id from hookonce_messages where id = ?1").values(row);
      hidden.note();
      if (id !== undefined)
        db.query("update hookonce_messages set message_id = ?2 where id = ?1").run(
          row,
          hashed(String(id[0])),
        );
    }
    return emptied.length > 0 ? { state: "forgotten", messages: 1 } : DONE_NOTHING;
  }

  function replace({ place, row, texts }: Step<"texts">): Forgotten {
    const known: readonly string[] = TEXTS[place];
    const names = Object.keys(texts).filter((name) => known.includes(name));
    if (place === "positions") hidden.note();
    const sets = names.map((name, index) => `${name} = ?${index + 2}`).join(", ");
    const { changes } = db
      .query(`update or replace ${tableOf(place)} set ${sets} where rowid = ?1`)
      .run(row, ...names.map((name) => texts[name] ?? null));
    return changes > 0 ? DONE : DONE_NOTHING;
  }

  return ({ step, at }: ForgetJob): Forgotten => {
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
        const { changes } = db.query(removalOf(step.place)).run(step.row);
        return {
          state: changes > 0 ? "forgotten" : "nothing",
          messages: step.place === "enqueued" ? changes : 0,
        };
      }
    }
  };
}
