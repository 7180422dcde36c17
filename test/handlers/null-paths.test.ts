import { expect, test } from "bun:test";
import { nullPathsIn } from "../../src/handlers/null-paths.ts";

/** Which reads of JSON a trial warns of. */

const payload = JSON.stringify({
  id: "evt_1",
  "we ird": { "a.b": 1 },
  data: { object: { amount_paid: 500, note: null, lines: [{ price: 1, tax: [{ rate: 7 }] }, { prize: 2 }] } },
  list: [10, 20],
});

/** Each read that found NULL: what it found, and what was probably meant. */
function found(sql: string, bound: readonly unknown[] = [payload, '{"x-type":"a"}']): string[] {
  return nullPathsIn([{ sql, line: 1, bound }]).map(({ read, found: what, meant, elements }) => {
    const list = elements === null ? "" : ` ${elements.null}/${elements.of}`;
    return `${read} ${what}${list}${meant === null ? "" : ` (${meant})`}`;
  });
}

test.each<[string, string[]]>([
  ["select :payload ->> '$.data.object.amount_paid', :payload->>'id', :payload ->> '$.list[1]'", []],
  [
    "select :payload ->> '$.data.object.amount_payed'",
    [":payload ->> '$.data.object.amount_payed' missing ($.data.object.amount_paid)"],
  ],
  // The name is right, and the place is not.
  [
    "select :payload ->> '$.amount_paid'",
    [":payload ->> '$.amount_paid' missing ($.data.object.amount_paid)"],
  ],
  // A shorter name beside it.
  [
    "select :payload ->> '$.data.object.amount'",
    [":payload ->> '$.data.object.amount' missing ($.data.object.amount_paid)"],
  ],
  ["select :payload ->> '$.nothing.like.it'", [":payload ->> '$.nothing.like.it' missing"]],
  ["select :payload ->> 'idd'", [":payload ->> 'idd' missing ($.id)"]],
  ["select :payload -> '$.list' ->> 2", [":payload -> '$.list' ->> 2 missing"]],
  ["select :payload -> '$.list' ->> -1", []],
  // A null in the JSON is found by ->> as NULL, and by -> as the text null.
  ["select :payload ->> '$.data.object.note'", [":payload ->> '$.data.object.note' null"]],
  ["select :payload -> '$.data.object.note'", []],
  [
    "select json_extract(:payload, '$.id', '$.dat', '$.data.object.note')",
    ["json_extract(:payload, '$.dat') missing ($.data)", "json_extract(:payload, '$.data.object.note') null"],
  ],
  [
    "select :payload -> '$.dta' ->> '$.object.amount_paid'",
    [":payload -> '$.dta' ->> '$.object.amount_paid' missing ($.data.object.amount_paid)"],
  ],
  [
    "select (json(:payload) -> '$.data') ->> '$.object.amount_paed'",
    ["(json(:payload) -> '$.data') ->> '$.object.amount_paed' missing ($.data.object.amount_paid)"],
  ],
  [
    `select :payload ->> '$."we ird"."a.b"', :payload ->> '$."we ird"."a.c"'`,
    [`:payload ->> '$."we ird"."a.c"' missing ($."we ird"."a.b")`],
  ],
  ["select :payload ->> '$.it''s'", [":payload ->> '$.it''s' missing"]],
  ["select :payload -> '$.id', :headers ->> '$.x-typ'", [":headers ->> '$.x-typ' missing ($.\"x-type\")"]],
  // Of a list, each element is looked at.
  [
    "insert into t select value ->> '$.price' from json_each(:payload, '$.data.object.lines')",
    ["value ->> '$.price' missing 1/2"],
  ],
  [
    `select line.value -> '$.tax', tax.value ->> '$.rat'
     from json_each(:payload -> '$.data.object.lines') as line, json_each(line.value -> '$.tax') tax`,
    [
      "line.value -> '$.tax' missing 1/2",
      "tax.value ->> '$.rat' missing 1/1 ($.rate)",
      "line.value -> '$.tax' missing 1/2",
    ],
  ],
  [
    "select key from json_each(:payload, '$.data.object.line')",
    ["json_each(:payload, '$.data.object.line') missing ($.data.object.lines)"],
  ],
  [
    "with p as (select :payload -> '$.data.object' as o) select o ->> '$.amount_payed', o ->> '$.amount_paid' from p",
    ["o ->> '$.amount_payed' missing ($.data.object.amount_paid)"],
  ],
  // None of these is a read of a bound value.
  ["select ':payload ->> ''$.a''' -- :payload ->> '$.b'\n /* :payload ->> '$.c' */", []],
  ["select \":payload ->> '$.a'\", [:payload ->> '$.b'], stored.body ->> '$.c' from stored", []],
])("%s", (sql, expected) => {
  expect(found(sql)).toEqual(expected);
});

test("reads positional and numbered parameters", () => {
  const bound = [payload, "$.ids", '{"b":1}'];
  expect(found("select ? ->> '$.ids', ? ->> '$.ids', ?3 ->> '$.c'", bound)).toEqual([
    "? ->> '$.ids' missing ($.id)",
    "?3 ->> '$.c' missing ($.b)",
  ]);
});

test("names the line, and and that the payload is not JSON", () => {
  const sql = "select 1,\n  :payload ->> '$.id',\n  :payload ->> '$.x'";
  expect(nullPathsIn([{ sql, line: 5, bound: [payload] }]).map(({ line }) => line)).toEqual([7]);
  expect(found(sql, ["no JSON"])).toEqual([]);
  expect(found(sql, [null])).toEqual([":payload ->> '$.id' not_json", ":payload ->> '$.x' not_json"]);
  expect(found("select ? ->> '$.id'", [null])).toEqual([]);
});
