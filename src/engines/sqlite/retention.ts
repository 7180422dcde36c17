import type { Database } from "bun:sqlite";
import { RETENTION_STEP_MS, type Retained, type RetentionJob, type RetentionStep } from "../retention.ts";
import { LEAVE_BODY } from "./body-ids.ts";
import { SETTLED, recorded, type RecordedEvent } from "../event-rows.ts";
import type { EventStore } from "./event-store.ts";
import type { InterruptedRuns } from "./interrupted-runs.ts";
import { noteEvent } from "./message-entries.ts";
import { readMeta, writeMeta } from "./meta.ts";
import { eventsOf, IS_DONE, IS_UNSENT } from "./needed-bodies.ts";
import { readPragma } from "./open.ts";
import type { SettledEvents } from "../settled-events.ts";
import { createStoredBytes, SIZE } from "./stored-bytes.ts";

/** How many unhandled events retention has discarded, and when it did so last. JSON. */
export const DISCARDED = "discarded_by_retention";

/** The reason of events that it has discarded. */
export const REASON = "retention";

/** How many rows one query returns, so that no snapshot outlives it. */
const PAGE = 64;

/** How many free pages are returned between two looks at the clock: 45 µs each. */
const PAGES = 16;

const FIND_BODIES = `
  select id, received_at, ${SIZE} from hookonce_bodies where id > ?1 order by id limit ${PAGE}`;

const FIND_SOURCES = `
  select id, ${SIZE}, (select source from hookonce_events where id = (${eventsOf("stored.id")} limit 1))
  from hookonce_bodies as stored where id > ?1 order by id limit ${PAGE}`;

const HAS_FAILED = `exists (
  select 1 from hookonce_failures as failures
  where failures.source = events.source and failures.event_id = events.event_id and settled_at is null)`;

/** Whether the events of a body still need it. ?2 is 1 if unhandled events may be discarded. */
const ASK_EVENTS = `
  select source, max(${IS_UNSENT} or not ${IS_DONE}
    and not (?2 = 1 and outcome = 'unhandled' and not ${HAS_FAILED})), sum(outcome = 'unhandled'), sum(changed_bodies)
  from hookonce_events as events where id in (${eventsOf("?1")})`;

const FIND_UNHANDLED = `
  select id, event_id, type, outcome, deliveries, received_at from hookonce_events
  where id in (${eventsOf("?1")}) and outcome = 'unhandled'`;

/** A failure without headers is already empty. */
const FIND_FAILURES = `
  select id from hookonce_failures indexed by hookonce_failures_settled
  where settled_at is not null and last_headers <> '' and last_at < ?1 order by last_at limit ${PAGE}`;

const EMPTY_FAILURE = `
  update hookonce_failures set first_headers = '', first_body = x'', last_headers = '', last_body = x''
  where id = ?1`;

/** Messages in these states are not removed. */
const UNSENT: ReadonlySet<string> = new Set(["waiting", "sending", "interrupted"]);

const FIND_MESSAGES = `
  select id, state, created_at, settled_at from hookonce_messages where id > ?1 order by id limit ${PAGE}`;

type Step<Remove> = Extract<RetentionStep, { readonly remove: Remove }>;

const NOTHING: Retained = { removed: 0, bytes: 0, discarded: 0, position: 0, isEnd: false };

/** One step of retention, inside the open transaction. */
export function createRetention(
  db: Database,
  store: EventStore,
  interrupted: InterruptedRuns,
  settled: SettledEvents,
) {
  const storedBytes = createStoredBytes(db);
  const removeChanged = db.query(`delete from hookonce_changed_bodies where event in (${eventsOf("?1")})`);
  const removeBody = db.query("delete from hookonce_bodies where id = ?1");
  const leaveBody = db.query(LEAVE_BODY);
  const removeMessage = db.query("delete from hookonce_messages where id = ?1 returning event, source");
  const askEvents = db.query(ASK_EVENTS);

  /** Removes payloads, and counts what it has removed. */
  function createRemoval(discardAt: number | null) {
    const counted = storedBytes.counted();
    const freed = new Map<string, number>();
    const sum = { removed: 0, bytes: 0, discarded: 0 };
    return {
      sum,
      /** Does nothing if an event still needs the body. */
      remove(id: number, bytes: number): void {
        const answer = askEvents.values(id, discardAt === null ? 0 : 1)[0] as [string | null, ...number[]];
        const [source, isNeeded = 0, unhandled = 0, changed = 0] = answer;
        if (isNeeded === 1) return;
        if (source !== null && discardAt !== null && unhandled > 0) {
          for (const row of db.query(FIND_UNHANDLED).values(id))
            discard({ name: source }, recorded(row) as RecordedEvent, discardAt);
          sum.discarded += unhandled;
        }
        if (changed > 0) removeChanged.run(id);
        removeBody.run(id);
        leaveBody.run(id);
        if (source !== null && id <= counted) freed.set(source, (freed.get(source) ?? 0) - bytes);
        sum.removed++;
        sum.bytes += bytes;
      },
      end(): typeof sum {
        storedBytes.add(freed);
        if (discardAt !== null && sum.discarded > 0) addDiscarded(sum.discarded, discardAt);
        return sum;
      },
    };
  }

  function discard(source: { readonly name: string }, event: RecordedEvent, at: number): void {
    store.close(source, event, "discarded", REASON);
    store.keepDelivery(source, event.eventId, SETTLED, at, "discarded", false);
    interrupted.settle(source, event.eventId);
  }

  /** Visits rows by their id. `visit` returns "end" if no later row can be removed now. */
  function walk(
    query: string,
    after: number,
    visit: (row: unknown[]) => "end" | undefined,
  ): Pick<Retained, "position" | "isEnd"> {
    const until = performance.now() + RETENTION_STEP_MS;
    const statement = db.query(query);
    for (let position = after; ;) {
      const rows = statement.values(position);
      for (const row of rows) {
        if (visit(row) === "end") return { position, isEnd: true };
        position = row[0] as number;
        if (performance.now() > until) return { position, isEnd: false };
      }
      if (rows.length < PAGE) return { position, isEnd: true };
    }
  }

  function removePayloads({ before, after }: Step<"payloads">, now: number): Retained {
    const removal = createRemoval(now);
    const walked = walk(FIND_BODIES, after, ([id, receivedAt, bytes]) => {
      // A body from the future, because of a wrong clock, does not keep later ones from being removed.
      if (Number(receivedAt) >= before) return Number(receivedAt) > now ? undefined : "end";
      removal.remove(Number(id), Number(bytes));
      return undefined;
    });
    return { ...removal.end(), ...walked };
  }

  function removePayloadsOf({ source, bytes: wanted, after }: Step<"payloads of">): Retained {
    const removal = createRemoval(null);
    const { sum } = removal;
    const walked = walk(FIND_SOURCES, after, ([id, bytes, of]) => {
      if (sum.bytes >= wanted) return "end";
      if (of === source) removal.remove(Number(id), Number(bytes));
      return undefined;
    });
    return { ...removal.end(), position: walked.position, isEnd: walked.isEnd && sum.bytes < wanted };
  }

  function addDiscarded(count: number, lastAt: number): void {
    const before = JSON.parse(readMeta(db, DISCARDED) ?? '{"count":0}') as { count: number };
    writeMeta(db, DISCARDED, JSON.stringify({ count: before.count + count, lastAt }));
  }

  function count(): Retained {
    const sums = new Map<string, number>();
    const before = storedBytes.counted();
    const walked = walk(FIND_SOURCES, before, ([, bytes, source]) => {
      if (typeof source === "string") sums.set(source, (sums.get(source) ?? 0) + Number(bytes));
      return undefined;
    });
    storedBytes.add(sums);
    if (walked.position > before) storedBytes.countUpTo(walked.position);
    return { ...NOTHING, ...walked };
  }

  function emptyFailures({ before }: Step<"failure bodies">): Retained {
    const until = performance.now() + RETENTION_STEP_MS;
    let removed = 0;
    for (;;) {
      const rows = db.query(FIND_FAILURES).values(before);
      for (const [id] of rows) {
        db.query(EMPTY_FAILURE).run(Number(id));
        removed++;
        if (performance.now() > until) return { ...NOTHING, removed };
      }
      if (rows.length < PAGE) return { ...NOTHING, removed, isEnd: true };
    }
  }

  function removeMessages({ before, deadBefore, after }: Step<"messages">, now: number): Retained {
    const latest = Math.max(before ?? 0, deadBefore ?? 0);
    let removed = 0;
    const walked = walk(FIND_MESSAGES, after, ([id, state, createdAt, settledAt]) => {
      // None was settled before it was written.
      if (Number(createdAt) >= latest) return Number(createdAt) > now ? undefined : "end";
      const limit = state === "dead" ? deadBefore : UNSENT.has(String(state)) ? null : before;
      if (limit === null || settledAt === null || Number(settledAt) >= limit) return undefined;
      db.query("delete from hookonce_attempts where message = ?1").run(Number(id));
      noteEvent(removeMessage.values(Number(id)), settled);
      removed++;
      return undefined;
    });
    return { ...NOTHING, removed, ...walked };
  }

  function returnPages({ keepBytes }: Step<"free pages">): Retained {
    const keep = Math.ceil(keepBytes / Number(readPragma(db, "page_size")));
    const until = performance.now() + RETENTION_STEP_MS;
    const free = (): number => Number(readPragma(db, "freelist_count"));
    const began = free();
    let left = began;
    // Each page that is returned is a row.
    while (left > keep && performance.now() < until) {
      db.query(`pragma incremental_vacuum(${Math.min(PAGES, left - keep)})`).values();
      const now = free();
      if (now === left) break;
      left = now;
    }
    return { ...NOTHING, removed: began - left, isEnd: left <= keep || left === began };
  }

  return ({ step, at }: RetentionJob): Retained => {
    switch (step.remove) {
      case "payloads":
        return removePayloads(step, at);
      case "payloads of":
        return removePayloadsOf(step);
      case "failure bodies":
        return emptyFailures(step);
      case "messages":
        return removeMessages(step, at);
      case "free pages":
        return returnPages(step);
      case "nothing":
        return count();
    }
  };
}
