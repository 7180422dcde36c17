import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { bodyOf, byId, Model, TYPES, type Answer, type DeliveryOf, type Type } from "./model.ts";
import { onlyInFullRun } from "../crash/requirements.ts";

const migration = `create table effects (event_id text not null, cents integer not null) strict;
create table broken (yes integer not null) strict;
insert into broken values (0);`;

// The handler writes a row and then fails if the payload or the table says so. A failure must leave no trace
// of the row.
const handler = `insert into effects values (:event_id, :payload ->> '$.cents');
insert into effects select null, null from broken where yes or :payload ->> '$.fails';`;

type Step =
  | { do: "deliver"; group: DeliveryOf[] }
  | { do: "break"; broken: boolean }
  | { do: "restart"; adding: Type | null };

const delivery = fc.record({
  // Few events, so that deliveries repeat them.
  event: fc.nat({ max: 5 }),
  cents: fc.constantFrom(1, 10, 100),
  fails: fc.boolean(),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("deliver" as const),
      group: fc.array(delivery, { minLength: 1, maxLength: 8 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("break" as const), broken: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("restart" as const),
      adding: fc.option(fc.constantFrom(...TYPES), { nil: null }),
    }),
  },
);

/** The largest batch: one event, some events, or all that wait together. */
const batches = fc.constantFrom(1, 3, 256);

async function run(inbox: TestInbox, model: Model, step: Step): Promise<void> {
  switch (step.do) {
    case "deliver": {
      const answers = await Promise.all(
        step.group.map(async (one) => (await inbox.deliver(bodyOf(one))).body.status as Answer),
      );
      model.delivered(step.group, answers, inbox);
      return;
    }
    case "break":
      inbox.rows("update broken set yes = ? returning yes", Number(step.broken));
      model.broken = step.broken;
      return;
    case "restart":
      await inbox.restart(
        step.adding === null ? {} : { files: { [`handlers/default/${step.adding}.sql`]: handler } },
      );
      if (step.adding !== null) model.handled.add(step.adding);
  }
}

function expectAsModelled(inbox: TestInbox, model: Model): void {
  expect(inbox.rows("select event_id, cents from effects").sort(byId)).toEqual(model.effects());
  expect(inbox.rows("select event_id, outcome, deliveries from hookonce_events").sort(byId)).toEqual(
    model.listed(),
  );
  expect(
    inbox.rows("select event_id, attempts from hookonce_failures where settled_at is null").sort(byId),
  ).toEqual(model.openFailures());
  expect(inbox.value("select count(*) from hookonce_bodies")).toBe(model.listed().length);
  expect(inbox.value("select integrity_check from pragma_integrity_check")).toBe("ok");
  expect(inbox.fatal).toEqual([]);
}

// The seed is fixed. If a run fails, fast-check prints the seed, the path and the shortest sequence that
// still fails.
const seed = 20_260_101;

test("any sequence of deliveries, failures, restarts and new handlers leaves one effect of each processed event", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 10 }), batches, async (steps, maxEvents) => {
      await using inbox = await testInbox({
        files: { "migrations/0001.sql": migration, "handlers/default/paid.sql": handler },
        open: { queue: { maxEvents } },
      });
      const model = new Model();
      model.handled.add("paid");
      for (const step of steps) await run(inbox, model, step);
      expectAsModelled(inbox, model);
    }),
    { numRuns: onlyInFullRun() === undefined ? 100 : 15, seed },
  );
}, 30_000);
