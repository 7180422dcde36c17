import { expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import type { EventSource, Handlers, Job } from "../../../src/engines/engine.ts";
import { noMarker } from "../../../src/engines/marker.ts";
import type { SqliteHandler } from "../../../src/engines/sqlite/handler.ts";
import { migrate, ownSet } from "../../../src/engines/sqlite/migrations.ts";
import { createOutbox } from "../../../src/engines/sqlite/outbox.ts";
import { ownMigrations } from "../../../src/engines/sqlite/own-migrations.ts";
import { createBatchWriter } from "../../../src/engines/sqlite/batch.ts";
import { createEventStore } from "../../../src/engines/sqlite/event-store.ts";
import { createHandlerRuns } from "../../../src/engines/sqlite/handler-runs.ts";
import { createInterruptedRuns } from "../../../src/engines/sqlite/interrupted-runs.ts";
import { createJobs } from "../../../src/engines/sqlite/jobs.ts";
import { createRollupWrites } from "../../../src/engines/sqlite/rollup-writes.ts";
import { createTransaction } from "../../../src/engines/sqlite/transaction.ts";
import { policy } from "../../../src/inbox/decide.ts";

const source: EventSource = {
  name: "default",
  handlersOf: "default",
  unhandled: "record",
  requireChange: false,
  sameBody: false,
  retryForMs: 0,
  retryWindowMs: 0,
  payloadOf: ({ body }) => ({ json: Buffer.from(body).toString() }),
  typeOf: () => undefined,
};

/** Commits jobs, each in a transaction of its own. */
function committer(db: Database, handler: SqliteHandler) {
  migrate(db, ownSet(ownMigrations), 1);
  const store = createEventStore(db);
  const interrupted = createInterruptedRuns(db);
  const outbox = createOutbox(db);
  const runs = createHandlerRuns(policy, interrupted, noMarker, outbox);
  const writer = createBatchWriter(
    createTransaction(db),
    createJobs(db, store, policy, runs, interrupted, outbox),
    store,
    createRollupWrites(db),
  );
  return (job: Job) =>
    writer.commit([job], { for: () => handler, files: [] } satisfies Handlers, 20).results[0];
}

test("a failure whose body no longer holds the event is not run without its payload", () => {
  using db = new Database(":memory:");
  const payloads: (string | null)[] = [];
  let works = false;
  const handler: SqliteHandler = {
    file: "handlers/default/_any.sql",
    hash: "",
    language: "sql",
    run({ payloadJson }) {
      if (!works) throw new Error("not yet");
      payloads.push(payloadJson);
      return { rowsChanged: 1, reply: null };
    },
  };
  const commit = committer(db, handler);
  const body = Buffer.from('{"id":"evt_1"}');
  const input = {
    id: "evt_1",
    type: "",
    source: "default",
    receivedAt: 1,
    headersJson: "{}",
    payloadJson: body.toString(),
    body,
  };
  const apply = (of: EventSource) => commit({ kind: "apply", source: of, eventId: "evt_1", at: 2 });

  expect(commit({ kind: "delivery", event: { source, batch: undefined, input } })).toMatchObject({
    outcome: "failed",
  });
  works = true;
  expect(apply({ ...source, payloadOf: () => undefined })).toMatchObject({
    outcome: "failed",
    error: { code: "stored_event_unreadable" },
  });
  expect(payloads).toEqual([]);
  expect(
    db.prepare("select code, attempts from hookonce_failures where settled_at is null").values(),
  ).toEqual([["stored_event_unreadable", 2]]);
  expect(apply(source)).toMatchObject({ outcome: "processed" });
  expect(payloads).toEqual([body.toString()]);
});

test("events of a batch that come once it was taken apart get its whole body again", () => {
  using db = new Database(":memory:");
  const commit = committer(db, {
    file: "handlers/default/_any.sql",
    hash: "",
    language: "sql",
    run: () => ({ rowsChanged: 1, reply: null }),
  });
  const elements = [1, 2, 3, 4, 5].map((n) => JSON.stringify({ id: `evt_${n}` }));
  const whole = `[${elements.join()}]`;
  const batch = {};
  const deliver = (n: number): void => {
    const input = {
      id: `evt_${n}`,
      type: "",
      source: "default",
      receivedAt: 1,
      headersJson: "{}",
      payloadJson: elements[n - 1] ?? null,
      body: Buffer.from(whole),
    };
    expect(commit({ kind: "delivery", event: { source, batch, input } })).toMatchObject({
      outcome: "processed",
    });
  };
  const takeApart = (body: number, ...events: number[]): void => {
    const parts = events.map((event) => ({ event, json: elements[event - 1] ?? "" }));
    expect(commit({ kind: "forget", step: { forget: "batch", body, parts }, at: 2 })).toMatchObject({
      state: "forgotten",
    });
  };
  const stored = (): unknown[][] =>
    db
      .query(
        `select event, body, element, cast(bytes as text) from hookonce_results
         left join hookonce_bodies on id = body order by event`,
      )
      .values();

  deliver(1);
  deliver(2);
  takeApart(1, 1, 2);
  deliver(3);
  deliver(4);
  const own = (n: number): unknown[] => [n, n, 1, elements[n - 1]];
  const shared = (n: number): unknown[] => [n, 3, 0, whole];
  expect(stored()).toEqual([own(1), own(2), shared(3), shared(4)]);
  // Taken apart with what is not shared any more, and before its last event is known.
  takeApart(1, 1, 2);
  takeApart(3, 3);
  // The row was needed by another event, so its first event has one that is above all, and keeps it.
  expect(stored()[2]).toEqual([3, 5, 1, elements[2]]);
  deliver(5);
  expect(stored()).toEqual([own(1), own(2), [3, 5, 1, elements[2]], shared(4), shared(5)]);
  takeApart(3, 4, 5);
  expect(stored()).toEqual([own(1), own(2), [3, 5, 1, elements[2]], own(4), [5, 6, 1, elements[4]]]);
  // Once they are removed, no event names a body that a later event may have.
  commit({ kind: "retention", step: { remove: "payloads", before: 2, after: 0 }, at: 3 });
  expect(stored().map(([event, body, , text]) => [event, body, text])).toEqual(
    [1, 2, 0, 4, 0].map((body, index) => [index + 1, body, null]),
  );
});
