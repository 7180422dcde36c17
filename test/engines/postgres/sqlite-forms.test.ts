import { describe, expect, test } from "bun:test";
import { bind, bindingProblems } from "../../../src/engines/postgres/bindings.ts";
import { doubtsOf } from "../../../src/engines/postgres/sql-handler.ts";
import { splitStatements, type SqlStatement } from "../../../src/engines/postgres/sql-text.ts";
import { explainSqliteForm, sqliteForms } from "../../../src/engines/postgres/sqlite-forms.ts";
import { refusedByName } from "../../../src/engines/postgres/statement-check.ts";

const statement = (sql: string): SqlStatement => splitStatements(sql)[0] as SqlStatement;

describe("bindings", () => {
  test.each<[written: string, sent: string]>([
    ["select :payload ->> 'a'", "select (($1::text)::jsonb) ->> 'a'"],
    ["select :event_id, :event_id, :type", "select ($1::text), ($1::text), ($2::text)"],
    ["select :received_at::text", "select ($1::bigint)::text"],
    [
      "select ':payload', $$:type$$ -- :source\n, :headers",
      "select ':payload', $$:type$$ -- :source\n, (($1::text)::jsonb)",
    ],
    ["select a::text, b[1:n], x := 1", "select a::text, b[1:n], x := 1"],
  ])("%s", (written, sent) => {
    expect(bindingProblems(statement(written))).toEqual([]);
    expect(bind(statement(written)).text).toBe(sent);
  });

  test.each(["select :payloads", "select $1", "select a[$1:2]"])("%s has no such binding", (sql) => {
    expect(bindingProblems(statement(sql))).toMatchObject([
      { message: expect.stringContaining("is not a binding") },
    ]);
  });

  test("a value that PostgreSQL cannot hold is refused only if it is bound", () => {
    const input = {
      id: "a",
      type: "t\0",
      source: "s",
      receivedAt: 1,
      payloadJson: String.raw`{"a":"\u0000"}`,
      headersJson: "{}",
      body: new Uint8Array(),
    };
    expect(() => bind(statement("select :payload")).valuesFor(input)).toThrow(String.raw`contains \u0000`);
    expect(bind(statement("select :type")).valuesFor(input)).toEqual(["t\uFFFD"]);
    const escaped = { ...input, payloadJson: String.raw`{"a":"\\u0000"}` };
    expect(bind(statement("select :payload")).valuesFor(escaped)).toEqual([escaped.payloadJson]);
  });
});

describe("forms of SQLite that PostgreSQL reads in another way", () => {
  test.each<[sql: string, instead: string]>([
    ["select :payload ->> '$.a'", "Write ->> 'a'."],
    ["select :payload -> '$.a'", "Write -> 'a'."],
    ["select :payload ->> '$.a.b'", "Write #>> '{a,b}'."],
    ["select :payload -> '$.items[0].id'", "Write #> '{items,0,id}'."],
    ["select :payload ->> '$[2]'", "Write ->> 2."],
    [`select :payload ->> '$."a.b"'`, "Write ->> 'a.b'."],
    ["select :payload ->> '$'", "Leave it out."],
  ])("%s", (sql, instead) => {
    expect(sqliteForms(statement(sql))).toMatchObject([{ message: expect.stringContaining(instead) }]);
  });

  test.each([
    "select :payload ->> 'a'",
    "select '$.a'",
    "select a - '$.a'",
    "select jsonb_path_query(:payload, '$.a')",
  ])("%s is meant", (sql) => {
    expect(sqliteForms(statement(sql))).toEqual([]);
  });

  test("each has its line in the file", () => {
    const text = "-- one\nselect 1;\n\nselect\n  :payload ->> '$.a',\n  :payload ->> '$.b';";
    const found = doubtsOf({ language: "sql", file: "handlers/shop/paid.sql", hash: "1", text });
    expect(found.map(({ file, line }) => [file, line])).toEqual([
      ["handlers/shop/paid.sql", 5],
      ["handlers/shop/paid.sql", 6],
    ]);
  });
});

describe("an error of the server about a form of SQLite says what to write", () => {
  test.each<[errno: string, message: string, sql: string, instead: string]>([
    [
      "42702",
      'column reference "cents" is ambiguous',
      "insert into credits values (1) on conflict (id) do update set cents = cents + excluded.cents",
      "Write credits.cents.",
    ],
    [
      "42601",
      'syntax error at or near "or"',
      "insert or ignore into t values (1)",
      "on conflict (…) do nothing",
    ],
    ["42601", 'syntax error at or near "strict"', "create table t (id integer) strict", "Leave strict out"],
    [
      "42601",
      'syntax error at or near "replace"',
      "replace into t values (1)",
      "do update in place of replace",
    ],
    [
      "42883",
      "function json_extract(jsonb, unknown) does not exist",
      "select json_extract(:payload, '$.a')",
      "Write x #>>",
    ],
    [
      "42883",
      "function iif(boolean, integer, integer) does not exist",
      "select iif(true, 1, 0)",
      "case when",
    ],
    [
      "42804",
      "COALESCE types text and integer cannot be matched",
      "select coalesce(:payload ->> 'cents', 0)",
      "Cast it, as in (:payload ->> 'cents')::bigint.",
    ],
  ])("%s %s", (errno, message, sql, instead) => {
    expect(explainSqliteForm({ errno, message }, statement(sql))).toContain(instead);
  });

  test("another error is left alone", () => {
    const error = { errno: "42P01", message: 'relation "t" does not exist' };
    expect(explainSqliteForm(error, statement("select * from t"))).toBeUndefined();
  });
});

describe("statements that the server accepts and a handler may not use", () => {
  test.each([
    "select 1 into t",
    "select a into temp t from b",
    "with a as (select 1) select * into t from a",
  ])("%s", (sql) => {
    expect(refusedByName(statement(sql))).toMatchObject([
      { message: expect.stringContaining("makes a table") },
    ]);
  });

  test.each(["select set_config('a.b', 'c', true)", `select pg_catalog."set_config"('a', 'b', false)`])(
    "%s",
    (sql) => {
      expect(refusedByName(statement(sql))).toMatchObject([
        { message: expect.stringContaining("set_config()") },
      ]);
    },
  );

  test.each([
    "insert into t select 1",
    "merge into t using u on true when matched then do nothing",
    "select 1 as into",
    "select ' into '",
  ])("%s is allowed", (sql) => {
    expect(refusedByName(statement(sql))).toEqual([]);
  });
});
