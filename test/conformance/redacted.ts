import { describe, expect, test } from "bun:test";
import type { RetentionStep } from "../../src/engines/retention.ts";
import type { Contents, EngineHarness } from "./harness.ts";
import { apply, batchOf, deliver, discard, forward, inWords, replay, retry, type Types } from "./jobs.ts";
import { openEngine, type OpenEngine } from "./open-engine.ts";
import { guarded, guardedBatch, SECRET, secretly } from "./redacted-sources.ts";
import { corrected, none } from "./scenarios/scenario.ts";

const source = guarded;

const attempt = (message: number, state: "delivered" | "dead") =>
  ({
    entry: "attempt",
    message,
    at: 2000,
    ms: 1,
    status: state === "dead" ? 410 : 200,
    error: null,
    answer: "",
    next: { state },
  }) as const;

const has = (text: unknown): boolean =>
  (text instanceof Uint8Array ? new TextDecoder().decode(text) : JSON.stringify(text)).includes(SECRET);

/** Where the value is stored, by event. */
export function placesOf({ events, failures, changedBodies }: Contents): string[] {
  return [
    ...events.flatMap(({ eventId, result }) =>
      result !== null && (has(result.body) || has(result.headers)) ? [`${eventId}: body`] : [],
    ),
    ...failures.flatMap(({ eventId, body }) => (has(body) ? [`${eventId}: failure`] : [])),
    ...changedBodies.flatMap(({ eventId, body }) => (has(body) ? [`${eventId}: other body`] : [])),
  ];
}

const places = async (it: OpenEngine): Promise<string[]> => placesOf(await it.contents());

async function said(
  it: OpenEngine,
  jobs: Parameters<OpenEngine["commit"]>[0],
  types?: Types,
): Promise<string[]> {
  return (await it.commit(jobs, types)).map((result) => inWords(result));
}

export function createRedactedTests(name: string, harness: EngineHarness): void {
  describe(`${name}: redaction`, () => {
    test("an event that is done at once is stored without its values, and so is what differs later", async () => {
      await using it = await openEngine(harness);
      const jobs = [secretly("a", { note: SECRET }), secretly("b"), secretly("a", { cents: 2 })];
      expect(await said(it, jobs)).toEqual(["processed", "processed", "duplicate, changed body"]);
      expect(await places(it)).toEqual([]);
      const { events, effects, changedBodies } = await it.contents();
      expect(events[0]?.result?.headers).toEqual({ "x-note": "[redacted]" });
      expect(new TextDecoder().decode(events[1]?.result?.body)).toBe(
        '{"id":"b","cents":1,"fail":false,"secret":"[redacted]"}',
      );
      expect(changedBodies).toMatchObject([{ body: expect.stringContaining('"cents":2') }]);
      // Its handler has run with what was received.
      expect(effects[0]?.note).toBe(SECRET);
    });

    test("a repeat of the bytes as received differs from nothing", async () => {
      await using it = await openEngine(harness);
      expect(await said(it, [secretly("a"), secretly("a")])).toEqual(["processed", "duplicate"]);
    });

    test("an unhandled event is whole until it is applied by a delivery or a job", async () => {
      await using it = await openEngine(harness);
      await it.commit([secretly("a"), secretly("b")], none);
      expect(await places(it)).toEqual(["a: body", "b: body"]);
      expect(await said(it, [apply("a", { source }), secretly("b")])).toEqual(["processed", "processed"]);
      expect(await places(it)).toEqual([]);
    });

    test("a failure is whole until a delivery, apply or a retry settles it", async () => {
      await using it = await openEngine(harness);
      const jobs = ["a", "b", "c"].map((id) => secretly(id, { fail: true }));
      expect(await said(it, jobs)).toEqual(Array.from(jobs, () => "failed handler_error"));
      expect(await places(it)).toEqual(["a: failure", "b: failure", "c: failure"]);
      const rest = [secretly("a", { fail: true }), apply("b", { source }), retry("c", { source })];
      expect(await said(it, rest, corrected)).toEqual(["processed", "processed", "processed"]);
      expect(await places(it)).toEqual([]);
    });

    test("a run that fails leaves the event whole", async () => {
      await using it = await openEngine(harness);
      await it.commit([secretly("a", { fail: true })], none);
      expect(await said(it, [apply("a", { source }), secretly("a", { fail: true })])).toEqual([
        "failed handler_error",
        "failed handler_error",
      ]);
      expect(await places(it)).toEqual(["a: body", "a: failure"]);
      await it.commit([apply("a", { source })], corrected);
      expect(await places(it)).toEqual([]);
    });

    test("an event that is discarded or imported loses its values", async () => {
      await using it = await openEngine(harness);
      await it.commit([secretly("a", { fail: true }), secretly("b", { fail: true })]);
      await it.commit([secretly("c"), secretly("d")], none);
      const events = ["b", "d"].map((id) => ({ id, type: "credit", at: 500 }));
      const imported = { kind: "import", source, events, at: 9000 } as const;
      await it.commit([discard("a", { source }), discard("c", { source }), imported]);
      expect(await places(it)).toEqual([]);
      expect((await it.contents()).events.map(({ outcome }) => outcome).toSorted()).toEqual([
        "discarded",
        "discarded",
        "imported",
        "imported",
      ]);
    });

    test("an event whose values were replaced is neither replayed, applied nor sent to a destination", async () => {
      await using it = await openEngine(harness);
      await it.commit([secretly("a"), deliver("whole", { source })]);
      await it.commit([secretly("b")], none);
      await it.commit([discard("b", { source })]);
      const afterAll = {
        kind: "apply",
        source,
        eventId: "b",
        at: 9000,
        isNamed: true,
        reason: "a test",
      } as const;
      const jobs = [
        replay("a", { source }),
        forward("a", "mail", { source }),
        afterAll,
        replay("whole", { source }),
        forward("whole", "mail", { source }),
      ];
      expect(await said(it, jobs)).toEqual([
        "failed event_redacted",
        "failed event_redacted",
        "failed event_redacted",
        "processed",
        "processed",
      ]);
      expect((await it.contents()).effects.map(({ eventId }) => eventId)).toEqual(["a", "whole", "whole"]);
    });

    test("the parts of a batch are stored alone, and the batch until its last event is done", async () => {
      await using it = await openEngine(harness);
      const batch = batchOf([
        ["a", { source: guardedBatch, note: SECRET }],
        ["b", { source: guardedBatch, note: SECRET, type: "other" }],
        ["c", { source: guardedBatch, note: SECRET, type: "other" }],
      ]);
      expect(await said(it, batch)).toEqual(["processed", "unhandled", "unhandled"]);
      expect(await places(it)).toEqual(["b: body", "c: body"]);
      await it.commit([discard("b", { source: guardedBatch })]);
      expect(await places(it)).toEqual(["b: body", "c: body"]);
      await it.commit([discard("c", { source: guardedBatch })]);
      expect(await places(it)).toEqual([]);
      const { events, bodies } = await it.contents();
      expect(bodies).toBe(3);
      expect(events.map(({ result }) => new TextDecoder().decode(result?.body))).toEqual(
        ["a", "b", "c"].map((id) => JSON.stringify({ id, cents: 1, fail: false })),
      );
      // The parts are the events, so that a repeat differs from none of them.
      expect(await said(it, batch)).toEqual(["duplicate", "duplicate", "duplicate"]);
    });

    test("an event of a batch that arrives after the others were split has a body, too", async () => {
      await using it = await openEngine(harness);
      const [a, b] = batchOf([
        ["a", { source: guardedBatch, note: SECRET, type: "other" }],
        ["b", { source: guardedBatch, note: SECRET, type: "other" }],
      ]) as [ReturnType<typeof deliver>, ReturnType<typeof deliver>];
      await it.commit([a]);
      await it.commit([discard("a", { source: guardedBatch })]);
      expect(await places(it)).toEqual([]);
      await it.commit([b]);
      expect(await places(it)).toEqual(["b: body"]);
      expect(await said(it, [apply("b", { source: guardedBatch })], { other: "credit" })).toEqual([
        "processed",
      ]);
      expect(await places(it)).toEqual([]);
      expect((await it.contents()).effects.map(({ eventId }) => eventId)).toEqual(["b"]);
    });

    test("a message keeps its event whole until it is delivered, discarded or removed", async () => {
      await using it = await openEngine(harness);
      const forwards = [{ destination: "app", takes: () => true, where: undefined }];
      const sending = { ...guarded, forwards };
      await it.commit(["a", "b", "c"].map((id) => secretly(id, { source: sending, at: 1000 })));
      expect(await places(it)).toEqual(["a: body", "b: body", "c: body"]);
      const reader = await it.engine.reader();
      const rowOf = async (id: string): Promise<number> => {
        const { items } = await reader.messages({ eventId: id }, undefined, 10);
        return items[0]?.row ?? 0;
      };
      const rows = { a: await rowOf("a"), b: await rowOf("b"), c: await rowOf("c") };
      await it.commit([
        {
          kind: "record",
          entries: [attempt(rows.a, "delivered"), attempt(rows.b, "dead"), attempt(rows.c, "dead")],
        },
      ]);
      expect(await places(it)).toEqual(["b: body", "c: body"]);
      await it.commit([{ kind: "message", action: "discard", message: rows.b, at: 3000, reason: "a test" }]);
      expect(await places(it)).toEqual(["c: body"]);
      const step: RetentionStep = { remove: "messages", before: 5000, deadBefore: 5000, after: 0 };
      await it.commit([{ kind: "retention", step, at: 10_000 }]);
      expect(await places(it)).toEqual([]);
      // Retention has removed the messages.
      const again = { kind: "message", action: "resend", message: rows.a, at: 4000 } as const;
      expect(await it.commit([again])).toMatchObject([{ changed: false }]);
    });

    test("a delivered message of an event without its values is not sent again", async () => {
      await using it = await openEngine(harness);
      const sending = { ...guarded, forwards: [{ destination: "app", takes: () => true, where: undefined }] };
      await it.commit([secretly("a", { source: sending })]);
      const reader = await it.engine.reader();
      const [message] = (await reader.messages({}, undefined, 10)).items;
      const row = message?.row ?? 0;
      await it.commit([{ kind: "record", entries: [attempt(row, "delivered")] }]);
      const again = { kind: "message", action: "resend", message: row, at: 4000 } as const;
      expect(await it.commit([again])).toMatchObject([
        { changed: false, isRedacted: true, state: "delivered" },
      ]);
    });

    test("an event under its earlier id is recognized, if the values are in its id or not", async () => {
      await using it = await openEngine(harness);
      await it.commit([secretly("old/a")]);
      // By the present rule, what is stored carries "a".
      expect(await said(it, [secretly("a", { earlierId: "old/a" })])).toEqual(["duplicate"]);
      const hashing = { ...guarded, typeOf: () => undefined };
      await it.commit([secretly("old/b", { source: hashing })]);
      const before = secretly("old/b", { source: hashing });
      const body = before.event.input.body;
      expect(await said(it, [deliver("b", { source: hashing, body, earlierId: "old/b" })])).toEqual([
        "duplicate",
      ]);
      expect((await it.contents()).effects).toHaveLength(2);
    });

    test("racing repeats of a failure settle it once, and leave no value", async () => {
      await using it = await openEngine(harness);
      await it.commit([secretly("a", { fail: true })]);
      const racing = [
        secretly("a", { fail: true }),
        apply("a", { source }),
        secretly("a"),
        retry("a", { source }),
      ];
      const answers = await said(it, racing, corrected);
      expect(answers.filter((answer) => answer.startsWith("processed"))).toHaveLength(1);
      expect(await places(it)).toEqual([]);
      expect((await it.contents()).effects).toHaveLength(1);
    });
  });
}
