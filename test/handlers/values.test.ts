import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { parsePayload } from "../../src/engines/payload.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { ts } from "./sources.ts";

/** Values by name, as a handler writes them, and what is wrong with each. */
const REFUSED: Readonly<Record<string, [code: string, message: RegExp]>> = {
  bigint_above: ["9223372036854775808n", /is 9223372036854775808, and SQLite's integers have 64 bits/],
  bigint_below: ["-9223372036854775809n", /is -9223372036854775809, and SQLite's integers have 64 bits/],
  bigint_huge: ["10n ** 300n", /is 1000000000000000000000000000000000000000…, and SQLite's/],
  nan: ["NaN", /is NaN, which SQLite would store as NULL\. Pass null/],
  not_a_number: ["Number('12 EUR')", /is NaN/],
  infinity: ["Infinity", /is Infinity, which neither JSON nor SQL text can hold/],
  minus_infinity: ["-1 / 0", /is -Infinity/],
  half_a_pair: ['"a\\ud800b"', /is text with half of a surrogate pair.*toWellFormed/],
  undefined: ["undefined", /is undefined\. Pass null to store NULL/],
  date: ["new Date(0)", /is a Date\. Pass value\.getTime\(\) or/],
  invalid_date: ["new Date(NaN).getTime()", /is NaN/],
  object: ["{ cents: 5 }", /is an object\. Pass JSON\.stringify/],
  proxy: ["new Proxy({}, {})", /is an object/],
  symbol: ["Symbol('x')", /is a symbol/],
  function: ["() => 5", /is a function/],
  detached_bytes: [
    "(() => { const b = new Uint8Array([1, 2]); structuredClone(b, { transfer: [b.buffer] }); return b; })()",
    /is bytes that are gone: their buffer was transferred.*Copy them before that, with value\.slice\(\)/,
  ],
  detached_buffer: [
    "(() => { const b = new ArrayBuffer(2); structuredClone(b, { transfer: [b] }); return b; })()",
    /is bytes that are gone/,
  ],
  detached_view: [
    "(() => { const b = new ArrayBuffer(2); const v = new DataView(b); b.transfer(); return v; })()",
    /is bytes that are gone/,
  ],
  shrunk_bytes: [
    "(() => { const b = new ArrayBuffer(8, { maxByteLength: 8 }); const v = new Uint16Array(b, 4, 2); b.resize(2); return v; })()",
    /is bytes that are gone/,
  ],
};

/** Each stores `value` as the second of two parameters, or reads with it. */
const WAYS: Readonly<Record<string, string>> = {
  client_run: "db.$client.run('insert into notes values (?, ?)', 1, value)",
  client_run_list: "db.$client.run('insert into notes values (?, ?)', [1, value])",
  client_all: "db.$client.query('insert into notes values (?, ?) returning n').all(1, value)",
  client_get: "db.$client.prepare('insert into notes values (?, ?) returning n').get(1, value)",
  client_values: "db.$client.prepare('select ?, ?').values(1, value)",
  client_named: "db.$client.run('insert into notes values (:n, $value)', { n: 1, value })",
  run: "db.run(sql`insert into notes values (${1}, ${sql.param(value)})`)",
  all: "db.all(sql`insert into notes values (${1}, ${sql.param(value)}) returning n`)",
  get: "db.get(sql`select ${1}, ${sql.param(value)}`)",
  values: "db.values(sql`select ${1}, ${sql.param(value)}`)",
  in_transaction: "db.transaction((tx) => tx.run(sql`insert into notes values (${1}, ${sql.param(value)})`))",
  builder: "db.select().from(notes).where(and(eq(notes.n, 1), eq(notes.value, value))).all()",
  placeholder:
    "db.select().from(notes).where(and(eq(notes.n, 1), eq(notes.value, sql.placeholder('v')))).prepare().all({ v: value })",
};

const VALUES_HANDLER = ts(
  `
  const values = { ${Object.entries(REFUSED)
    .map(([name, [code]]) => `${name}: ${code}`)
    .join(", ")} };
  const value = values[event.payload.value];
  const ways = { ${Object.entries(WAYS)
    .map(([way, code]) => `${way}: () => ${code}`)
    .join(", ")} };
  for (const [way, attempt] of Object.entries(ways)) {
    let code = "taken";
    let message = "";
    try {
      attempt();
    } catch (error) {
      const cause = error.cause ?? error;
      code = cause.code;
      message = cause.message;
    }
    db.run(sql\`insert into seen values (\${event.id}, \${way}, \${code ?? "none"}, \${message})\`);
  }
`,
  `import { and } from "drizzle-orm";
const notes = sqliteTable("notes", { n: integer(), value: text() });`,
);

let inbox: TestInbox;
beforeAll(async () => {
  inbox = await testInbox({
    files: {
      "migrations/0001.sql": `
        create table notes (n integer, value any);
        create table effects (event_id text, note text) strict;
        create table things (n integer primary key, note text) strict;
        create table seen (event_id text, way text, code text, message text) strict;`,
      "handlers/default/values.ts": VALUES_HANDLER,
    },
  });
});
afterAll(() => inbox[Symbol.asyncDispose]());

describe("a value that SQLite would change is refused in every way to run a statement", () => {
  test.each(Object.entries(REFUSED))("%s", async (name, [, message]) => {
    const { body } = await inbox.deliver({ event_id: name, type: "values", value: name });
    // A refusal that the handler catches leaves its transaction unchanged.
    expect(body.status).toBe("processed");
    const seen = inbox.rows("select way, code, message from seen where event_id = ?", name);
    expect(seen.map(({ way }) => way as string)).toEqual(Object.keys(WAYS));
    for (const { way, code, message: said } of seen) {
      expect([way, code]).toEqual([way, "value_refused"]);
      const position = way === "client_named" ? "Parameter $value" : "Parameter 2";
      expect(said as string).toStartWith(`${position} is `);
      expect(said as string).toMatch(message);
    }
    expect(inbox.rows("select * from notes")).toEqual([]);
  });
});

/** A handler that runs `body`, on a table that holds any value. */
async function run(body: string, payload = "{}", imports = ""): Promise<TestInbox> {
  const one = await testInbox({
    files: {
      "migrations/0001.sql": `
        create table notes (n integer, value any);
        create table effects (event_id text, note text) strict;
        create table things (n integer primary key, note text) strict;`,
      "handlers/default/t.ts": ts(body, imports),
    },
  });
  await one.deliver(`{"event_id":"evt_1","type":"t","data":${payload}}`);
  return one;
}

const failureOf = (one: TestInbox): unknown => one.rows("select code, error from hookonce_failures")[0];

describe("values at the limits are stored as they are", () => {
  test.each([
    ["the largest integer", "9223372036854775807n", "integer", "9223372036854775807"],
    ["the smallest integer", "-9223372036854775808n", "integer", "-9223372036854775808"],
    ["a BigInt that a number could hold", "5n", "integer", "5"],
    ["the largest safe number", "9007199254740991", "integer", "9007199254740991"],
    ["a fraction", "0.1", "real", "0.1"],
    ["true", "true", "integer", "1"],
    ["null", "null", "null", null],
    ["text with a whole pair", '"\\ud83d\\ude00"', "text", "😀"],
    ["bytes", "new Uint8Array([104, 105])", "blob", "hi"],
    ["no bytes", "new Uint8Array(0)", "blob", ""],
    ["an empty buffer", "new ArrayBuffer(0)", "blob", ""],
    ["a part of a buffer", "new DataView(new Uint8Array([120, 104, 105]).buffer, 1)", "blob", "hi"],
  ])("%s", async (_, code, type, text) => {
    await using one = await run(`db.run(sql\`insert into notes values (1, \${${code}})\`);`);
    expect(failureOf(one)).toBeUndefined();
    expect(one.rows("select typeof(value) t, cast(value as text) v from notes")).toEqual([
      { t: type, v: text },
    ]);
  });
});

describe("undefined in a template", () => {
  test.each([
    [
      "where SQLite would report a syntax error",
      "db.run(sql`insert into notes values (${1}, ${event.payload.amount})`)",
      2,
    ],
    [
      "where SQL without it is valid",
      "db.run(sql`update notes set n = n + ${event.payload.amount} - ${1}`)",
      1,
    ],
    ["in a part of a query", "db.update(things).set({ note: sql`note || ${event.payload.note}` }).run()", 1],
    ["in a list", "db.run(sql`delete from notes where n in ${[1, event.payload.other]}`)", 1],
  ])("%s fails and names the value", async (_, code, position) => {
    await using one = await run(`${code};`);
    const { code: failed, error } = failureOf(one) as { code: string; error: string };
    expect(failed).toBe("value_refused");
    expect(error).toMatch(
      new RegExp(`^Value ${position} of sql\`.*\` is undefined\\. Pass null to store NULL`),
    );
  });

  test("in sql.join fails and names the element", async () => {
    await using one = await run("db.run(sql.join([sql`delete from notes`, event.payload.rest], sql` `));");
    expect(failureOf(one)).toEqual({
      code: "value_refused",
      error:
        "Element 2 of the list given to sql.join is undefined. Pass null to store NULL, or sql.empty() to add nothing.",
    });
  });

  test("is no problem in and(), which leaves it out", async () => {
    await using one = await run(
      "db.update(things).set({ note: 'x' }).where(and(eq(things.n, 1), undefined)).run();",
      "{}",
      'import { and } from "drizzle-orm";',
    );
    expect(failureOf(one)).toBeUndefined();
  });
});

test("a statement with parameters and no values is refused: SQLite would use those of another event", async () => {
  await using one = await testInbox({
    files: {
      "migrations/0001.sql": "create table notes (n integer, value any);",
      "handlers/default/give.ts": `import { handler } from "hookonce";
export default handler(({ event, db }) => {
  db.$client.run("insert into notes values (?, ?)", ...event.payload.values);
});`,
    },
  });
  await one.deliver({ event_id: "evt_1", type: "give", values: [1, "ada"] });
  const { status } = await one.deliver({ event_id: "evt_2", type: "give", values: [] });
  expect(status).toBe(500);
  expect(failureOf(one)).toEqual({
    code: "value_refused",
    error: "The statement has 2 parameters and was given no value. Pass a value for each.",
  });
  expect(one.rows("select * from notes")).toEqual([{ n: 1, value: "ada" }]);
});

describe("integers that a number cannot hold exactly", () => {
  const WIDE = ["9007199254740993", "-9007199254740993", "9007199254740992", "9223372036854775807"];

  test("in the payload are BigInts, and are stored digit for digit", async () => {
    await using one = await run(
      "for (const id of event.payload.data.ids) db.run(sql`insert into notes values (${id}, ${typeof id})`);",
      `{"ids":[${WIDE.join(", ")},\n  9007199254740991, 5, 0, -5]}`,
    );
    expect(one.rows("select cast(n as text) n, value from notes")).toEqual([
      ...WIDE.map((n) => ({ n, value: "bigint" })),
      ...["9007199254740991", "5", "0", "-5"].map((n) => ({ n, value: "number" })),
    ]);
  });

  test("are BigInts at any depth, under repeated and odd keys, and alone", async () => {
    await using one = await run(
      `const { a, __proto__: own, deep } = event.payload.data;
      effect([a, own.b, deep[0][0].c].map((n) => \`\${typeof n} \${n}\`).join());`,
      `{"a":1,"a":9007199254740993,"__proto__":{"b":9007199254740995},"deep":[[{"c":-9007199254740997}]]}`,
    );
    expect(one.value("select note from effects")).toBe(
      "bigint 9007199254740993,bigint 9007199254740995,bigint -9007199254740997",
    );
  });

  test.each([
    ["9007199254740993.0", "9007199254740993"],
    ["9007199254740993e0", "9007199254740993"],
    ["-9007199254740993.000E+0", "-9007199254740993"],
    ["9.007199254740993e15", "9007199254740993"],
    ["90071992547409930e-1", "9007199254740993"],
    ["0.9007199254740993e+16", "9007199254740993"],
    ["12345678901234567890e0", "12345678901234567890"],
    ["1e20", "100000000000000000000"],
    ["1e400", `1${"0".repeat(400)}`],
    ["-1e400", `-1${"0".repeat(400)}`],
    [`0.${"0".repeat(99)}1e117`, "100000000000000000"],
  ])("are BigInts however they are spelled: %s", async (spelling, digits) => {
    await using one = await run(
      "effect(event.payload.data.map((one) => `${typeof one} ${one}`).join());",
      `[${spelling},\n${spelling}, 9007199254740993]`,
    );
    expect(one.value("select note from effects")).toBe(
      `bigint ${digits},bigint ${digits},bigint 9007199254740993`,
    );
  });

  test("any spelling of any integer means the same as its digits", () => {
    const spellings = fc.record({
      integer: fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }),
      point: fc.nat(60),
      zeros: fc.nat(20),
      sign: fc.constantFrom("e", "E", "e+"),
    });
    fc.assert(
      fc.property(spellings, ({ integer, point, zeros, sign }) => {
        const [digits, minus] = [String(integer).replace("-", ""), integer < 0n ? "-" : ""];
        // Moves the decimal point to the left, and back by the exponent.
        const padded = digits.padStart(point + 1, "0");
        const whole = padded.slice(0, padded.length - point).replace(/^0+(?=.)/, "");
        const spelled = `${minus}${whole}.${padded.slice(padded.length - point)}${"0".repeat(zeros + 1)}${sign}${point}`;
        expect(parsePayload(`[${spelled}, 1]`)).toEqual(parsePayload(`[${integer}, 1]`));
      }),
      { numRuns: 500, seed: 20_261_127 },
    );
  });

  test("numbers that are not integers, and digits in text, stay what they are", async () => {
    await using one = await run(
      "effect(event.payload.data.map((one) => `${typeof one} ${one}`).join());",
      `[1.5, 1e15, 0e999, 1e-400, 9007199254740993.5, 90071992547409925e-1, "9007199254740993.0", " 1e400"]`,
    );
    expect(one.value("select note from effects")).toBe(
      "number 1.5,number 1000000000000000,number 0,number 0,number 9007199254740994,number 9007199254740992,string 9007199254740993.0,string  1e400",
    );
  });

  test("beyond 64 bits reach the handler exactly, and storing one as an integer fails", async () => {
    await using one = await run(
      "effect(String(event.payload.data)); db.run(sql`insert into notes values (${event.payload.data}, 1)`);",
      "18446744073709551616",
    );
    const { code, error } = failureOf(one) as { code: string; error: string };
    expect(code).toBe("value_refused");
    expect(error).toStartWith("Parameter 1 is 18446744073709551616, and SQLite's integers have 64 bits");
    expect(one.rows("select * from effects")).toEqual([]);
  });

  test.each([
    ["of more than 1,000 digits", "9".repeat(1001)],
    ["with more than 400 zeros by their exponent", "1e401"],
    ["with an endless exponent", "1e99999999999999999999"],
  ])("%s are Infinity, which is refused", async (_, number) => {
    await using one = await run("db.run(sql`insert into notes values (${event.payload.data}, 1)`);", number);
    const { code, error } = failureOf(one) as { code: string; error: string };
    expect(code).toBe("value_refused");
    expect(error).toStartWith("Parameter 1 is Infinity");
  });

  test("in a column are BigInts in every way to read, and ordinary integers are numbers", async () => {
    await using one = await run(`
      db.run(sql\`insert into notes values (9007199254740993, 5), (5, 1.5)\`);
      const table = sqliteTable("notes", { n: integer(), value: integer() });
      const shown = (rows) => JSON.stringify(rows, (_, value) => (typeof value === "bigint" ? value + "n" : value));
      effect(shown(db.all(sql\`select n, value from notes\`)));
      effect(shown(db.values(sql\`select n, value from notes\`)));
      effect(shown(db.get(sql\`select n, value from notes\`)));
      effect(shown(db.select().from(table).all()));
      effect(shown(db.select().from(table).get()));
      effect(shown(db.$client.query("select n, value from notes").all()));
      effect(shown(db.$client.query("select n, value from notes").get()));
      effect(shown(db.$client.query("select n from notes where n = 404").get()));
      effect(shown(db.all(sql\`update notes set value = value where n > 5 returning n, value\`)));
      effect(shown(db.all(sql\`with big as (select n from notes where n > 5) select n, 2 as two from big\`)));
      effect(shown(db.run(sql\`insert into things values (9007199254740995, 'x')\`)));
      effect(shown(db.run(sql\`insert into things values (5, 'x')\`)));
    `);
    expect(failureOf(one)).toBeUndefined();
    expect(one.rows("select note from effects").map(({ note }) => note as string)).toEqual([
      '[{"n":"9007199254740993n","value":5},{"n":5,"value":1.5}]',
      '[["9007199254740993n",5],[5,1.5]]',
      '["9007199254740993n",5]',
      '[{"n":"9007199254740993n","value":5},{"n":5,"value":1.5}]',
      '{"n":"9007199254740993n","value":5}',
      '[{"n":"9007199254740993n","value":5},{"n":5,"value":1.5}]',
      '{"n":"9007199254740993n","value":5}',
      "null",
      '[{"n":"9007199254740993n","value":5}]',
      '[{"n":"9007199254740993n","two":2}]',
      '{"changes":1,"lastInsertRowid":"9007199254740995n"}',
      '{"changes":1,"lastInsertRowid":5}',
    ]);
  });

  test("can be sent back in a reply, digit for digit", async () => {
    await using one = await testInbox({
      files: {
        "handlers/default/t.ts": `import { handler, reply } from "hookonce";
export default handler(({ event }) => reply({ body: { id: event.payload.id } }));`,
      },
    });
    const response = await one.request("/webhook", {
      method: "POST",
      body: '{"event_id":"evt_1","type":"t","id":9007199254740993}',
    });
    expect(await response.text()).toBe('{"id":9007199254740993}');
  });
});

test("a handler's statement with the text of one of hookonce's own does not change how hookonce reads", async () => {
  await using one = await run(`
    db.$client.query("select total_changes()").all();
    db.$client.query("select changes()").all();
    db.$client.query("select exists (select 1 from hookonce_failures where settled_at is null)").all();
    db.all(sql\`insert into effects values ('x', 'y') returning note\`);
  `);
  expect(failureOf(one)).toBeUndefined();
  expect(one.value("select rows_changed from hookonce_results")).toBe(1);
});

test("SQL text that SQLite would cut or change is refused", async () => {
  await using one = await run(`
    for (const text of ["delete from things \\0 where n = 1", "insert into notes values (1, 'a\\ud800')"]) {
      try {
        db.$client.run(text);
      } catch (error) {
        effect(error.code);
      }
    }
  `);
  expect(one.rows("select note from effects")).toEqual([
    { note: "statement_refused" },
    { note: "statement_refused" },
  ]);
});
