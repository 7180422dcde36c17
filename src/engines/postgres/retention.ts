import type { Retained, RetentionJob, RetentionStep } from "../retention.ts";
import { LEAVE_BODY } from "./body-ids.ts";
import { SETTLED, recorded, type RecordedEvent } from "../event-rows.ts";
import type { EventStore } from "./event-store.ts";
import type { InterruptedRuns } from "./interrupted-runs.ts";
import { noteEvent } from "./message-entries.ts";
import { readMeta, writeMeta } from "./meta.ts";
import { eventsOf, IS_DONE, IS_UNSENT } from "./needed-bodies.ts";
import type { SettledEvents } from "../settled-events.ts";
import { createStoredBytes, SIZE } from "./stored-bytes.ts";
import type { Tx } from "./tx.ts";

/** How many unhandled events retention has discarded, and when it did so last. JSON. */
export const DISCARDED = "discarded_by_retention";

/** The reason of events that it has discarded. */
export const REASON = "retention";

/** How long one step works, in milliseconds. It has the baton meanwhile, and each row takes several round trips. */
const STEP_MS = 50;

/** How many rows one query returns, so that no snapshot outlives it. */
const PAGE = 64;

const FIND_BODIES = `
  select id, received_at, ${SIZE} from hookonce.bodies where id > $1 order by id limit ${PAGE}`;

const FIND_SOURCES = `
  select id, ${SIZE}, (select source from hookonce.events where id = (${eventsOf("stored.id")} limit 1))
  from hookonce.bodies as stored where id > $1 order by id limit ${PAGE}`;

const HAS_FAILED = `exists (
  select 1 from hookonce.failures as failures
  where failures.source = events.source and failures.event_id = events.event_id and settled_at is null)`;

/** Whether the events of a body still need it. $2: whether unhandled events may be discarded. */
const ASK_EVENTS = `
  select min(source), coalesce(bool_or(${IS_UNSENT} or not ${IS_DONE}
    and not ($2 and outcome = 'unhandled' and not ${HAS_FAILED})), false),
    count(*) filter (where outcome = 'unhandled'), coalesce(sum(changed_bodies), 0)::bigint
  from hookonce.events as events where id in (${eventsOf("$1")})`;

const FIND_UNHANDLED = `
  select id, event_id, type, outcome, deliveries, received_at from hookonce.events
  where id in (${eventsOf("$1")}) and outcome = 'unhandled'`;

/** A failure without headers is already empty. */
const FIND_FAILURES = `
  select id from hookonce.failures
  where settled_at is not null and last_headers <> '' and last_at < $1 order by last_at limit ${PAGE}`;

const EMPTY_FAILURE = `
  update hookonce.failures set first_headers = '', first_body = ''::bytea, last_headers = '', last_body = ''::bytea
  where id = $1`;

/** Messages in these states are not removed. */
const UNSENT: ReadonlySet<string> = new Set(["waiting", "sending", "interrupted"]);

const FIND_MESSAGES = `
  select id, state, created_at, settled_at from hookonce.messages where id > $1 order by id limit ${PAGE}`;

type Step<Remove> = Extract<RetentionStep, { readonly remove: Remove }>;

const NOTHING: Retained = { removed: 0, bytes: 0, discarded: 0, position: 0, isEnd: false };

/** One step of retention, inside the open transaction. */
export function createRetention(
  tx: Tx,
  store: EventStore,
  interrupted: InterruptedRuns,
  settled: SettledEvents,
) {
  const storedBytes = createStoredBytes(tx);
  const removeChanged = tx.query(`delete from hookonce.changed_bodies where event in (${eventsOf("$1")})`);
  const removeBody = tx.query("delete from hookonce.bodies where id = $1");
  const leaveBody = tx.query(LEAVE_BODY);
  const removeMessage = tx.query("delete from hookonce.messages where id = $1 returning event, source");
  const askEvents = tx.query(ASK_EVENTS);

  /** Removes payloads, and counts what it has removed. */
  async function createRemoval(discardAt: number | null) {
    const counted = await storedBytes.counted();
    const freed = new Map<string, number>();
    const sum = { removed: 0, bytes: 0, discarded: 0 };
    return {
      sum,
      /** Does nothing if an event still needs the body. */
      async remove(id: number, bytes: number): Promise<void> {
        const answer = await askEvents.row(id, discardAt !== null);
        const [source, isNeeded, unhandled, changed] = answer as [string | null, boolean, number, number];
        if (isNeeded) return;
        if (source !== null && discardAt !== null && unhandled > 0) {
          for (const row of await tx.query(FIND_UNHANDLED).values(id))
            await discard({ name: source }, recorded(row) as RecordedEvent, discardAt);
          sum.discarded += unhandled;
        }
        if (changed > 0) removeChanged.run(id);
        removeBody.run(id);
        leaveBody.run(id);
        if (source !== null && id <= counted) freed.set(source, (freed.get(source) ?? 0) - bytes);
        sum.removed++;
        sum.bytes += bytes;
      },
      async end(): Promise<typeof sum> {
        storedBytes.add(freed);
        if (discardAt !== null && sum.discarded > 0) await addDiscarded(sum.discarded, discardAt);
        return sum;
      },
    };
  }

  async function discard(source: { readonly name: string }, event: RecordedEvent, at: number): Promise<void> {
    store.close(source, event, "discarded", REASON);
    store.keepDelivery(source, event.eventId, SETTLED, at, "discarded", false);
    await interrupted.settle(source, event.eventId);
  }

  /** Visits rows by their id. `visit` returns "end" if no later row can be removed now. */
  async function walk(
    query: string,
    after: number,
    visit: (row: unknown[]) => Promise<"end" | undefined> | "end" | undefined,
  ): Promise<Pick<Retained, "position" | "isEnd">> {
    const until = performance.now() + STEP_MS;
    const statement = tx.query(query);
    for (let position = after; ;) {
      const rows = await statement.values(position);
      for (const row of rows) {
        if ((await visit(row)) === "end") return { position, isEnd: true };
        position = row[0] as number;
        if (performance.now() > until) return { position, isEnd: false };
      }
      if (rows.length < PAGE) return { position, isEnd: true };
    }
  }

  async function removePayloads({ before, after }: Step<"payloads">, now: number): Promise<Retained> {
    const removal = await createRemoval(now);
    const walked = await walk(FIND_BODIES, after, async ([id, receivedAt, bytes]) => {
      // A body from the future, because of a wrong clock, does not keep later ones from being removed.
      if (Number(receivedAt) >= before) return Number(receivedAt) > now ? undefined : "end";
      await removal.remove(Number(id), Number(bytes));
      return undefined;
    });
    return { ...(await removal.end()), ...walked };
  }

  async function removePayloadsOf({ source, bytes: wanted, after }: Step<"payloads of">): Promise<Retained> {
    const removal = await createRemoval(null);
    const { sum } = removal;
    const walked = await walk(FIND_SOURCES, after, async ([id, bytes, of]) => {
      if (sum.bytes >= wanted) return "end";
      if (of === source) await removal.remove(Number(id), Number(bytes));
      return undefined;
    });
    return { ...(await removal.end()), position: walked.position, isEnd: walked.isEnd && sum.bytes < wanted };
  }

  async function addDiscarded(count: number, lastAt: number): Promise<void> {
    const before = JSON.parse((await readMeta(tx, DISCARDED)) ?? '{"count":0}') as { count: number };
    writeMeta(tx, DISCARDED, JSON.stringify({ count: before.count + count, lastAt }));
  }

  async function count(): Promise<Retained> {
    const sums = new Map<string, number>();
    const before = await storedBytes.counted();
    const walked = await walk(FIND_SOURCES, before, ([, bytes, source]) => {
      if (typeof source === "string") sums.set(source, (sums.get(source) ?? 0) + Number(bytes));
      return undefined;
    });
    storedBytes.add(sums);
    if (walked.position > before) storedBytes.countUpTo(walked.position);
    return { ...NOTHING, ...walked };
  }

  async function emptyFailures({ before }: Step<"failure bodies">): Promise<Retained> {
    const until = performance.now() + STEP_MS;
    let removed = 0;
    for (;;) {
      const rows = await tx.query(FIND_FAILURES).values(before);
      for (const [id] of rows) {
        tx.query(EMPTY_FAILURE).run(Number(id));
        removed++;
        if (performance.now() > until) return { ...NOTHING, removed };
      }
      if (rows.length < PAGE) return { ...NOTHING, removed, isEnd: true };
    }
  }

  async function removeMessages(
    { before, deadBefore, after }: Step<"messages">,
    now: number,
  ): Promise<Retained> {
    const latest = Math.max(before ?? 0, deadBefore ?? 0);
    let removed = 0;
    const walked = await walk(FIND_MESSAGES, after, async ([id, state, createdAt, settledAt]) => {
      // None was settled before it was written.
      if (Number(createdAt) >= latest) return Number(createdAt) > now ? undefined : "end";
      const limit = state === "dead" ? deadBefore : UNSENT.has(String(state)) ? null : before;
      if (limit === null || settledAt === null || Number(settledAt) >= limit) return undefined;
      tx.query("delete from hookonce.attempts where message = $1").run(Number(id));
      noteEvent(await removeMessage.values(Number(id)), settled);
      removed++;
      return undefined;
    });
    return { ...NOTHING, removed, ...walked };
  }

  return async ({ step, at }: RetentionJob): Promise<Retained> => {
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
        // The server's autovacuum makes room for new rows.
        return { ...NOTHING, isEnd: true };
      case "nothing":
        return count();
    }
  };
}
