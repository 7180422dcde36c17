import type { Database } from "bun:sqlite";
import { eventQueries } from "./event-queries.macro.ts" with { type: "macro" };
import { prepare, prepareRows } from "./statement.ts";
import { SIZES } from "./together.ts";

const queries = eventQueries();

export interface ListedEvent {
  readonly id: number;
  readonly eventId: string;
  readonly type: string;
  readonly outcome: "processed" | "unhandled";
  /** JSON of a Reply; null when its handler made none. */
  readonly reply: string | null;
  /** Whether the body now delivered is the stored one, byte for byte. True when the stored one is gone. */
  readonly sameBody: boolean;
}

export interface StoredEvent {
  /** Of the first delivery. */
  readonly receivedAt: number;
  readonly headers: string;
  readonly body: Uint8Array;
}

export type EventStore = ReturnType<typeof createEventStore>;

/** The guest list and the deliveries behind it. Every call is part of a transaction that the caller has open. */
export function createEventStore(connection: Database) {
  const add = prepare<{
    source: string;
    eventId: string;
    type: string;
    outcome: "processed" | "unhandled";
    handler: string | null;
    receivedAt: number;
    lastDeliveryAt: number;
    deliveries: number;
    bodySha256: Uint8Array | null;
  }>(connection, queries.add);
  const keep = prepare<{ receivedAt: number; headers: string; body: Uint8Array }>(connection, queries.keep);
  const finish = prepare<{
    id: number;
    rowsChanged: number;
    durationUs: number;
    deliveryId: number;
    reply: string | null;
  }>(connection, queries.finish);
  const find = prepare<{ source: string; eventId: string; body: Uint8Array }>(connection, queries.find);
  const findSameBody = prepare<{ source: string; bodySha256: Uint8Array }>(connection, queries.findSameBody);
  const repeat = prepare<{ id: number; at: number; changed: number }>(connection, queries.repeat);
  const keepChanged = prepare<{ event: number; receivedAt: number; headers: string; body: Uint8Array }>(
    connection,
    queries.keepChanged,
  );
  const stored = prepare<{ id: number }>(connection, queries.stored);
  const settle = prepare<{
    id: number;
    handler: string;
    rowsChanged: number;
    durationUs: number;
    reply: string | null;
  }>(connection, queries.settle);

  return {
    /** @returns the new row's id, or undefined when the event is already on the list */
    add: (values: Parameters<typeof add.rows>[0]): number | undefined =>
      add.rows(values)[0]?.[0] as number | undefined,
    /** Stores what a delivery brought. @returns its id */
    keepDelivery: (values: Parameters<typeof keep.insert>[0]): number => keep.insert(values).lastId,
    finish: finish.run,
    several: new Map(
      SIZES.map((size, n) => [size, prepareSeveral(connection, size, queries.several[n] as SeveralQueries)]),
    ) as ReadonlyMap<number, Several>,
    find(source: string, eventId: string, body: Uint8Array): ListedEvent | undefined {
      const row = find.rows({ source, eventId, body })[0];
      return row && listed(row, row[5] === 1);
    },
    findSameBody(source: string, bodySha256: Uint8Array): ListedEvent | undefined {
      const row = findSameBody.rows({ source, bodySha256 })[0];
      return row && listed(row, true);
    },
    /** Counts one more delivery of an event that is on the list. */
    repeat: (id: number, at: number, changed: boolean): void =>
      void repeat.run({ id, at, changed: changed ? 1 : 0 }),
    keepChangedBody: keepChanged.run,
    /** An event as it was first delivered; undefined when its body is gone. */
    stored(id: number): StoredEvent | undefined {
      const [receivedAt, headers, body] = stored.rows({ id })[0] ?? [];
      return body instanceof Uint8Array
        ? { receivedAt: receivedAt as number, headers: headers as string, body }
        : undefined;
    },
    /** An event that was unhandled has now been applied. */
    settleUnhandled: settle.run,
  };
}

type SeveralQueries = (typeof queries.several)[number];

/** For a certain number of events at once, all of one source. */
export type Several = ReturnType<typeof prepareSeveral>;

function prepareSeveral(connection: Database, size: number, { add, keep }: SeveralQueries) {
  const adding = prepareRows<{
    source: string;
    eventId: string;
    type: string;
    handler: string;
    receivedAt: number;
  }>(connection, add);
  const idOf = prepare<{ source: string; eventId: string }>(connection, queries.idOf);
  const keeping = prepareRows<{ receivedAt: number; headers: string; body: Uint8Array }>(connection, keep);
  return {
    /**
     * Puts them on the list, processed and delivered once, but for those that are on it.
     *
     * @returns the new rows' ids, in the order of the events; undefined for those that were on the list, or come a second time
     */
    add(values: Parameters<typeof adding.insert>[0]): (number | undefined)[] {
      const { rows, lastId } = adding.insert(values);
      if (rows === 0) return values.map(() => undefined);
      const first = lastId - (rows - 1);
      if (rows === size) return values.map((_, n) => first + n);
      const fresh = new Set<number>();
      const ids = values.map(({ source, eventId }) => {
        const id = idOf.rows({ source, eventId })[0]?.[0] as number;
        if (id < first || fresh.has(id)) return undefined;
        fresh.add(id);
        return id;
      });
      if (fresh.size === rows) return ids;
      throw new Error(`${rows} events are new on the guest list, and ${fresh.size} of them were found`);
    },
    /** Stores what each delivery brought. @returns the first one's id; the others' follow on it (https://sqlite.org/autoinc.html) */
    keepDeliveries: (values: Parameters<typeof keeping.insert>[0]): number =>
      keeping.insert(values).lastId - (size - 1),
  };
}

function listed([id, eventId, type, outcome, reply]: unknown[], sameBody: boolean): ListedEvent {
  return {
    id: id as number,
    eventId: eventId as string,
    type: type as string,
    outcome: outcome as ListedEvent["outcome"],
    reply: reply as string | null,
    sameBody,
  };
}
