import { expect, test } from "bun:test";
import { EMPTY } from "../../src/app/empty-reader.ts";
import type { OutboxReader, StoredMessage } from "../../src/engines/outbox.ts";
import type { Entry } from "../../src/engines/records.ts";
import { createBodyRoom } from "../../src/outbox/body-room.ts";
import { createLane } from "../../src/outbox/lane.ts";
import type { AttemptResult } from "../../src/outbox/sender.ts";
import { until } from "./support/received.ts";

const MIB = 1024 * 1024;

const DELIVERED: AttemptResult = {
  verdict: "delivered",
  status: 200,
  error: null,
  retryAfterMs: null,
  answer: "",
  ms: 1,
};

/** A lane whose rows are due, and a sender that answers when the test says so. */
function lane(rows: readonly number[], read: (row: number) => StoredMessage | undefined, bytes = 1) {
  const due = new Set(rows);
  const reads: number[] = [];
  const sent: number[] = [];
  const entries: Entry[] = [];
  const answers: (() => void)[] = [];
  const logged: string[] = [];
  const log = (_fields: object, message: string): void => void logged.push(message);
  const reader: OutboxReader = {
    ...EMPTY,
    dueMessages: (_, now, limit) => [...due].slice(0, limit).map((row) => ({ row, nextAt: now })),
    messageBytes: () => bytes,
    claim(row) {
      reads.push(row);
      return read(row);
    },
  };
  const one = createLane({
    settings: {
      name: "app",
      kind: "url",
      concurrency: 8,
      rate: undefined,
      timeoutMs: 1000,
      retryForMs: 1000,
    },
    sender: {
      send: ({ id }) => {
        sent.push(Number(id));
        return new Promise((resolve) => answers.push(() => resolve(DELIVERED)));
      },
    },
    reader,
    room: createBodyRoom(64 * MIB),
    readsOf: () => undefined,
    recorder: {
      async record(entry) {
        entries.push(entry);
        if (entry.entry === "attempt") due.delete(entry.message);
      },
    },
    log: { debug: log, info: log, warn: log, error: log },
    clock: () => 1000,
    random: () => 0,
  });
  one.start();
  return { one, reads, sent, entries, answers, logged };
}

const stored = (row: number): StoredMessage => ({
  row,
  id: String(row),
  destination: "app",
  source: "",
  eventId: "",
  type: "",
  receivedAt: 0,
  state: "waiting",
  attempts: 0,
  tries: 0,
  since: 0,
  enqueued: { headers: {}, body: new Uint8Array(1) },
  delivery: null,
});

test("a message whose body has no room is not read, however often the lane is woken", async () => {
  const it = lane([1, 2], stored, 33 * MIB);
  await until("the first is sent", () => it.sent.length === 1);
  for (let count = 0; count < 20; count++) {
    it.one.wake();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(it.reads).toEqual([1]);
  it.answers.shift()?.();
  await until("the second is sent", () => it.sent.length === 2);
  expect(it.reads).toEqual([1, 2]);
  for (const answer of it.answers) answer();
  await it.one.stop();
});

test("a message that is not stored as it must be is dead, and the others are sent", async () => {
  const it = lane([1, 2], (row) => (row === 1 ? (JSON.parse("no JSON") as StoredMessage) : stored(row)));
  await until("the second is sent", () => it.sent.length === 1);
  expect(it.sent).toEqual([2]);
  expect(it.entries).toMatchObject([
    {
      entry: "attempt",
      message: 1,
      next: { state: "dead" },
      error: expect.stringContaining("what is stored of it cannot be read: "),
    },
  ]);
  for (const answer of it.answers) answer();
  await it.one.stop();
});

test("a message that the database cannot read now is left out, and the others are sent", async () => {
  const it = lane([1, 2, 3], (row) => {
    if (row === 1) throw new Error("disk I/O error");
    return stored(row);
  });
  await until("the others are sent", () => it.sent.length === 2);
  expect(it.sent).toEqual([2, 3]);
  it.one.wake();
  await new Promise((resolve) => setImmediate(resolve));
  expect(it.reads).toEqual([1, 2, 3]);
  expect(it.entries).toEqual([]);
  expect(it.logged).toEqual(["a message could not be read, and is tried later"]);
  for (const answer of it.answers) answer();
  await it.one.stop();
});
