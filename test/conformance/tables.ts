import { describe, expect, test } from "bun:test";
import type { EngineHarness } from "./harness.ts";
import { apply, batchOf, deliver } from "./jobs.ts";
import { openEngine } from "./open-engine.ts";
import { corrected, none } from "./scenarios/scenario.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** What exactly the tables hold: SEMANTICS.md, "Tables". */
export function createTableTests(name: string, harness: EngineHarness): void {
  describe(`${name} stores`, () => {
    test("an event with its body, its headers and its result, and nothing else", async () => {
      await using it = await openEngine(harness);
      const body = '{"cents":7, "id":"a"}';
      await it.commit([deliver("a", { body, at: 1234, note: "hello" })]);
      expect(await it.contents()).toEqual({
        effects: [
          { eventId: "a", type: "credit", source: "shop", receivedAt: 1234, cents: 7, note: "hello" },
        ],
        events: [
          {
            source: "shop",
            eventId: "a",
            type: "credit",
            outcome: "processed",
            handler: "handlers/shop/credit.sql",
            receivedAt: 1234,
            deliveries: 1,
            lastDeliveryAt: 1234,
            changedBodies: 0,
            result: {
              body: bytes(body),
              headers: { "x-note": "hello" },
              rowsChanged: 1,
              handlerHash: "credit 1",
              reply: null,
            },
          },
        ],
        failures: [],
        deliveries: [],
        changedBodies: [],
        bodies: 1,
      });
    });

    test("the bytes of a body that is not text", async () => {
      await using it = await openEngine(harness);
      const body = Uint8Array.from({ length: 256 }, (_, n) => n);
      await it.commit([deliver("a", { body }), deliver("a", { body })]);
      const { events } = await it.contents();
      expect(events[0]?.result?.body).toEqual(body);
      expect(events[0]).toMatchObject({ deliveries: 2, changedBodies: 0 });
    });

    test("an unhandled event with its body and an empty result, which apply fills in", async () => {
      await using it = await openEngine(harness);
      const body = '{"cents":7}';
      await it.commit([deliver("a", { type: "reply", body, at: 1000 })], none);
      const stored = { body: bytes(body), headers: {} };
      expect((await it.contents()).events[0]).toMatchObject({
        outcome: "unhandled",
        handler: null,
        result: { ...stored, rowsChanged: 0, handlerHash: null, reply: null },
      });
      await it.commit([apply("a", { at: 5000 })]);
      const { events, effects } = await it.contents();
      expect(events[0]).toMatchObject({
        outcome: "processed",
        handler: "handlers/shop/reply.ts",
        receivedAt: 1000,
        deliveries: 1,
        lastDeliveryAt: 1000,
        result: { ...stored, rowsChanged: 1, handlerHash: "reply 1", reply: { status: 201, body: "a: 7" } },
      });
      expect(effects).toMatchObject([{ receivedAt: 1000 }]);
    });

    test("a failure with its cause, its latest body and its first receipt, and no body or result", async () => {
      await using it = await openEngine(harness);
      await it.commit([
        deliver("a", { type: "reply", fail: true, cents: 1, at: 1000 }),
        deliver("a", { type: "reply", fail: true, cents: 2, at: 2000 }),
        apply("a", { at: 3000 }),
      ]);
      const { failures, ...rest } = await it.contents();
      expect(failures).toEqual([
        {
          source: "shop",
          eventId: "a",
          type: "reply",
          handler: "handlers/shop/reply.ts",
          code: "handler_error",
          error: "a is refused",
          attempts: 3,
          deliveries: 2,
          firstAt: 1000,
          lastAt: 2000,
          body: '{"id":"a","cents":2,"fail":true}',
          settled: false,
          retried: false,
        },
      ]);
      expect(rest).toMatchObject({ effects: [], events: [], changedBodies: [], bodies: 0 });
    });

    test("the time of the first receipt of an event that failed before a delivery or apply applied it", async () => {
      await using it = await openEngine(harness);
      const failing = ["a", "b"].map((id) => deliver(id, { fail: true, at: 1000 }));
      await it.commit(failing);
      await it.commit([deliver("a", { fail: true, at: 2000 }), apply("b", { at: 3000 })], corrected);
      const { events, effects } = await it.contents();
      expect(events).toMatchObject([
        { eventId: "a", receivedAt: 1000, lastDeliveryAt: 2000, deliveries: 2 },
        { eventId: "b", receivedAt: 1000, lastDeliveryAt: 1000, deliveries: 1 },
      ]);
      expect(effects).toMatchObject([
        { eventId: "a", receivedAt: 1000 },
        { eventId: "b", receivedAt: 1000 },
      ]);
    });

    test("of a failed event of a batch its own part, not the batch", async () => {
      await using it = await openEngine(harness);
      await it.commit(batchOf([["a"], ["b", { fail: true }]]));
      await it.commit([apply("b")], corrected);
      const { failures, events } = await it.contents();
      expect(failures[0]?.body).toBe('{"id":"b","cents":1,"fail":true}');
      expect(events[1]?.result?.body).toEqual(bytes('{"id":"b","cents":1,"fail":true}'));
    });

    test("the latest of the bodies that differed", async () => {
      await using it = await openEngine(harness);
      await it.commit([1, 2, 3, 1].map((cents) => deliver("a", { cents })));
      const { changedBodies, events } = await it.contents();
      expect(changedBodies).toEqual([{ eventId: "a", body: '{"id":"a","cents":3,"fail":false}' }]);
      expect(events[0]?.result?.body).toEqual(bytes('{"id":"a","cents":1,"fail":false}'));
    });

    test("an error text without what its database refuses", async () => {
      await using it = await openEngine(harness);
      await it.commit([deliver("a", { type: "oddError" })]);
      expect((await it.contents()).failures[0]?.error).toMatch(/^odd .+ text /);
    });
  });

  const firstAndLatestTen = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25];

  describe(`${name} keeps the first ten and the latest ten deliveries`, () => {
    test("of a processed event", async () => {
      await using it = await openEngine(harness);
      const jobs = Array.from({ length: 25 }, (_, n) =>
        deliver("a", { cents: n < 20 ? 1 : 2, at: 1000 + n }),
      );
      await it.commit([...jobs, deliver("b")]);
      const { deliveries } = await it.contents();
      expect(deliveries.map(({ number }) => number)).toEqual(firstAndLatestTen);
      expect(deliveries[0]).toEqual({
        eventId: "a",
        number: 1,
        at: 1000,
        outcome: "processed",
        changedBody: false,
      });
      expect(deliveries[1]).toEqual({
        eventId: "a",
        number: 2,
        at: 1001,
        outcome: "duplicate",
        changedBody: false,
      });
      expect(deliveries.at(-1)).toEqual({
        eventId: "a",
        number: 25,
        at: 1024,
        outcome: "duplicate",
        changedBody: true,
      });
    });

    test("of an event that failed for long", async () => {
      await using it = await openEngine(harness);
      const failing = Array.from({ length: 24 }, (_, n) => deliver("a", { fail: true, at: 1000 + n }));
      await it.commit([...failing, apply("a"), deliver("a", { at: 2000 })]);
      const { deliveries, events } = await it.contents();
      expect(deliveries.map(({ number }) => number)).toEqual(firstAndLatestTen);
      expect(new Set(deliveries.slice(0, -1).map(({ outcome }) => outcome))).toEqual(new Set(["failed"]));
      expect(deliveries.at(-1)).toEqual({
        eventId: "a",
        number: 25,
        at: 2000,
        outcome: "processed",
        changedBody: false,
      });
      expect(events).toMatchObject([{ deliveries: 25 }]);
    });

    test("with the answer that each was given, however the event was applied", async () => {
      await using it = await openEngine(harness);
      await it.commit([deliver("a"), deliver("b"), deliver("c"), deliver("d", { fail: true })], none);
      await it.commit([deliver("a"), apply("b"), deliver("b"), apply("c")]);
      const { deliveries } = await it.contents();
      expect(deliveries.map(({ eventId, number, outcome }) => `${eventId} ${number} ${outcome}`)).toEqual([
        "a 1 unhandled",
        "a 2 processed",
        "b 1 unhandled",
        "b 2 duplicate",
        "c 1 unhandled",
      ]);
    });
  });
}
