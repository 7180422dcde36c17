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

test("a failure whose body no longer holds the event is not run without its payload", () => {
  using db = new Database(":memory:");
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
  const commit = (job: Job) =>
    writer.commit([job], { for: () => handler, files: [] } satisfies Handlers, 20).results[0];
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
