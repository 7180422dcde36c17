import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { onlyInFullRun } from "../crash/requirements.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";

/*
 * What newest_wins promises: whatever arrives when, fails, ties, is retried and applied, the state of each key
 * is that of the newest version that was committed. Of equal versions, with ties = "apply" the last one to
 * commit, with ties = "fail" the first.
 */

const migration = `create table state (key text primary key, version integer not null, event_id text not null) strict;
create table committed (id integer primary key, key text not null, version integer not null, event_id text not null) strict;
create table broken (yes integer not null) strict;
insert into broken values (0);`;

// A failure must leave no trace of the rows.
const handler = `insert into state values (:payload ->> '$.key', :payload ->> '$.version', :event_id)
on conflict do update set version = excluded.version, event_id = excluded.event_id;
insert into committed (key, version, event_id) values (:payload ->> '$.key', :payload ->> '$.version', :event_id);
insert into broken select null from broken where yes or :payload ->> '$.fails';`;

interface Ordered {
  readonly event: number;
  readonly fails: boolean;
}

type Step =
  | { do: "deliver"; group: Ordered[] }
  | { do: "break"; broken: boolean }
  | { do: "apply" }
  | { do: "restart"; handler: "paid" | "_any" | "none" };

// Few keys and versions, so that events are older than others and tie with them.
const keyOf = (event: number): string => `k${event % 2}`;
const versionOf = (event: number): number => Math.trunc(event / 2) % 4;
const idOf = (event: number): string => `evt_${event}`;

const delivery = fc.record({ event: fc.nat({ max: 15 }), fails: fc.boolean() });

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("deliver" as const),
      group: fc.array(delivery, { minLength: 1, maxLength: 8 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("break" as const), broken: fc.boolean() }) },
  { weight: 2, arbitrary: fc.constant({ do: "apply" as const }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("restart" as const),
      handler: fc.constantFrom("paid" as const, "_any" as const, "none" as const),
    }),
  },
);

async function applyAll(inbox: TestInbox): Promise<void> {
  const started = await inbox.api("/api/jobs", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ action: "apply" }),
  });
  const { id } = (await started.json()) as { id: string };
  for (;;) {
    const { state } = (await (await inbox.api(`/api/jobs/${id}`)).json()) as { state: string };
    if (state !== "running") return expect(state).toBe("done");
    await Bun.sleep(2);
  }
}

const files = (name: "paid" | "_any" | "none"): Record<string, string> => ({
  // Under the name of another type, it runs for none of these events.
  [`handlers/default/${name === "none" ? "other" : name}.sql`]: handler,
});

async function run(inbox: TestInbox, step: Step): Promise<void> {
  switch (step.do) {
    case "deliver": {
      const answers = await Promise.all(
        step.group.map(async ({ event, fails }) => {
          const [key, version] = [keyOf(event), versionOf(event)];
          const body = { event_id: idOf(event), type: "paid", key, version, fails };
          return { event, ...(await inbox.deliver(body)) };
        }),
      );
      for (const { status, body } of answers) {
        // A tie is the only failure that is answered 200.
        if (body.status === "failed" && status === 200)
          expect(
            inbox.value("select count(*) from hookonce_failures where event_id = ?", body.event_id as string),
          ).toBe(1);
        else expect(status).toBe(body.status === "failed" ? 500 : 200);
      }
      return;
    }
    case "break":
      inbox.rows("update broken set yes = ? returning yes", Number(step.broken));
      return;
    case "apply":
      return applyAll(inbox);
    case "restart":
      await inbox.close();
      for (const name of ["paid", "_any", "other"])
        await Bun.file(`${inbox.folder}/handlers/default/${name}.sql`)
          .delete()
          .catch(() => {});
      await inbox.restart({ files: files(step.handler) });
  }
}

const byKey = (rows: { key: string }[]) => rows.toSorted((a, b) => (a.key < b.key ? -1 : 1));

const idsOf = (rows: { event_id: string }[]): Set<string> => new Set(rows.map(({ event_id }) => event_id));

type Ties = "apply" | "fail";

function check(inbox: TestInbox, ties: Ties): void {
  const committed = inbox.rows("select key, version, event_id from committed order by id");
  // Each event has one effect, and each key's versions only grow.
  expect(new Set(committed.map(({ event_id }) => event_id)).size).toBe(committed.length);
  const newest = new Map<string, { key: string; version: number; event_id: string }>();
  for (const row of committed) {
    const before = newest.get(row.key)?.version ?? -1;
    expect(row.version).toBeGreaterThanOrEqual(ties === "apply" ? before : before + 1);
    newest.set(row.key, row);
  }
  expect(byKey(inbox.rows("select key, version, event_id from state"))).toEqual(byKey([...newest.values()]));
  expect(
    byKey(inbox.rows("select key, cast(version as integer) version, event_id from hookonce_positions")),
  ).toEqual(byKey([...newest.values()]));
  const outcomes = inbox.rows("select event_id, outcome from hookonce_events");
  const processed = outcomes.filter(({ outcome }) => outcome === "processed");
  expect(idsOf(processed)).toEqual(idsOf(committed));
  // A stale event is older than the newest one, and it is not owed.
  for (const { event_id } of outcomes.filter(({ outcome }) => outcome === "stale")) {
    const event = Number((event_id as string).slice("evt_".length));
    expect(versionOf(event)).toBeLessThan(newest.get(keyOf(event))?.version ?? 0);
    expect(
      inbox.value(
        "select count(*) from hookonce_failures where settled_at is null and event_id = ?",
        event_id as string,
      ),
    ).toBe(0);
  }
}

// The seed is fixed. If a run fails, fast-check prints the seed, the path and the shortest sequence that
// still fails.
const seed = 20_261_127;

test.each(["apply", "fail"] as const)(
  "with ties = %s, any sequence of deliveries, failures, retries and restarts leaves the newest committed version of each key",
  async (ties) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 10 }),
        fc.constantFrom(1, 3, 256),
        async (steps, maxEvents) => {
          await using inbox = await testInbox({
            config: `[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
newest_wins = { types = ["paid"], key = "body:$.key", version = "body:$.version", ties = "${ties}" }`,
            files: { "migrations/0001.sql": migration, ...files("paid") },
            open: { queue: { maxEvents } },
          });
          for (const one of steps) {
            await run(inbox, one);
            check(inbox, ties);
          }
          // Once nothing fails any more, only ties are owed.
          await run(inbox, { do: "restart", handler: "paid" });
          await run(inbox, { do: "break", broken: false });
          const seen = new Set(
            steps.flatMap((one) => (one.do === "deliver" ? one.group.map(({ event }) => event) : [])),
          );
          await run(inbox, { do: "deliver", group: [...seen].map((event) => ({ event, fails: false })) });
          await applyAll(inbox);
          check(inbox, ties);
          const owed = inbox.rows("select code from hookonce_failures where settled_at is null");
          const codes = owed.map(({ code }) => code as string).filter((code) => code !== "handler_error");
          expect(codes.every((code) => ties === "fail" && code === "version_tie")).toBe(true);
          expect(inbox.fatal).toEqual([]);
        },
      ),
      { numRuns: onlyInFullRun() === undefined ? 40 : 6, seed },
    );
  },
  onlyInFullRun() === undefined ? 300_000 : 60_000,
);
