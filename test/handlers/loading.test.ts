import { describe, expect, test } from "bun:test";
import type { Problem } from "../../src/errors.ts";
import { refusedStart, testInbox } from "../support/test-inbox.ts";

const TABLE = {
  "migrations/0001.sql": "create table t (a text, b integer) strict;\ncreate table hookless (a text) strict;",
};

/** The problems of a start with these files in handlers/. */
async function problemsWith(handlers: Record<string, string>): Promise<readonly Problem[]> {
  const files = Object.fromEntries(
    Object.entries(handlers).map(([name, text]) => [`handlers/${name}`, text]),
  );
  const error = await refusedStart({ files: { ...TABLE, ...files } });
  expect(error.code).toBe("config_invalid");
  return error.problems;
}

describe("a faulty SQL handler refuses the start, with its line", () => {
  /** Name of the case → script and the expected problems: [line, message]. */
  const scenarios: Record<string, { sql: string; problems: [number | undefined, string | RegExp][] }> = {
    empty: { sql: "", problems: [[undefined, "the file has no statement"]] },
    comments: { sql: "-- later\n/* maybe */ ;", problems: [[undefined, "the file has no statement"]] },
    unknown_binding: {
      sql: "insert into t values (:id, 1)",
      problems: [
        [1, ":id is not a binding. Use one of :event_id, :type, :source, :received_at, :payload, :headers"],
      ],
    },
    binding_in_capitals: { sql: "select :PAYLOAD", problems: [[1, /^:PAYLOAD is not a binding/]] },
    binding_with_an_at: { sql: "select @payload", problems: [[1, /^@payload is not a binding/]] },
    binding_with_a_dollar: { sql: "select $payload", problems: [[1, /^\$payload is not a binding/]] },
    question_mark: {
      sql: "insert into t values (?, ?2)",
      problems: [
        [1, /^\? is not a binding/],
        [1, /^\?2 is not a binding/],
      ],
    },
    binding_of_every_object: {
      sql: "select :constructor, :__proto__",
      problems: [
        [1, /^:constructor is no/],
        [1, /^:__proto__ is no/],
      ],
    },
    missing_table: { sql: "\n\ninsert into nowhere values (1)", problems: [[3, "no such table: nowhere"]] },
    missing_column: { sql: "select 1;\nupdate t\nset a = 1,\n  c = 2", problems: [[2, "no such column: c"]] },
    syntax: { sql: "insert into t\nvalues (1,, 2)", problems: [[2, /syntax error/]] },
    too_few_values: { sql: "insert into t values (1)", problems: [[1, /has 2 columns but 1 values/]] },
    unclosed: { sql: "insert into t values ('a, 1)", problems: [[1, /unrecognized token/]] },
    several_at_once: {
      sql: "insert into t values (:who, 1);\n\nvacuum;\nselect * from nowhere;\nselect :what",
      problems: [
        [1, /^:who is not a binding/],
        [3, /starts with VACUUM/],
        [4, "no such table: nowhere"],
        [5, /^:what is not a binding/],
      ],
    },
  };
  for (const [name, sql] of [
    ["commit", "commit"],
    ["semicolon_commit", ";commit"],
    ["comment_commit", "/*x*/ commit"],
    ["line_comment_commit", "-- x\ncommit"],
    ["commit_in_mixed_letters", "CoMmIt"],
    ["commit_behind_a_select", "select 1;commit"],
    ["begin", "begin"],
    ["begin_immediate", "begin immediate"],
    ["end", "end"],
    ["end_transaction", "end transaction"],
    ["rollback", "rollback"],
    ["savepoint", "savepoint a"],
    ["release", "release hookonce_event"],
    ["rollback_to", "rollback to hookonce_event"],
    ["pragma", "pragma foreign_keys = off"],
    ["attach", "attach 'other.db' as other"],
    ["detach", "detach main"],
    ["vacuum", "vacuum"],
    ["vacuum_into", "vacuum into 'copy.db'"],
    ["create", "create table x (a)"],
    ["create_temp", "create temp table x (a)"],
    ["create_trigger", "create trigger x after insert on t begin select 1; end"],
    ["drop", "drop table hookless"],
    ["alter", "alter table t add column c"],
    ["analyze", "analyze"],
    ["reindex", "reindex"],
    ["explain", "explain select 1"],
    ["explain_query_plan", "explain query plan select 1"],
    ["a_bracket", "(select 1)"],
    ["a_name", '"select" 1'],
    ["a_number", "1"],
    ["a_dot_command", ".quit"],
  ] as const) {
    const line = sql.includes("\n") ? 2 : 1;
    scenarios[`gate_${name}`] = {
      sql,
      problems: [
        [
          line,
          /^A handler's statement must start with one of SELECT, WITH, VALUES, INSERT, REPLACE, UPDATE, DELETE, and this one starts with /,
        ],
      ],
    };
  }

  test("all of them at once", async () => {
    const problems = await problemsWith(
      Object.fromEntries(Object.entries(scenarios).map(([name, { sql }]) => [`default/${name}.sql`, sql])),
    );
    const found = Map.groupBy(problems, ({ file }) => file ?? "");
    expect([...found.keys()].sort()).toEqual(
      Object.keys(scenarios)
        .map((name) => `handlers/default/${name}.sql`)
        .sort(),
    );
    for (const [name, { problems: expected }] of Object.entries(scenarios)) {
      const said = found.get(`handlers/default/${name}.sql`) ?? [];
      expect([name, said.map(({ line }) => line)]).toEqual([name, expected.map(([line]) => line)]);
      for (const [index, [, message]] of expected.entries()) expect(said[index]?.message).toMatch(message);
    }
  });

  test("a valid handler is accepted, and other files are ignored", async () => {
    await using inbox = await testInbox({
      files: {
        ...TABLE,
        "handlers/default/fine.sql": `-- commit; in a comment
          insert into t values (:type || '; commit', 1); /* vacuum */
          with x as (select :event_id as e) insert into t select e, 2 from x;
          replace into t values (:source, :received_at);
          update t set b = b + 1 where a = :payload ->> '$.a' and :payload is not null;
          values (:headers);
          select count(*) from t;
          delete from t where a = 'nobody';`,
        "handlers/default/README.md": "not a handler",
        "handlers/default/.hidden.sql": "not one either",
        "handlers/default/note.txt": "nor this",
        "handlers/default/fine.test.ts": "throw new Error('a test is not loaded')",
        "handlers/default/types.d.ts": "this is no TypeScript at all",
        "handlers/lib/shared.ts": "throw new Error('a library is not loaded by itself')",
        "handlers/lib/broken.sql": "nor is this",
      },
    });
    const { body } = await inbox.deliver({ event_id: "evt_1", type: "fine" });
    expect(body.status).toBe("processed");
    expect(inbox.rows("select a, b from t")).toEqual([
      { a: "fine; commit", b: 1 },
      { a: "evt_1", b: 2 },
      { a: "default", b: expect.any(Number) as number },
    ]);
  });
});

describe("a faulty TypeScript handler refuses the start", () => {
  const scenarios: Record<string, { ts: string; line?: number; message: RegExp }> = {
    empty: { ts: "", message: /^has no handler: write export default handler/ },
    no_default: { ts: "export const x = 1;", message: /^has no handler/ },
    a_bare_function: { ts: "export default () => {};", message: /^has no handler/ },
    an_object: { ts: "export default { run() {} };", message: /^has no handler/ },
    nothing: { ts: "export default null;", message: /^has no handler/ },
    a_look_alike: {
      ts: 'export default { [Symbol("hookonce.handler")]: true, run() {} };',
      message: /^has no handler/,
    },
    handler_of_nothing: {
      ts: 'import { handler } from "hookonce";\nexport default handler(undefined as never);',
      line: 2,
      message: /handler\(\) needs a function/,
    },
    syntax: {
      ts: 'import { handler } from "hookonce";\n\nexport default handler(({ db }) => { db.run( });',
      line: 3,
      message: /Unexpected|Expected/,
    },
    throws: { ts: 'throw new Error("at its top level");', line: 1, message: /^at its top level$/ },
    throws_late: {
      ts: 'await Promise.resolve();\nthrow new Error("after an await");',
      line: 2,
      message: /^after an await$/,
    },
    missing_file: { ts: '// first\nimport "../lib/absent.ts";', line: 2, message: /absent/ },
    missing_package: { ts: 'import "left-pad";', line: 1, message: /left-pad/ },
    missing_export: {
      ts: 'import { nothing } from "hookonce";\nexport default nothing;',
      line: 1,
      message: /nothing|has no handler/,
    },
    missing_export_of_a_file: {
      ts: 'import { handler } from "hookonce";\nimport {\n  nothing,\n} from "../lib/fine.ts";\nexport default handler(nothing);',
      line: 3,
      message: /nothing/,
    },
    throws_deep_inside: {
      ts: 'import { reply } from "hookonce";\n\nconst wrong = reply({ status: 1 });\nexport default wrong;',
      line: 3,
      message: /status 1 is not an integer/,
    },
  };

  test("all of them at once", async () => {
    const problems = await problemsWith(
      Object.fromEntries([
        ["lib/fine.ts", "export const fine = 1;"],
        ...Object.entries(scenarios).map(([name, { ts }]) => [`default/${name}.ts`, ts]),
      ]) as Record<string, string>,
    );
    const found = Map.groupBy(problems, ({ file }) => file ?? "");
    for (const [name, { line, message }] of Object.entries(scenarios)) {
      const said = found.get(`handlers/default/${name}.ts`) ?? [];
      expect([name, said.length]).toEqual([name, 1]);
      expect(said[0]?.message).toMatch(message);
      expect([name, said[0]?.line]).toEqual([name, line]);
    }
    expect(problems).toHaveLength(Object.keys(scenarios).length);
  });

  test("a mistake in an imported file is reported for that file", async () => {
    const problems = await problemsWith({
      "lib/broken.ts": "export const a = 1;\nexport const b = (;",
      "lib/throws.ts": "export {};\n\nthrow new Error('in lib');",
      "lib/missing.ts": "\n\n\nimport 'left-pad';",
      "default/a.ts": 'import "../lib/broken.ts";',
      "default/b.ts": 'import "../lib/throws.ts";',
      "default/c.ts": 'import "../lib/missing.ts";',
    });
    expect(problems).toEqual([
      {
        file: "handlers/lib/broken.ts",
        line: 2,
        message: expect.stringContaining("(imported by handlers/default/a.ts)") as string,
      },
      {
        file: "handlers/lib/throws.ts",
        line: 3,
        message: "in lib (imported by handlers/default/b.ts)",
      },
      {
        file: "handlers/lib/missing.ts",
        line: 4,
        message: expect.stringMatching(/left-pad.*imported by handlers\/default\/c\.ts/) as string,
      },
    ]);
  });

  test("a handler may import hookonce, drizzle, zod and files of its folder", async () => {
    await using inbox = await testInbox({
      files: {
        ...TABLE,
        "handlers/lib/tables.ts": `import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
          export const t = sqliteTable("t", { a: text(), b: integer() });`,
        "handlers/default/fine.ts": `import { eq } from "drizzle-orm";
          import { handler } from "hookonce";
          import { z } from "zod";
          import zDefault from "zod";
          import { t } from "../lib/tables.ts";
          const Payload = z.object({ a: z.string() });
          export default handler(({ event, db }) => {
            const { a } = Payload.parse(event.payload);
            db.insert(t).values({ a, b: zDefault === undefined ? 0 : 1 }).run();
            db.update(t).set({ b: 2 }).where(eq(t.a, a)).run();
          });`,
      },
    });
    expect((await inbox.deliver({ event_id: "evt_1", type: "fine", a: "x" })).body.status).toBe("processed");
    expect(inbox.rows("select a, b from t")).toEqual([{ a: "x", b: 2 }]);
    expect((await inbox.deliver({ event_id: "evt_2", type: "fine", a: 1 })).body.status).toBe("failed");
  });
});

const asked = (file: string, name: string): Problem => ({
  file,
  message: `this name matches no event type. Rename the file to ${name}`,
});
const language = (file: string): Problem => ({
  file,
  message: "only .sql and .ts files are handlers. Rename the file, or move it to handlers/lib/",
});
const place = (file: string): Problem => ({
  file,
  message: "a handler belongs in its source's folder. Move it to handlers/<source>/<type>.sql or .ts",
});

describe("faulty files in the handlers folder", () => {
  test("two files for one type, in two languages", async () => {
    const ok = 'import { handler } from "hookonce"; export default handler(() => {});';
    const problems = await problemsWith({
      "default/a.sql": "select 1",
      "default/a.ts": ok,
      "default/orders/b.sql": "select 1",
      "default/orders/b.ts": ok,
      "default/_any.sql": "select 1",
      "default/_any.ts": ok,
      // One name in two folders is two types.
      "default/c.sql": "select 1",
      "default/orders/c.ts": ok,
    });
    expect(problems).toEqual(
      ["_any", "a", "orders/b"].map((key) => ({
        file: `handlers/default/${key}.ts`,
        message: `handlers/default/${key}.sql is for the same type, and an event runs only one handler. Keep one of the two files`,
      })),
    );
  });

  test("names that match no type, files outside a source's folder, other languages", async () => {
    const problems = await problemsWith({
      "default/Push Hook.sql": "select 1",
      "default/orders é/new.ts": "",
      "default/old.js": "",
      "default/new.mts": "",
      "default/view.tsx": "",
      "stray.sql": "select 1",
      "stray.ts": "",
      "stray.md": "fine",
    });
    expect(problems).toEqual([
      asked("handlers/default/Push Hook.sql", "Push_Hook.sql"),
      language("handlers/default/new.mts"),
      language("handlers/default/old.js"),
      asked("handlers/default/orders é/new.ts", "orders__/new.ts"),
      language("handlers/default/view.tsx"),
      place("handlers/stray.sql"),
      place("handlers/stray.ts"),
    ]);
  });

  test("a folder for an unknown source is only a warning", async () => {
    await using inbox = await testInbox({ files: { "handlers/strpe/_any.sql": "this is never read" } });
    expect(inbox.log).toContainEqual(
      expect.objectContaining({
        level: 40,
        file: "handlers/strpe",
        msg: 'no source is named "strpe", so nothing in this folder ever runs. Rename or remove the folder',
      }) as never,
    );
    expect((await inbox.deliver({ event_id: "evt_1", type: "t" })).body.status).toBe("unhandled");
  });
});
