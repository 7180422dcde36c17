import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { splitStatements } from "../../../src/engines/sqlite/sql-text.ts";

const dump = (db: Database): unknown[][] => db.prepare("select s from log order by rowid").values();
const texts = (script: string): string[] => splitStatements(script).map(({ text }) => text);

describe("splitting a script into statements", () => {
  const scenarios: { name: string; script: string; statements: string[] }[] = [
    { name: "nothing", script: "", statements: [] },
    { name: "blanks and semicolons", script: " \n;;\t; ", statements: [] },
    { name: "only comments", script: "-- one\n/* two */ ; -- three", statements: [] },
    { name: "one without a semicolon", script: "select 1", statements: ["select 1"] },
    { name: "one with a semicolon", script: "select 1;", statements: ["select 1"] },
    { name: "two", script: "select 1; select 2", statements: ["select 1", "select 2"] },
    { name: "two without a space", script: "select 1;select 2;", statements: ["select 1", "select 2"] },
    {
      name: "semicolons before and between",
      script: ";;select 1;;;select 2;;",
      statements: ["select 1", "select 2"],
    },
    {
      name: "a semicolon in a string",
      script: "select 'a;b'; select 2",
      statements: ["select 'a;b'", "select 2"],
    },
    {
      name: "an escaped quote",
      script: "select 'it''s;'; select 2",
      statements: ["select 'it''s;'", "select 2"],
    },
    {
      name: "quotes inside quotes of another kind",
      script: `select '";', ";'"; select 2`,
      statements: [`select '";', ";'"`, "select 2"],
    },
    {
      name: "a backslash escapes nothing",
      script: "select '\\'; select 2",
      statements: ["select '\\'", "select 2"],
    },
    {
      name: "a name in double quotes",
      script: 'select "a;""b"; select 2',
      statements: ['select "a;""b"', "select 2"],
    },
    {
      name: "a name in backticks",
      script: "select `a;``b`; select 2",
      statements: ["select `a;``b`", "select 2"],
    },
    {
      name: "a name in brackets",
      script: "select [a;'b]; select 2",
      statements: ["select [a;'b]", "select 2"],
    },
    { name: "a blob", script: "select x'3b'; select 2", statements: ["select x'3b'", "select 2"] },
    {
      name: "a line comment",
      script: "select 1 -- a; b\n; select 2",
      statements: ["select 1 -- a; b", "select 2"],
    },
    {
      name: "a quote in a line comment",
      script: "select 1 -- it's\n; select 2",
      statements: ["select 1 -- it's", "select 2"],
    },
    {
      name: "a line comment at the end of the script",
      script: "select 1; -- select 2;",
      statements: ["select 1"],
    },
    {
      name: "a block comment",
      script: "select /* a; 'b */ 1; select 2",
      statements: ["select /* a; 'b */ 1", "select 2"],
    },
    {
      name: "a block comment does not nest",
      script: "/* /* */ select 1; */",
      statements: ["select 1", "*/"],
    },
    {
      name: "the slash that opens a block comment does not close it",
      script: "/*/ ; */ select 1",
      statements: ["select 1"],
    },
    {
      name: "an unclosed block comment",
      script: "select 1; /* select 2;",
      statements: ["select 1"],
    },
    {
      name: "a comment in a string",
      script: "select '-- a', '/* b'; select 2",
      statements: ["select '-- a', '/* b'", "select 2"],
    },
    {
      name: "an unclosed string",
      script: "select 'a; select 2;",
      statements: ["select 'a; select 2;"],
    },
    {
      name: "a minus before a negative number",
      script: "select 1 - -1; select 2",
      statements: ["select 1 - -1", "select 2"],
    },
    {
      name: "the JSON arrow operators",
      script: "select a->>'$.b;c' -> 1; select 2",
      statements: ["select a->>'$.b;c' -> 1", "select 2"],
    },
    {
      name: "comments before a statement are not part of it",
      script: "-- why\n/* and how */\nselect 1;",
      statements: ["select 1"],
    },
    { name: "a byte order mark", script: "\uFEFFselect 1;", statements: ["select 1"] },
    {
      name: "Windows line breaks",
      script: "select 1;\r\nselect 2;\r\n",
      statements: ["select 1", "select 2"],
    },
  ];

  test.each(scenarios.map((row) => [row.name, row] as const))("%s", (_, { script, statements }) => {
    expect(texts(script)).toEqual(statements);
  });
});

describe("a trigger is one statement", () => {
  const body = `begin
  update t set n = case when new.n > 1 then 1 else 2 end;
  -- a comment with end; in it
  insert into log values ('end;'), ("end");
  select case new.n when 1 then raise(rollback, 'no;') end;
end`;

  test.each([
    "create trigger a after insert on t",
    "CREATE TRIGGER IF NOT EXISTS a AFTER INSERT ON t FOR EACH ROW WHEN case when new.n then 1 end",
    "create temp trigger a after insert on t",
    "create temporary trigger a after insert on t",
    "create /* a comment; */ trigger -- another;\n a after insert on t",
  ])("%s", (head) => {
    const trigger = `${head} ${body}`;
    expect(texts(`create table t (n);\n${trigger};\nselect 1;`)).toEqual([
      "create table t (n)",
      trigger,
      "select 1",
    ]);
    expect(texts(trigger)).toEqual([trigger]);
  });

  test("if two follow each other, with END in capitals or after a comment", () => {
    const one = "create trigger a after insert on t begin select 1; END";
    const two = "create trigger b after insert on t begin select 1; /* done */ end";
    expect(texts(`${one};${two};select 2`)).toEqual([one, two, "select 2"]);
  });

  test("but not a table named trigger", () => {
    expect(texts('create table "trigger" (begin text); select 1; end;')).toEqual([
      'create table "trigger" (begin text)',
      "select 1",
      "end",
    ]);
  });
});

describe("the keyword", () => {
  test.each([
    ["select 1", "SELECT"],
    ["SeLeCt 1", "SELECT"],
    [";commit", "COMMIT"],
    [";;;  ;commit", "COMMIT"],
    ["/*x*/ commit", "COMMIT"],
    ["/**/commit", "COMMIT"],
    ["--x\ncommit", "COMMIT"],
    ["-- insert\n/* select */ ; -- update\n rollback", "ROLLBACK"],
    ["\t\r\n\f begin", "BEGIN"],
    ["with a as (select 1) select * from a", "WITH"],
    ["select/**/1", "SELECT"],
    ["select'1'", "SELECT"],
    ["(select 1)", ""],
    ["'select' 1", ""],
    ['"commit"', ""],
    ["[commit]", ""],
    ["1 select", ""],
    [":payload", ""],
    ["- select", ""],
    ["sélect 1", "SÉLECT"],
  ])("%s", (script, keyword) => {
    expect(splitStatements(script)[0]?.keyword).toBe(keyword);
  });
});

describe("parameters in the order SQLite numbers them", () => {
  test.each([
    ["select 1", []],
    ["select :a, :b, :a", [":a", ":b"]],
    ["select :b + :a", [":b", ":a"]],
    ["select @a, $b, ?3, ?", ["@a", "$b", "?3", "?"]],
    ["select ?, ?", ["?", "?"]],
    ["select ':a', \":b\", [:c], `:d` -- :e\n /* :f */", []],
    ["select a->>:path", [":path"]],
    ["select :payload ->> '$.a', x.y, 'it''s' || :type", [":payload", ":type"]],
    ["select :A, :a", [":A", ":a"]],
    ["select :größe, :a_1, :a$b", [":größe", ":a_1", ":a$b"]],
  ])("%s", (script, parameters) => {
    expect(splitStatements(script)[0]?.parameters).toEqual(parameters);
  });

  test("are listed separately for each statement", () => {
    expect(splitStatements("select :a; select :b, :a;").map(({ parameters }) => parameters)).toEqual([
      [":a"],
      [":b", ":a"],
    ]);
  });

  test("are bound by SQLite in the same order", () => {
    const db = new Database(":memory:");
    const script = "select :c as x, :a as y, :c || :b as z";
    const { parameters } = splitStatements(script)[0] as { parameters: readonly string[] };
    expect(db.prepare(script).get(...parameters.map((name) => name.slice(1)))).toEqual({
      x: "c",
      y: "a",
      z: "cb",
    });
    db.close();
  });
});

test("the line of a statement is that of its first word", () => {
  const script = `-- one
select 1; select 2;

/* five
   six */
select
  7;
create trigger a after insert on t begin
  select 1;
end; select 'a
b';
select 13;`;
  expect(splitStatements(script).map(({ line }) => line)).toEqual([2, 2, 6, 8, 10, 12]);
});

test("running the split statements gives the same result as running the whole script", () => {
  const script = `
    create table t (n integer, s text);
    create table log (s text);
    create trigger t_log after insert on t begin
      insert into log values (case when new.n > 1 then 'many;' else 'one' end);
      select case new.n when 99 then raise(abort, 'no; no') end;
    end;
    insert into t values (1, 'a;b'), (2, 'it''s -- no comment');
    update t set s = s || ';' where n = 2; -- the second;
    insert into log select s /* ; */ from t`;
  const whole = new Database(":memory:");
  whole.run(script);
  const cut = new Database(":memory:");
  for (const { text } of splitStatements(script)) cut.prepare(text).run();
  expect(dump(cut)).toEqual([["one"], ["many;"], ["a;b"], ["it's -- no comment;"]]);
  expect(dump(whole)).toEqual(dump(cut));
  whole.close();
  cut.close();
});
