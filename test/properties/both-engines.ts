import { expect } from "bun:test";
import * as fc from "fast-check";
import type { PostgresTarget } from "../../src/config/postgres.ts";
import { MOVED_TABLES } from "../../src/engines/move.ts";
import { tablesIn, tablesOf } from "../engines/all-tables.ts";
import { connect } from "../engines/postgres/cluster.ts";
import { historiesFor, play } from "../conformance/histories.ts";
import { openEngine, type OpenEngine } from "../conformance/open-engine.ts";
import * as postgres from "../conformance/postgres.ts";
import * as sqlite from "../conformance/sqlite.ts";

/** What a history of jobs leaves in the tables of the two engines: the same, in every column. */

type Row = Record<string, unknown>;

/** What belongs to the engine: how long a handler took, its text and the words of the database. */
const OWN: Readonly<Record<string, (value: unknown) => unknown>> = {
  duration_us: () => "some time",
  handler_hash: (value) => (value === null ? null : "the handler's"),
  error: () => "an error",
  stack: () => "where",
  // The wait before a retry is random within limits.
  next_at: (value) => (value === null ? null : "later"),
};

/** Ids are compared by their order: on PostgreSQL a transaction that is rolled back leaves a gap. */
const EVENT_IDS = new Set(["event", "body", "era", "ran_place", "place", "position"]);

/** Which one of the ids it is. */
const upTo = (ids: readonly number[], id: unknown): unknown =>
  typeof id === "number" && id > 0 ? ids.filter((one) => one <= id).length : id;

function comparable(tables: Record<string, unknown[]>): Record<string, Row[]> {
  const named = MOVED_TABLES.map(({ name, columns }): [string, Row[]] => [
    name,
    (tables[name] ?? []).map((row) =>
      Object.fromEntries(Object.keys(columns).map((column, index) => [column, (row as unknown[])[index]])),
    ),
  ]);
  const rows = new Map(named);
  const idsOf = (table: string): number[] => (rows.get(table) ?? []).map(({ id }) => Number(id));
  const events = [...new Set([...idsOf("events"), ...idsOf("bodies")])].sort((a, b) => a - b);
  const failures = idsOf("failures");
  const changes = (rows.get("events") ?? []).flatMap(({ change }) =>
    change === null ? [] : [Number(change)],
  );
  const valueOf = (table: string, column: string, value: unknown): unknown => {
    const own = OWN[column];
    if (own !== undefined) return own(value);
    if (column === "change") return upTo(changes, value);
    if (column === "ran_failure") return upTo(failures, value);
    if (EVENT_IDS.has(column)) return upTo(events, value);
    if (column === "id") return upTo(["events", "bodies"].includes(table) ? events : idsOf(table), value);
    return value;
  };
  return Object.fromEntries(
    named.map(([table, all]) => [
      table,
      all.map((row) => {
        const told = Object.fromEntries(
          Object.entries(row).map(([column, value]) => [column, valueOf(table, column, value)]),
        );
        return table === "rollups" ? withRuns(told) : told;
      }),
    ]),
  );
}

/** How many handlers ran, however long they took. */
function withRuns(row: Row): Row {
  const times = Object.entries(row).filter(([column]) => /^t\d+$/.test(column));
  const runs = times.reduce((sum, [, count]) => sum + Number(count), 0);
  return { ...Object.fromEntries(Object.entries(row).filter(([column]) => !/^t\d+$/.test(column))), runs };
}

async function tablesAfter({ store }: OpenEngine): Promise<Record<string, Row[]>> {
  if (!store.location.startsWith("{")) return comparable(tablesOf(store.location));
  const wire = await connect(JSON.parse(store.location) as PostgresTarget);
  try {
    return comparable(await tablesIn(wire));
  } finally {
    await wire.drop();
  }
}

/** The property. It needs a PostgreSQL server. */
export async function leaveTheSameTables(histories: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(historiesFor(false), fc.constantFrom("together", "alone"), async (steps, how) => {
      await using one = await openEngine(sqlite.harness);
      await using other = await openEngine(postgres.harness);
      const answers = await play(one, steps, how);
      expect(await play(other, steps, how)).toEqual(answers);
      expect(await tablesAfter(other)).toEqual(await tablesAfter(one));
    }),
    { numRuns: histories, seed: 20_261_128 },
  );
}
