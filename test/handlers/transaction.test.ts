import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { TABLES, ts } from "./sources.ts";

interface Scenario {
  name: string;
  /** The handler's body, in which `note(db, text)` writes a row. */
  body: string;
  said: "processed" | "failed";
  notes: string[];
  rows: number;
  code?: string;
}

const scenarios: Scenario[] = [
  {
    name: "one that returns commits with the event",
    body: "note(db, 'a'); db.transaction((tx) => { note(tx, 'b'); note(db, 'c'); }); note(db, 'd');",
    said: "processed",
    notes: ["a", "b", "c", "d"],
    rows: 4,
  },
  {
    name: "its return value is passed on",
    body: "const value = db.transaction((tx) => { note(tx, 'a'); return 'from inside'; }); note(db, value);",
    said: "processed",
    notes: ["a", "from inside"],
    rows: 2,
  },
  {
    name: "one that throws is undone, but not the writes around it",
    body: "note(db, 'a'); try { db.transaction((tx) => { note(tx, 'b'); throw new Error('no'); }); } catch {} note(db, 'c');",
    said: "processed",
    notes: ["a", "c"],
    rows: 2,
  },
  {
    name: "its error is thrown on",
    body: "note(db, 'a'); db.transaction((tx) => { note(tx, 'b'); throw new Error('no'); });",
    said: "failed",
    notes: [],
    rows: 0,
    code: "handler_error",
  },
  {
    name: "tx.rollback()",
    body: "note(db, 'a'); try { db.transaction((tx) => { note(tx, 'b'); tx.rollback(); }); } catch (error) { note(db, error.constructor.name); }",
    said: "processed",
    notes: ["a", "TransactionRollbackError"],
    rows: 2,
  },
  {
    name: "an uncaught tx.rollback()",
    body: "db.transaction((tx) => tx.rollback());",
    said: "failed",
    notes: [],
    rows: 0,
    code: "handler_error",
  },
  {
    name: "nested, both return",
    body: "db.transaction((tx) => { note(tx, 'a'); tx.transaction((inner) => { note(inner, 'b'); }); note(tx, 'c'); });",
    said: "processed",
    notes: ["a", "b", "c"],
    rows: 3,
  },
  {
    name: "nested, the inner one throws",
    body: "db.transaction((tx) => { note(tx, 'a'); try { tx.transaction((inner) => { note(inner, 'b'); throw new Error('no'); }); } catch {} note(tx, 'c'); });",
    said: "processed",
    notes: ["a", "c"],
    rows: 2,
  },
  {
    name: "nested, the outer one throws",
    body: "note(db, 'a'); try { db.transaction((tx) => { tx.transaction((inner) => note(inner, 'b')); throw new Error('no'); }); } catch {} note(db, 'c');",
    said: "processed",
    notes: ["a", "c"],
    rows: 2,
  },
  {
    name: "nested by db instead of tx",
    body: "db.transaction(() => { note(db, 'a'); try { db.transaction(() => { note(db, 'b'); throw new Error('no'); }); } catch {} });",
    said: "processed",
    notes: ["a"],
    rows: 1,
  },
  {
    name: "ten levels, of which the seventh throws",
    body: "const deeper = (tx, level) => { note(tx, 'level ' + level); if (level === 10) return; try { tx.transaction((inner) => deeper(inner, level + 1)); } catch {} if (level === 7) throw new Error('no'); }; deeper(db, 1);",
    said: "processed",
    notes: ["level 1", "level 2", "level 3", "level 4", "level 5", "level 6"],
    rows: 6,
  },
  {
    name: "one after the other",
    body: "for (const n of [1, 2, 3]) { try { db.transaction((tx) => { note(tx, 't' + n); if (n === 2) throw new Error('no'); }); } catch {} }",
    said: "processed",
    notes: ["t1", "t3"],
    rows: 2,
  },
  {
    name: "a SQLite error inside",
    body: "note(db, 'a'); try { db.transaction((tx) => { note(tx, 'b'); tx.run(sql`insert into things values (1, 'again')`); }); } catch {} note(db, 'c');",
    said: "processed",
    notes: ["a", "c"],
    rows: 2,
  },
  {
    name: "a refused statement inside",
    body: "note(db, 'a'); try { db.transaction((tx) => { note(tx, 'b'); tx.run(sql`commit`); }); } catch {} note(db, 'c');",
    said: "processed",
    notes: ["a", "c"],
    rows: 2,
  },
  {
    name: "its savepoint cannot be released by hand",
    body: "db.transaction((tx) => { note(tx, 'a'); try { tx.run(sql`release handler_1`); } catch {} try { tx.run(sql`rollback to handler_1`); } catch {} note(tx, 'b'); });",
    said: "processed",
    notes: ["a", "b"],
    rows: 2,
  },
  {
    name: "a tx used after its transaction writes to the surrounding one",
    body: "let kept; db.transaction((tx) => { kept = tx; note(tx, 'a'); }); note(kept, 'b');",
    said: "processed",
    notes: ["a", "b"],
    rows: 2,
  },
  {
    name: "a tx used after its transaction was undone",
    body: "let kept; try { db.transaction((tx) => { kept = tx; note(tx, 'a'); throw new Error('no'); }); } catch {} note(kept, 'b');",
    said: "processed",
    notes: ["b"],
    rows: 1,
  },
  {
    name: "reads its own writes",
    body: "db.transaction((tx) => { note(tx, 'a'); const { n } = tx.get(sql`select count(*) as n from effects where event_id = ${event.id}`) ?? {}; note(tx, 'seen ' + (n ?? tx.values(sql`select count(*) from effects where event_id = ${event.id}`)[0][0])); });",
    said: "processed",
    notes: ["a", "seen 1"],
    rows: 2,
  },
  {
    name: "a rollback of the whole transaction inside, caught at both levels",
    body: "note(db, 'a'); try { db.transaction((tx) => { try { tx.run(sql`insert or rollback into things values (1, 'x')`); } catch {} }); } catch {} try { note(db, 'b'); } catch {}",
    said: "failed",
    notes: [],
    rows: 0,
    code: "handler_ended_transaction",
  },
  {
    name: "an async function",
    body: "note(db, 'a'); db.transaction(async (tx) => { note(tx, 'b'); await null; });",
    said: "failed",
    notes: [],
    rows: 0,
    code: "handler_async",
  },
  {
    name: "an async function whose refusal is caught",
    body: "note(db, 'a'); try { db.transaction(async (tx) => { note(tx, 'b'); await null; }); } catch {} note(db, 'c');",
    said: "processed",
    notes: ["a", "c"],
    rows: 2,
  },
  {
    name: "a query that is returned instead of run",
    body: "note(db, 'a'); db.transaction((tx) => tx.insert(effects).values({ eventId: event.id, note: 'b' }));",
    said: "failed",
    notes: [],
    rows: 0,
    code: "handler_async",
  },
  {
    name: "drizzle's options are accepted",
    body: "db.transaction((tx) => note(tx, 'a'), { behavior: 'exclusive' });",
    said: "processed",
    notes: ["a"],
    rows: 1,
  },
];

const BEFORE =
  "const note = (on, text) => { on.run(sql`insert into effects values (${current}, ${text})`); };\nlet current;";

let inbox: TestInbox;
beforeAll(async () => {
  inbox = await testInbox({
    files: {
      "migrations/0001.sql": TABLES,
      ...Object.fromEntries(
        scenarios.map(({ body }, index) => [
          `handlers/default/case_${index}.ts`,
          ts(`current = event.id;\n${body}`, BEFORE),
        ]),
      ),
    },
  });
});
afterAll(() => inbox[Symbol.asyncDispose]());

describe("db.transaction is a savepoint", () => {
  test.each(scenarios.map((row, index) => [row.name, row, index] as const))("%s", async (_, row, index) => {
    const id = `evt_${index}`;
    const { body } = await inbox.deliver({ event_id: id, type: `case_${index}` });
    expect(
      inbox
        .rows("select code, error from hookonce_failures where event_id = ?", id)
        .map(({ code }) => code as string),
    ).toEqual(row.code === undefined ? [] : [row.code]);
    expect(body.status).toBe(row.said);
    expect(
      inbox
        .rows("select note from effects where event_id = ? order by rowid", id)
        .map(({ note }) => note as string),
    ).toEqual(row.notes);
    expect(
      inbox.rows(
        "select rows_changed from hookonce_events left join hookonce_results on event = id where event_id = ?",
        id,
      ),
    ).toEqual(row.said === "processed" ? [{ rows_changed: row.rows }] : []);
  });

  test("in a batch, each event undoes only its own writes", async () => {
    const types = scenarios.map((_, index) => `case_${index}`);
    const answers = await Promise.all(
      types.flatMap((type) => [1, 2].map((n) => inbox.deliver({ event_id: `batch_${type}_${n}`, type }))),
    );
    expect(answers.map(({ body }) => body.status as string)).toEqual(
      scenarios.flatMap(({ said }) => [said, said]),
    );
    for (const [index, { notes }] of scenarios.entries()) {
      for (const n of [1, 2]) {
        expect(
          inbox
            .rows("select note from effects where event_id = ? order by rowid", `batch_case_${index}_${n}`)
            .map(({ note }) => note as string),
        ).toEqual(notes);
      }
    }
  });
});
