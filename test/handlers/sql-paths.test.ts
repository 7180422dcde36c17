import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { EACH, jsonPath, lookUp, nearestPath } from "../../src/handlers/payload-paths.ts";
import { jsonReads, pathsRead } from "../../src/handlers/sql-paths.ts";

const found = (sql: string): string[] => pathsRead(sql).map(({ of, steps }) => `${of} ${jsonPath(steps)}`);

describe("the paths that a SQL handler reads", () => {
  const reads: readonly (readonly [sql: string, ...paths: string[]])[] = [
    ["select :payload ->> '$.a.b'", "payload $.a.b"],
    ["select :payload->>'$.a'", "payload $.a"],
    ["select :payload -> '$.a' ->> 'b'", "payload $.a.b"],
    ["select :payload -> 'a' -> 0 ->> '$.b'", "payload $.a[0].b"],
    ["select :payload -> 'a' ->> -1, :payload ->> '$.a[#-2]'", "payload $.a[#-1]", "payload $.a[#-2]"],
    ["select :payload -> 'a' ->> '[1]'", "payload $.a[1]"],
    ["select (:payload -> '$.a') ->> 'b'", "payload $.a.b"],
    ["select json(:payload) ->> '$.a'", "payload $.a"],
    ["select :payload ->> '$.a' || 'b'", "payload $.a"],
    [`select :payload ->> "$.a"`, "payload $.a"],
    ["select :headers ->> 'stripe-signature'", 'headers $."stripe-signature"'],
    ["select json_extract(:payload, '$.a', '$.b')", "payload $.a", "payload $.b"],
    ["select JSON_EXTRACT ( :payload , '$.a' ) ->> 'b'", "payload $.a.b"],
    ["select jsonb_extract(:payload -> '$.a', '$.b')", "payload $.a.b"],
    ["select json_type(:payload, '$.a'), json_array_length(:payload, '$.b')", "payload $.a", "payload $.b"],
    ["select 1 from json_tree(:payload, '$.a')", "payload $.a"],
    ["select :payload ->> '$.\"a.b\".c'", 'payload $."a.b".c'],
    ["select :payload ->> '$.\"it''s\"'", `payload $."it''s"`],
    ['select :payload ->> \'$."a\\"b"\'', 'payload $."a\\"b"'],
    ["select :payload ->> 'a.b'", 'payload $."a.b"'],
    ["insert into t values (:payload ->> '$.a', lower(:payload ->> '$.b'))", "payload $.a", "payload $.b"],
    // The part that is a path.
    ["select :payload -> '$.a' ->> :type", "payload $.a"],
    // What json_each() reads, and what is read from its elements.
    [
      "select value ->> '$.id' from json_each(:payload, '$.items') where value ->> 'live'",
      "payload $.items[*].id",
      "payload $.items",
      "payload $.items[*].live",
    ],
    [
      "select item.value ->> 'id', part.value ->> 'n' from json_each(:payload -> '$.items') as item, json_each(item.value, '$.parts') part",
      "payload $.items[*].id",
      "payload $.items[*].parts[*].n",
      "payload $.items",
      "payload $.items[*].parts",
    ],
    ["select json_each.value ->> 'id' from json_each(:payload) order by 1", "payload $[*].id"],
    // Columns that a subquery or a common table expression names.
    [
      "with p as (select :payload -> '$.data' as o) select o ->> 'id', p.o ->> '$.b' from p",
      "payload $.data",
      "payload $.data.id",
      "payload $.data.b",
    ],
    [
      "with p as materialized (select :payload as body), q as (select body -> 'list' as l from p) select item.value ->> 'sku' from q, json_each(q.l) item",
      "payload $.list",
      "payload $.list[*].sku",
    ],
    [
      "insert into t select one.o ->> 'id' from (select :payload -> 'a' as o) as one where true",
      "payload $.a.id",
      "payload $.a",
    ],
    ["select s.data ->> '$.x' from (select :payload ->> '$.id' as data) p join t as s", "payload $.id"],
    [
      "select o ->> 'x' from (select :payload -> 'a' as o) union select o ->> 'y' from (select :payload -> 'b' as o)",
      "payload $.a",
      "payload $.b",
    ],
    ["select :payload -> 'a' as o, o ->> 'b' from t", "payload $.a"],
    // It is not clear which json_each() this is.
    [
      "select value ->> 'id' from json_each(:payload, '$.a') a, json_each(:payload, '$.b') b where value ->> 'c'",
      "payload $.a",
      "payload $.b",
    ],
    ["select value ->> 'id' from settings; select 1 from json_each(:payload, '$.a')", "payload $.a"],
  ];
  test.each(reads)("%s", (sql, ...paths) => {
    expect(found(sql)).toEqual(paths);
  });

  const none = [
    "-- :payload ->> '$.a'\nselect 1",
    "/* :payload ->> '$.a' */ select 1",
    "select ':payload ->> ''$.a'''",
    `select ":payload ->> '$.a'" from t`,
    "select :payload ->> ('$.' || :type)",
    "select json_extract(:payload, '$.' || :type)",
    "select other ->> '$.a', json_extract(other, '$.b')",
    "select :payload",
    "select :payload ->> '$.'",
    "select :event_id",
  ];
  test.each(none)("none: %s", (sql) => {
    expect(found(sql)).toEqual([]);
  });

  test("each has the line and the text of the handler", () => {
    const sql =
      "insert into t\nselect :payload\n  -> '$.a' ->> 'b',\n  json_extract(:payload, '$.c', '$.d');\n\nselect :payload ->> '$.e'";
    expect(pathsRead(sql).map(({ line, read }) => [line, read])).toEqual([
      [2, ":payload\n  -> '$.a' ->> 'b'"],
      [4, "json_extract(:payload, '$.c')"],
      [4, "json_extract(:payload, '$.d')"],
      [6, ":payload ->> '$.e'"],
    ]);
  });
});

describe("a path in a payload", () => {
  const payload = {
    id: "evt_1",
    none: null,
    data: {
      object: { customer: { name: "Ada" }, "a.b": 1, "it's": 2, lines: [{ price: 1 }, { price: null }] },
    },
    empty: [],
  };
  const json = JSON.stringify(payload);
  // The same answers as SQLite gives, for paths of one value.
  test.each([
    ["$.id", "found"],
    ["$.none", "null"],
    ["$.none.id", "null"],
    ["$.nothing", "missing"],
    ["$.id.length", "missing"],
    ["$.data.object.customer", "found"],
    ["$.data.object.customer.nam", "missing"],
    ['$.data.object."a.b"', "found"],
    ["$.data.object.\"it''s\"", "found"],
    ["$.data.object.a.b", "missing"],
    ["$.data.object.lines[1]", "found"],
    ["$.data.object.lines[1].price", "null"],
    ["$.data.object.lines[#-2].price", "found"],
    ["$.data.object.lines[2]", "missing"],
    ["$.data.object.lines.price", "missing"],
    ["$.data.object[0]", "missing"],
    ["$.data.object.customer.constructor", "missing"],
  ] as const)("%s is %s", (path, expected) => {
    const read = `:payload ->> '${path}'`;
    const [{ steps } = { steps: [] }] = pathsRead(`select ${read}`);
    expect(lookUp(payload, steps)).toBe(expected);
    using db = new Database(":memory:");
    const [row] = db.query(`select ${read} is null`).values(json);
    expect(row?.[0]).toBe(expected === "found" ? 0 : 1);
  });

  test("in each element of a list: found if any has it, and an empty list lacks nothing", () => {
    const each = (...steps: string[]) => lookUp(payload, ["data", "object", "lines", EACH, ...steps]);
    expect([each("price"), each("tax"), lookUp(payload, ["empty", EACH, "a"])]).toEqual([
      "found",
      "missing",
      "found",
    ]);
    expect(lookUp([{ a: null }, {}], [EACH, "a"])).toBe("null");
    expect(lookUp("one", [EACH])).toBe("found");
  });

  const nearest = (sql: string) => {
    const reads = pathsRead(sql).filter(({ steps }) => lookUp(payload, steps) === "missing");
    return reads.map(({ steps }) => nearestPath([{}, payload], steps));
  };

  test("the nearest path is one with a level more, a misspelled one, or the same name elsewhere", () => {
    expect(nearest("select :payload ->> '$.data.customer'")).toEqual(["$.data.object.customer"]);
    expect(nearest("select :payload ->> '$.data.object.custmer'")).toEqual(["$.data.object.customer"]);
    expect(nearest("select :payload ->> '$.object.old.customer'")).toEqual(["$.data.object.customer"]);
    expect(nearest("select :payload ->> '$.data.object.lines.price'")).toEqual([
      "$.data.object.lines[0].price",
    ]);
    expect(nearest("select value ->> 'prise' from json_each(:payload, '$.data.object.lines')")).toEqual([
      "$.price",
    ]);
    expect(nearest("select :payload ->> '$.data.object.shipping_address'")).toEqual([undefined]);
    expect(nearestPath([], ["a"])).toBeUndefined();
  });

  test("a huge payload is looked at in part", () => {
    const huge = { first: 1, ...Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`k${n}`, n])) };
    expect(nearestPath([huge], ["furst"])).toBe("$.first");
  });
});

test("the paths of PostgreSQL are found, and its casts are not bindings", () => {
  const sql = `select (:payload #>> '{data,object,id}')::bigint, :payload -> 'data' #> '{lines,0,"a b"}', :event_id::text,
    :headers ->> 'x-note', :payload #>> '{data,', :payload #>> :type::text[]`;
  expect(pathsRead(sql).map(({ of, line, steps }) => ({ of, line, steps }))).toEqual([
    { of: "payload", line: 1, steps: ["data", "object", "id"] },
    { of: "payload", line: 1, steps: ["data", "lines", 0, "a b"] },
    { of: "headers", line: 2, steps: ["x-note"] },
  ]);
  expect(jsonReads(sql).map(({ index }) => index)).toEqual([0, 0, 2]);
});
