import { describe, expect, test } from "bun:test";
import type { EventSource, Job } from "../../src/engines/engine.ts";
import { LONGEST_WAIT_MS, type Forward, type ListedMessage } from "../../src/engines/outbox.ts";
import type { AttemptNext, Entry } from "../../src/engines/records.ts";
import type { EngineHarness } from "./harness.ts";
import {
  apply,
  batchOf,
  deliver,
  discard,
  forward,
  importOf,
  inWords,
  replay,
  retry,
  sourceWith,
} from "./jobs.ts";
import { openEngine, type OpenEngine } from "./open-engine.ts";
import { none } from "./scenarios/scenario.ts";

const to = (destination: string, where?: string, type?: string): Forward => ({
  destination,
  takes: (one) => type === undefined || one === type,
  where,
});

const sending = (...forwards: readonly Forward[]): EventSource => sourceWith({ forwards });

const toApp = sending(to("app"));

/** Every message as `destination event state`, in the order written. */
async function messages(it: OpenEngine): Promise<string[]> {
  return (await listed(it)).map(({ destination, eventId, state }) => `${destination} ${eventId} ${state}`);
}

async function listed(it: OpenEngine): Promise<ListedMessage[]> {
  const { items } = await (await it.engine.reader()).messages({}, undefined, 1000);
  return items.toReversed();
}

async function outcomes(it: OpenEngine, jobs: Parameters<OpenEngine["commit"]>[0], types = {}) {
  return (await it.commit(jobs, types)).map((result) => inWords(result));
}

const credit = { credit: "credit", other: "credit" } as const;

/** An event whose TypeScript handler enqueues a message with its own id. */
const welcome = (id: string, destination: string) =>
  deliver(id, { type: "code", body: JSON.stringify({ to: destination, id: "welcome" }) });

/** Writes one message. */
async function one(it: OpenEngine): Promise<ListedMessage> {
  await it.commit([deliver("a", { source: toApp, at: 1000 })], credit);
  return (await listed(it))[0] as ListedMessage;
}

function record(entry: Entry): Job {
  return { kind: "record", entries: [entry] };
}

const attempt = (message: number, next: AttemptNext, status = 200): Job =>
  record({ entry: "attempt", message, at: 2000, ms: 5, status, error: null, answer: "ok", next });

const turned = (state: "open" | "paused"): Job =>
  record({ entry: "destination", name: "app", state, reason: "410", at: 7 });

/** When messages are written, and when not. */
export function createOutboxTests(name: string, harness: EngineHarness): void {
  const { sql } = harness.dialect;

  describe(`${name}: messages`, () => {
    test("are written once for each destination, whether deliveries repeat or race", async () => {
      await using it = await openEngine(harness);
      const source = sending(to("app"), to("deploy"), to("app", "1"));
      const one = deliver("a", { source });
      await it.commit([one, one, deliver("b", { source })], credit);
      await it.commit([one], credit);
      expect(await messages(it)).toEqual([
        "app a waiting",
        "deploy a waiting",
        "app b waiting",
        "deploy b waiting",
      ]);
    });

    test("have an id that depends on the source, the event and the destination alone", async () => {
      const ids = [];
      for (let round = 0; round < 2; round++) {
        await using it = await openEngine(harness);
        await it.commit(
          [deliver("a", { source: toApp, cents: round }), deliver("b", { source: toApp })],
          credit,
        );
        ids.push((await listed(it)).map(({ id }) => id));
      }
      expect(ids[0]).toEqual(ids[1] as string[]);
      expect(new Set(ids.flat()).size).toBe(2);
      expect(ids.flat().every((id) => /^msg_[a-z2-7]{52}$/.test(id))).toBe(true);
    });

    test("are chosen by type and by where", async () => {
      await using it = await openEngine(harness);
      const source = sending(
        to("large", sql.isLarge),
        to("others", undefined, "other"),
        to("never", "null"),
        to("named", ":event_id = 'a' and :type = 'credit' and :source = 'shop' and :received_at = 1000"),
      );
      const all = [
        deliver("a", { source, cents: 1 }),
        deliver("b", { source, cents: 11 }),
        deliver("c", { source, type: "other" }),
      ];
      await it.commit(all, credit);
      expect(await messages(it)).toEqual(["named a waiting", "large b waiting", "others c waiting"]);
    });

    test("of a failed event are not written, until it is applied", async () => {
      await using it = await openEngine(harness);
      const source = toApp;
      const good = [deliver("b", { source }), deliver("c", { source })];
      await it.commit([deliver("a", { source, fail: true }), ...good], credit);
      expect(await messages(it)).toEqual(["app b waiting", "app c waiting"]);
      await it.commit([retry("a", { source }), apply("a", { source })], credit);
      expect(await messages(it)).toHaveLength(2);
      await it.commit([apply("a", { source }), deliver("a", { source, fail: true })], {
        credit: "writeEffect",
      });
      expect(await messages(it)).toEqual(["app b waiting", "app c waiting", "app a waiting"]);
    });

    test("are not written for ignored, imported, unhandled and discarded events", async () => {
      await using it = await openEngine(harness);
      await it.commit([deliver("u"), deliver("d")], none);
      await it.commit([discard("d"), importOf("i")], none);
      const source = sending(to("app", "0"));
      expect(await outcomes(it, [deliver("x", { source })])).toEqual(["ignored"]);
      expect(await messages(it)).toEqual([]);
    });

    test("are written for an event without a handler, which is processed then", async () => {
      await using it = await openEngine(harness);
      expect(await outcomes(it, [deliver("a", { source: toApp }), deliver("a", { source: toApp })])).toEqual([
        "processed",
        "duplicate",
      ]);
      expect((await it.contents()).events).toMatchObject([
        { outcome: "processed", handler: null, deliveries: 2 },
      ]);
      expect(await messages(it)).toEqual(["app a waiting"]);
    });

    test.each(["record", "ignore", "fail"] as const)(
      'without a handler and with unhandled = "%s", an event that no destination takes is ignored',
      async (unhandled) => {
        await using it = await openEngine(harness);
        const source = sourceWith({ unhandled, forwards: [to("app", undefined, "other")] });
        expect(
          await outcomes(it, [deliver("a", { source }), deliver("b", { source, type: "other" })]),
        ).toEqual(["ignored", "processed"]);
        expect(await messages(it)).toEqual(["app b waiting"]);
      },
    );

    test("of an event that was unhandled are written when it is applied or delivered again", async () => {
      await using it = await openEngine(harness);
      await it.commit([deliver("a"), deliver("b"), deliver("c")], none);
      const source = sending(to("app", ":event_id <> 'c'"));
      expect(
        await outcomes(it, [apply("a", { source }), deliver("b", { source }), apply("c", { source })]),
      ).toEqual(["processed", "processed", "ignored"]);
      expect(await messages(it)).toEqual(["app a waiting", "app b waiting"]);
      expect(await outcomes(it, [apply("a", { source }), deliver("c", { source })])).toEqual([
        "duplicate",
        "duplicate",
      ]);
      expect(await messages(it)).toHaveLength(2);
    });

    test("of a failure whose handler is gone are written when somebody applies it by its id", async () => {
      await using it = await openEngine(harness);
      const source = sending(to("app", ":event_id <> 'b'"));
      await it.commit([deliver("a", { source, fail: true }), deliver("b", { source, fail: true })], credit);
      const named = (id: string) => ({ ...apply(id, { source }), isNamed: true }) as Job;
      expect(await outcomes(it, [apply("a", { source }), named("a"), named("b")])).toEqual([
        "failed no_handler",
        "processed",
        "failed no_handler",
      ]);
      expect(await messages(it)).toEqual(["app a waiting"]);
    });

    test.each([
      ["its own retry", (source: EventSource) => retry("a", { source })],
      ["another delivery", (source: EventSource) => deliver("a", { source, fail: true })],
    ])("%s does not close a failure whose handler is gone and that nothing takes", async (_, again) => {
      await using it = await openEngine(harness);
      const source = sending(to("app", "0"));
      await it.commit([deliver("a", { source, fail: true })], credit);
      expect(await outcomes(it, [again(source), again(source)])).toEqual([
        "failed no_handler",
        "failed no_handler",
      ]);
      // With its handler it runs again.
      expect(await outcomes(it, [retry("a", { source })], { credit: "writeEffect" })).toEqual(["processed"]);
    });

    test("of a replay have other ids, and are written once for each job", async () => {
      await using it = await openEngine(harness);
      const source = toApp;
      await it.commit([deliver("a", { source })], credit);
      await it.commit([replay("a", { source }), replay("a", { source })], credit);
      await it.commit([replay("a", { source, job: "job 2" })], credit);
      const ids = (await listed(it)).map(({ id }) => id);
      expect(ids).toHaveLength(3);
      expect(new Set(ids).size).toBe(3);
    });

    test("are written for a stored event that is sent again, once for each job, and no handler runs", async () => {
      await using it = await openEngine(harness);
      await it.commit([deliver("a")], credit);
      const jobs = [forward("a", "new"), forward("a", "new"), forward("missing", "new")];
      expect(await outcomes(it, jobs)).toEqual(["processed", "processed", "duplicate"]);
      await it.commit([forward("a", "new", { job: "job 2" })]);
      expect(await messages(it)).toEqual(["new a waiting", "new a waiting"]);
      expect((await it.contents()).effects).toHaveLength(1);
    });

    test("of each event of a batch are written for it alone", async () => {
      await using it = await openEngine(harness);
      const source = sourceWith({ ...batchOf([["x"]])[0]?.event.source, forwards: [to("app")] });
      await it.commit(
        batchOf([
          ["a", { source }],
          ["b", { source, fail: true }],
          ["c", { source }],
        ]),
        credit,
      );
      expect(await messages(it)).toEqual(["app a waiting", "app c waiting"]);
      const reader = await it.engine.reader();
      const [first] = await listed(it);
      const stored = await reader.message(first?.row ?? 0);
      expect(JSON.parse(Buffer.from(stored?.delivery?.body ?? []).toString())).toHaveLength(3);
    });

    test("a where that fails makes the event a failure, and its batch-mates are applied", async () => {
      await using it = await openEngine(harness);
      const source = sending(to("app", sql.failingCondition));
      const results = await outcomes(it, [deliver("a", { source }), deliver("b")], credit);
      expect(results).toEqual(["failed where_failed", "processed"]);
      const without = await outcomes(it, [deliver("c", { source })]);
      expect(without).toEqual(["failed where_failed"]);
      expect(await messages(it)).toEqual([]);
      expect((await it.contents()).failures.map(({ error }) => error)[0]).toStartWith(
        'The where for the destination "app" failed: ',
      );
    });
  });

  describe(`${name}: a where that fails`, () => {
    const broken = sending(to("app", sql.failingCondition));

    test.each([credit, none])(
      "never makes a failure of an event that is recorded (handlers: %j)",
      async (types) => {
        await using it = await openEngine(harness);
        await it.commit([deliver("a", { source: toApp })], types);
        expect(await outcomes(it, [deliver("a", { source: broken })], types)).toEqual(["duplicate"]);
        expect((await it.contents()).failures).toEqual([]);
      },
    );

    test("makes a failure of an unhandled event, which is applied once it is corrected", async () => {
      await using it = await openEngine(harness);
      await it.commit([deliver("a")], none);
      expect(await outcomes(it, [deliver("a", { source: broken })])).toEqual(["failed where_failed"]);
      expect(await outcomes(it, [apply("a", { source: toApp })])).toEqual(["processed"]);
      expect(await messages(it)).toEqual(["app a waiting"]);
    });
  });

  describe(`${name}: messages that handlers enqueue`, () => {
    const types = { credit: "enqueue", code: "enqueueTs" } as const;

    test("in SQL are written with the event, and none if it fails", async () => {
      await using it = await openEngine(harness);
      const results = await outcomes(it, [deliver("a"), deliver("b", { fail: true }), deliver("a")], types);
      expect(results).toEqual(["processed", "failed handler_error", "duplicate"]);
      expect(await messages(it)).toEqual(["mail a waiting", "mail a waiting"]);
      expect(new Set((await listed(it)).map(({ id }) => id)).size).toBe(2);
      const reader = await it.engine.reader();
      const bodies = (await listed(it)).map(async ({ row }) => (await reader.message(row))?.enqueued?.body);
      const [payload, second] = (await Promise.all(bodies)).map((body) => Buffer.from(body ?? []).toString());
      // A database may write JSON in another form.
      expect(JSON.parse(payload ?? "")).toEqual({ id: "a", cents: 1, fail: false });
      expect(second).toBe("second");
    });

    test("in TypeScript keep their bodies and headers, digit for digit and byte for byte", async () => {
      await using it = await openEngine(harness);
      const body = JSON.stringify({ to: "mail" });
      await it.commit([deliver("a", { type: "code", body })], types);
      const reader = await it.engine.reader();
      const stored = await Promise.all((await listed(it)).map(async ({ row }) => reader.message(row)));
      const seen = stored.map((one) => [
        one?.enqueued?.headers,
        Buffer.from(one?.enqueued?.body ?? []).toString("latin1"),
      ]);
      expect(seen).toEqual([
        [{ "content-type": "application/json", "x-note": "one" }, '{"hello":"a","large":9007199254740993}'],
        [{ "content-type": "text/x-note" }, "text"],
        [{ "content-type": "application/octet-stream" }, "\0ÿ"],
      ]);
      expect(stored.every((one) => one?.eventId === "a" && one.source === "shop")).toBe(true);
    });

    test("in TypeScript with an id of their own are written once for a destination", async () => {
      await using it = await openEngine(harness);
      await it.commit([welcome("a", "mail"), welcome("b", "mail"), welcome("c", "other")], types);
      const own = (await listed(it)).filter(({ id }) => id === "welcome");
      expect(own.map(({ destination, eventId }) => `${destination} ${eventId}`)).toEqual([
        "mail a",
        "other c",
      ]);
      expect(await listed(it)).toHaveLength(3 + 2 + 3);
    });

    test.each([
      ["a blank in its id", { to: "mail", id: "a b" }, "message_invalid"],
      ["an empty id", { to: "mail", id: "" }, "message_invalid"],
    ])("with %s fail the event", async (_what, body, code) => {
      await using it = await openEngine(harness);
      const results = await outcomes(it, [deliver("a", { type: "code", body: JSON.stringify(body) })], types);
      expect(results).toEqual([`failed ${code}`]);
      expect(await messages(it)).toEqual([]);
    });

    test("of a failing TypeScript handler are undone, also for the next event", async () => {
      await using it = await openEngine(harness);
      const fails = deliver("a", { type: "code", body: JSON.stringify({ to: "mail", fail: true }) });
      expect(await outcomes(it, [fails, deliver("b")], types)).toEqual(["failed handler_error", "processed"]);
      expect(await messages(it)).toEqual(["mail b waiting", "mail b waiting"]);
    });
  });

  describe(`${name}: what becomes of a message`, () => {
    test("it is due at once, and not once it is settled", async () => {
      await using it = await openEngine(harness);
      const { row } = await one(it);
      const reader = await it.engine.reader();
      expect(await reader.dueMessages("app", 1000, 10)).toEqual([{ row, nextAt: 1000 }]);
      expect(await reader.dueMessages("app", 999, 10)).toEqual([]);
      expect(await reader.dueMessages("other", 5000, 10)).toEqual([]);
      await it.commit([attempt(row, { state: "waiting", nextAt: 3000 }, 500)]);
      expect(await reader.dueMessages("app", 2999, 10)).toEqual([]);
      expect(await reader.nextDue("app")).toBe(3000);
      // A time that no schedule sets was set while the clock was ahead.
      expect(await reader.dueMessages("app", 3000 - LONGEST_WAIT_MS, 10)).toEqual([]);
      expect(await reader.dueMessages("app", 2999 - LONGEST_WAIT_MS, 10)).toEqual([{ row, nextAt: 3000 }]);
      await it.commit([attempt(row, { state: "delivered" })]);
      expect(await reader.dueMessages("app", 99_000, 10)).toEqual([]);
      expect(await reader.messageDetails((await listed(it))[0]?.id ?? "")).toMatchObject([
        {
          state: "delivered",
          attempts: 2,
          lastStatus: 200,
          settledAt: 2005,
          nextAt: null,
          kept: [
            { number: 1, status: 500 },
            { number: 2, status: 200, answer: "ok" },
          ],
        },
      ]);
    });

    test("the latest ten attempts are kept", async () => {
      await using it = await openEngine(harness);
      const { row, id } = await one(it);
      for (let n = 0; n < 13; n++)
        await it.commit([attempt(row, { state: "waiting", nextAt: 3000 + n }, 500)]);
      const [detail] = await (await it.engine.reader()).messageDetails(id);
      expect(detail?.kept.map(({ number }) => number)).toEqual([4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
      expect(detail?.attempts).toBe(13);
    });

    test("one that is discarded while it is sent stays discarded, and its attempt is kept", async () => {
      await using it = await openEngine(harness);
      const { row, id } = await one(it);
      const give = {
        kind: "message",
        action: "discard",
        message: row,
        at: 1500,
        reason: "not needed",
      } as const;
      expect(await outcomes(it, [give, attempt(row, { state: "delivered" }), give])).toEqual([
        "now discarded",
        "recorded",
        "still discarded",
      ]);
      expect(await (await it.engine.reader()).messageDetails(id)).toMatchObject([
        { state: "discarded", reason: "not needed", kept: [{ number: 1 }] },
      ]);
    });

    test("one that is dead or delivered can be sent again, and begins its tries anew", async () => {
      await using it = await openEngine(harness);
      const { row } = await one(it);
      const again = { kind: "message", action: "resend", message: row, at: 5000 } as const;
      const reader = await it.engine.reader();
      for (const state of ["dead", "delivered"] as const) {
        await it.commit([attempt(row, { state }, 500)]);
        expect(await outcomes(it, [again])).toEqual(["now waiting"]);
        expect(await reader.message(row)).toMatchObject({ tries: 0, since: 5000, state: "waiting" });
        expect(await reader.dueMessages("app", 5000, 10)).toHaveLength(1);
      }
      const gone = { ...again, message: row + 1 };
      expect(await outcomes(it, [gone])).toEqual(["still null"]);
    });

    test("a command that is running counts, and can be found after a crash", async () => {
      await using it = await openEngine(harness);
      const { row, id } = await one(it);
      const run = { pid: 7, startedAt: "123", bootId: "boot" };
      const started = { entry: "command started", message: row, run } as const;
      await it.commit([{ kind: "record", entries: [{ ...started, run: null }, started] }]);
      const reader = await it.engine.reader();
      expect(await reader.cutCommands()).toEqual([{ row, id, destination: "app", attempts: 1, run }]);
      expect(await reader.dueMessages("app", 9000, 10)).toEqual([]);
      await it.commit([attempt(row, { state: "interrupted", nextAt: 2000 })]);
      expect(await reader.cutCommands()).toEqual([]);
      expect(await reader.message(row)).toMatchObject({ state: "interrupted", attempts: 1, tries: 0 });
      expect(await reader.dueMessages("app", 9000, 10)).toHaveLength(1);
    });

    test("a command whose message was discarded meanwhile does not start", async () => {
      await using it = await openEngine(harness);
      const { row, id } = await one(it);
      await it.commit([{ kind: "message", action: "discard", message: row, at: 1500, reason: "no" }]);
      const started = record({ entry: "command started", message: row, run: null });
      expect(await it.commit([started])).toMatchObject([{ code: "not_owed" }]);
      expect(await (await it.engine.reader()).messageDetails(id)).toMatchObject([
        { state: "discarded", attempts: 0 },
      ]);
    });

    test("how much a destination has is counted by state, with the oldest", async () => {
      await using it = await openEngine(harness);
      const source = sending(to("app"), to("deploy"));
      for (let n = 0; n < 4; n++) await it.commit([deliver(`e${n}`, { source, at: 1000 + n })], credit);
      const rows = (await listed(it)).filter(({ destination }) => destination === "app");
      await it.commit([
        attempt(rows[0]?.row ?? 0, { state: "dead" }),
        attempt(rows[1]?.row ?? 0, { state: "delivered" }),
      ]);
      const depths = await (await it.engine.reader()).depths(3);
      expect(depths).toEqual([
        { destination: "app", state: "waiting", count: 2, capped: false, oldestAt: 1002 },
        { destination: "app", state: "dead", count: 1, capped: false, oldestAt: 1000 },
        { destination: "deploy", state: "waiting", count: 3, capped: true, oldestAt: 1000 },
      ]);
    });

    test("lists page from the newest, by destination, state, event and time", async () => {
      await using it = await openEngine(harness);
      const source = sending(to("app"), to("deploy"));
      for (let n = 0; n < 5; n++) await it.commit([deliver(`e${n}`, { source, at: 1000 + n })], credit);
      const reader = await it.engine.reader();
      const found: string[] = [];
      let before: number | undefined;
      do {
        const page = await reader.messages({ destination: "app" }, before, 2);
        found.push(...page.items.map(({ eventId }) => eventId));
        before = page.next;
      } while (before !== undefined);
      expect(found).toEqual(["e4", "e3", "e2", "e1", "e0"]);
      const idsOf = async (filter: object) =>
        (await reader.messages(filter, undefined, 10)).items.map(
          ({ eventId, destination }) => `${eventId} ${destination}`,
        );
      expect(await idsOf({ eventId: "e1" })).toEqual(["e1 deploy", "e1 app"]);
      expect(await idsOf({ since: 1003, until: 1004 })).toEqual(["e3 deploy", "e3 app"]);
      expect(await idsOf({ state: "dead" })).toEqual([]);
      expect(await idsOf({ source: "other" })).toEqual([]);
      expect((await reader.messagesOf("shop", "e2", 10)).map(({ destination }) => destination)).toEqual([
        "app",
        "deploy",
      ]);
    });

    test("destinations that are paused are remembered", async () => {
      await using it = await openEngine(harness);
      await it.commit([turned("paused")]);
      await it.reopen();
      expect(await (await it.engine.reader()).paused()).toEqual([
        { destination: "app", reason: "410", since: 7 },
      ]);
      await it.commit([turned("open")]);
      expect(await (await it.engine.reader()).paused()).toEqual([]);
    });
  });
}
