import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import { check } from "../../src/app/check.ts";
import { scratch } from "../cli/support/hookonce.ts";

const source = `[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
`;

/**
 * An application's folder with a table in app.db, and an inbox folder whose handlers use it: one of them
 * wrongly.
 */
function application(config: string) {
  const app = scratch({
    "hookonce/hookonce.toml": `version = 1\n${config}`,
    "hookonce/handlers/default/good.sql": "update users set paid = 1 where id = :payload ->> '$.user';\n",
    "hookonce/handlers/default/bad.sql": "update usres set paid = 1;\n",
  });
  using database = new Database(join(app.path, "app.db"));
  database.run("pragma journal_mode = wal");
  database.run("create table users (id integer primary key, paid integer) strict");
  return app;
}

async function checked(folder: string, environment: Record<string, string> | null = {}) {
  const found = await check(folder, { environment, clock: Date.now });
  return {
    ...found,
    lines: found.problems.map(({ file, line, message }) => `${file ?? ""}:${line ?? ""}: ${message}`),
  };
}

const BAD = "handlers/default/bad.sql:1: no such table: usres";
const NOT_COMPARED = expect.stringContaining("whether a source with stored events is gone") as string;
const NOT_TOLD = expect.stringContaining("does not say which database") as string;

for (const { name, config, says, unchecked = [] } of [
  {
    name: "a missing secret",
    config: `database = "../app.db"\n${source}[sources.stripe]\nprovider = "stripe"\nsecret = "env:NONE"\n`,
    says: ["env:NONE is not set", BAD],
  },
  {
    name: "an unknown key at the top",
    config: `lisen = "127.0.0.1:1"\ndatabase = "../app.db"\n${source}`,
    says: ["did you mean listen?", BAD],
  },
  {
    name: "a wrong address",
    config: `listen = 8787\ndatabase = "../app.db"\n${source}`,
    says: ["listen", BAD],
  },
  {
    name: "an unknown provider",
    config: `database = "../app.db"\n${source.replace("unsigned", "unsinged")}`,
    says: ['"unsinged" is not a provider', BAD],
    unchecked: [NOT_COMPARED],
  },
  { name: "no source", config: 'database = "../app.db"\n', says: ["sources is missing", BAD] },
  {
    name: "a line that is not TOML",
    config: `listen = 127.0.0.1\ndatabase = "../app.db"\n${source}`,
    says: ["hookonce.toml:2: ", BAD],
    unchecked: [NOT_COMPARED],
  },
  {
    name: "a database that is not TOML",
    config: `database = ../app.db\n${source}`,
    says: ["hookonce.toml:2: "],
    unchecked: [NOT_TOLD],
  },
  {
    name: "a misspelled database",
    config: `databse = "../app.db"\n${source}`,
    says: ["did you mean database?"],
    unchecked: [NOT_TOLD],
  },
  {
    name: "a database in the wrong table",
    config: `${source}database = "../app.db"\n`,
    says: ["sources.default.database"],
    unchecked: [NOT_TOLD],
  },
  {
    name: "a database that is not text",
    config: `database = 7\n${source}`,
    says: ["database: 7 is not text"],
    unchecked: [NOT_TOLD],
  },
  {
    name: "a database in a folder that does not exist",
    config: `database = "../ap/app.db"\n${source}`,
    says: [/^hookonce\.toml:2: database: the folder \S+\/ap does not exist\. Correct the path/],
    unchecked: ["the migrations and the SQL of the handlers, because the database cannot be read"],
  },
] as { name: string; config: string; says: (string | RegExp)[]; unchecked?: string[] }[]) {
  test(`with ${name}, judges the handlers against the database that is meant, or says that it could not`, async () => {
    using app = application(config);
    const { lines, unchecked: found } = await checked(join(app.path, "hookonce"));
    expect(lines).toEqual(
      says.map((one) =>
        typeof one === "string" ? expect.stringContaining(one) : expect.stringMatching(one),
      ) as string[],
    );
    expect(found).toEqual(unchecked);
  });
}

test("says where a database that does not exist yet will be made", async () => {
  using inbox = scratch({ "hookonce.toml": `version = 1\n${source}` });
  const { problems, notes } = await checked(inbox.path);
  const place = join(inbox.path, "data/hookonce.db");
  expect([problems, notes]).toEqual([[], [`the database does not exist yet: it will be made at ${place}`]]);
  using app = application(`database = "../app.db"\n${source}`);
  expect((await checked(join(app.path, "hookonce"))).notes).toEqual([]);
});

test("finds a changed id rule although a secret is missing, and says so if it could not look", async () => {
  const stripe = `[sources.stripe]\nprovider = "stripe"\nsecret = "env:STRIPE"\n`;
  using inbox = scratch({ "hookonce.toml": `version = 1\n${source}${stripe}` });
  const { testInbox } = await import("../support/test-inbox.ts");
  await using started = await testInbox({ config: `${source}${stripe}`, environment: { STRIPE: "whsec_x" } });
  expect((await started.deliver({ event_id: "evt_1", type: "paid" })).status).toBe(200);
  await started.close();
  const config = (of: string): string =>
    `version = 1\ndatabase = ${JSON.stringify(started.databasePath)}\n${of}`;

  inbox.write({ "hookonce.toml": config(`${source.replace("$.event_id", "$.id")}${stripe}`) });
  expect(await checked(inbox.path)).toMatchObject({
    lines: [
      expect.stringContaining("env:STRIPE is not set"),
      expect.stringContaining('the event id now comes from "body:$.id"'),
    ],
    unchecked: [],
  });
  inbox.write({ "hookonce.toml": config(`${source}evnt_id = "x"\n${stripe}`) });
  expect(await checked(inbox.path)).toMatchObject({
    lines: [expect.anything(), expect.stringContaining("env:STRIPE is not set")],
    unchecked: [NOT_COMPARED],
  });
});
