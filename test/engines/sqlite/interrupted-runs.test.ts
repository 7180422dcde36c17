import { Database } from "bun:sqlite";
import { beforeEach, describe, expect, test } from "bun:test";
import { createInterruptedRuns, recoverRuns } from "../../../src/engines/sqlite/interrupted-runs.ts";
import { migrate, ownSet } from "../../../src/engines/sqlite/migrations.ts";
import { ownMigrations } from "../../../src/engines/sqlite/own-migrations.ts";
import type { Left, MarkedRun } from "../../../src/engines/marker.ts";

let db: Database;
let tokens = 0;
beforeEach(() => {
  db = new Database(":memory:", { strict: true });
  migrate(db, ownSet(ownMigrations), 1);
});

function run(change: Partial<MarkedRun> = {}): MarkedRun {
  return {
    token: String(++tokens),
    source: "shop",
    eventId: "one",
    type: "paid",
    handler: "handlers/shop/paid.ts",
    handlerHash: "1",
    receivedAt: 1000,
    delivery: { headersJson: "{}", body: Buffer.from("body"), element: false },
    ...change,
  };
}

const recover = (left: Partial<Left>) =>
  recoverRuns(db, { killed: true, run: undefined, verdict: undefined, ...left }).map(({ code }) => code);
const interrupted = () => db.query("select event_id, ends, code from hookonce_interrupted_runs").all();
const failures = () =>
  db
    .query(
      "select event_id, code, handler_hash, attempts, deliveries, cast(last_body as text) as body from hookonce_failures",
    )
    .all();

/** How many ends it takes until this event's handler is blamed. */
function endsUntilBlamed(): number {
  for (let ends = 1; ; ends++) if (recover({ run: run({ eventId: "victim" }) })[0] !== null) return ends;
}

describe("a start after the process was killed", () => {
  test("makes the event of a verdict a failure", () => {
    expect(recover({ verdict: run() })).toEqual(["handler_timeout"]);
    expect(failures()).toEqual([
      {
        event_id: "one",
        code: "handler_timeout",
        handler_hash: "1",
        attempts: 1,
        deliveries: 1,
        body: "body",
      },
    ]);
    expect(db.query("select number, at, outcome from hookonce_deliveries").all()).toEqual([
      { number: 1, at: 1000, outcome: "failed" },
    ]);
  });

  test("leaves it to the next delivery whether the run was that of another event with an id that is recorded", () => {
    db.run(`insert into hookonce_events (source, event_id, type, received_at, outcome, last_delivery_at)
      values ('shop', 'one', 'paid', 500, 'processed', 500)`);
    expect(recover({ verdict: run() })).toEqual(["handler_timeout"]);
    expect(interrupted()).toEqual([{ event_id: "one", ends: 0, code: "handler_timeout" }]);
    expect(failures()).toEqual([]);
    // Its own run is done.
    expect(recover({ verdict: run({ receivedAt: 500 }) })).toEqual(["handler_timeout"]);
    expect(db.query("select outcome, era from hookonce_events").all()).toEqual([
      { outcome: "processed", era: 0 },
    ]);
  });

  test("counts a run once, even if it was itself killed before it had emptied the marker", () => {
    const left = { run: run() };
    expect([recover(left), recover(left), recover(left)]).toEqual([[null], [], []]);
    expect(interrupted()).toEqual([{ event_id: "one", ends: 1, code: null }]);
    const verdict = { verdict: run({ eventId: "two" }), run: run({ eventId: "two" }) };
    recover(verdict);
    recover(verdict);
    expect(failures()).toMatchObject([{ event_id: "two", attempts: 1 }]);
  });

  test("blames the handler at the second time", () => {
    expect([recover({ run: run() }), recover({ run: run() })]).toEqual([[null], ["handler_died"]]);
    expect(interrupted()).toEqual([]);
    expect(failures()).toMatchObject([{ code: "handler_died", handler_hash: "1" }]);
  });

  test("begins to count again when the handler has changed", () => {
    recover({ run: run() });
    expect(recover({ run: run({ handlerHash: "2" }) })).toEqual([null]);
    expect(recover({ run: run({ handlerHash: "2" }) })).toEqual(["handler_died"]);
  });

  test("takes the verdict for the marked run, and another marked run for another", () => {
    const hung = run();
    expect(recover({ verdict: hung, run: hung })).toEqual(["handler_timeout"]);
    expect(recover({ verdict: run({ eventId: "two" }), run: run({ eventId: "three" }) })).toEqual([
      "handler_timeout",
      null,
    ]);
  });

  test("leaves a run to its next delivery if its body was too large", () => {
    recover({ verdict: run({ delivery: undefined }) });
    expect(failures()).toEqual([]);
    expect(interrupted()).toEqual([{ event_id: "one", ends: 0, code: "handler_timeout" }]);
  });

  test("counts another attempt of an event that is a failure already", () => {
    recover({ verdict: run() });
    recover({ verdict: run({ handlerHash: "2", delivery: undefined }) });
    expect(failures()).toMatchObject([
      { code: "handler_timeout", handler_hash: "2", attempts: 2, deliveries: 1 },
    ]);
  });

  test("makes a failure of an event that was held, so that its source can go on", () => {
    db.run(
      `insert into hookonce_events (id, source, event_id, type, received_at, outcome, last_delivery_at)
       values (1, 'shop', 'one', 'paid', 1000, 'held', 1000)`,
    );
    db.run(`insert into hookonce_bodies (id, received_at, headers, bytes) values (1, 1000, '{}', x'61')`);
    db.run("insert into hookonce_results (event, body) values (1, 1)");
    const outcome = () => db.query("select outcome from hookonce_events").values();
    // Nobody is blamed for the first end: it is run again.
    expect(recover({ run: run({ delivery: undefined }) })).toEqual([null]);
    expect([outcome(), failures()]).toEqual([[["held"]], []]);
    expect(recover({ verdict: run({ delivery: undefined }) })).toEqual(["handler_timeout"]);
    expect(outcome()).toEqual([["unhandled"]]);
    expect(failures()).toMatchObject([{ event_id: "one", code: "handler_timeout", body: "a" }]);
    expect(interrupted()).toEqual([]);
  });

  test.each(["held", "unhandled"])("keeps of a batch only the part of its %s event", (outcome) => {
    for (const [id, event] of ["one", "two"].entries()) {
      db.run(
        `insert into hookonce_events (id, source, event_id, type, received_at, outcome, last_delivery_at)
         values (?, 'shop', ?, 'paid', 1000, ?, 1000)`,
        [id + 1, event, outcome],
      );
      db.run("insert into hookonce_results (event, body) values (?, 1)", [id + 1]);
    }
    db.run(
      `insert into hookonce_bodies (id, received_at, headers, bytes) values (1, 1000, '{}', x'5b312c325d')`,
    );
    const part = { headersJson: "{}", body: Buffer.from("1"), element: true };
    // Without its part, its next run records the failure, and runs no handler.
    for (const delivery of [undefined, { ...part, body: Buffer.from("[1,2]"), element: false }])
      expect(recover({ verdict: run({ eventId: "two", delivery }) })).toEqual(["handler_timeout"]);
    expect(failures()).toEqual([]);
    expect(interrupted()).toEqual([{ event_id: "two", ends: 0, code: "handler_timeout" }]);
    expect(recover({ verdict: run({ delivery: part }) })).toEqual(["handler_timeout"]);
    expect(failures()).toMatchObject([{ event_id: "one", body: "1" }]);
    expect(db.query("select element from hookonce_failures").values()).toEqual([[1]]);
    expect(db.query("select event_id, outcome from hookonce_events").values()).toEqual([
      ["one", "unhandled"],
      ["two", outcome],
    ]);
  });

  test("leaves an event alone that was applied meanwhile", () => {
    db.run(
      "insert into hookonce_events (source, event_id, type, received_at, outcome, last_delivery_at) values ('shop', 'one', 'paid', 1000, 'processed', 1000)",
    );
    recover({ verdict: run() });
    expect([failures(), interrupted()]).toEqual([[], []]);
  });
});

describe("if something else kills the process", () => {
  test.each([
    [0, 2],
    [1, 3],
    [2, 4],
    [3, 5],
    [100, 5],
  ])("%d times while no handler ran, it takes %d ends to blame one", (ends, expected) => {
    for (let n = 0; n < ends; n++) recover({});
    expect(endsUntilBlamed()).toBe(expected);
  });

  test("while a handler ran that then came to an end, it takes one more", () => {
    recover({ run: run({ eventId: "innocent" }) });
    createInterruptedRuns(db).settle({ name: "shop" }, "innocent");
    expect(endsUntilBlamed()).toBe(3);
  });

  test("a clean stop makes up for it", () => {
    for (let n = 0; n < 3; n++) recover({});
    recover({ killed: false });
    expect(endsUntilBlamed()).toBe(2);
  });

  test("a handler that is found out is no reason to spare the next", () => {
    for (const [index, code] of [null, "handler_died", null, "handler_died"].entries())
      expect(recover({ run: run({ eventId: index < 2 ? "one" : "two" }) })).toEqual([code as "handler_died"]);
    expect(recover({ verdict: run({ eventId: "three" }) })).toEqual(["handler_timeout"]);
    expect(endsUntilBlamed()).toBe(2);
  });
});
