import { expect, test } from "bun:test";
import type { PostgresTarget } from "../../../src/config/postgres.ts";
import type { HandlerCode, Incoming, LoadedHandler } from "../../../src/engines/engine.ts";
import { openTrial } from "../../../src/engines/postgres/trial.ts";
import { createServer } from "../../../src/engines/postgres/server.ts";
import { prepareDatabase } from "../../../src/engines/postgres/start.ts";
import type { Migration, Trial } from "../../../src/engines/store.ts";
import { policy } from "../../../src/inbox/decide.ts";
import { describeUnless, onlyInFullRun } from "../../crash/requirements.ts";
import { refusalOf } from "../../support/test-inbox.ts";
import { connect, postgresPrograms, sharedCluster, STARTS_WITHIN_MS } from "./cluster.ts";

const why = postgresPrograms() === undefined ? "no PostgreSQL server is installed" : onlyInFullRun();

const TABLES = `
create table customers (name text primary key, cents numeric not null, note text);
create table credits (id bigint generated always as identity primary key, customer text references customers, at bytea);
create table log (line text);
insert into customers values ('ada', 5, 'old'), ('bob', 1, null), ('eve', 0, null);
insert into credits (customer) values ('ada');`;

async function prepared(...migrations: Migration[]): Promise<PostgresTarget> {
  const target = await (await sharedCluster()).database();
  const plan = { convertToWal: false, rules: [], acceptIdChange: false, migrations, now: 1 };
  await prepareDatabase(createServer(target), plan, { debug() {}, info() {}, warn() {}, error() {} });
  return target;
}

async function trialOn(target: PostgresTarget, ...migrations: Migration[]): Promise<Trial> {
  const options = { place: "live", copy: "", migrations, policy, now: 1 } as const;
  const trial = await openTrial(target, { ...options, enqueueProblem: () => undefined });
  if ("why" in trial) throw new Error(trial.why);
  return trial;
}

const tables = { name: "0001.sql", sql: TABLES };

const event = (payload: object, id = "evt_1"): Incoming => ({
  source: {
    name: "shop",
    handlersOf: "shop",
    unhandled: "record",
    requireChange: false,
    sameBody: false,
    payloadOf: () => undefined,
  } as unknown as Incoming["source"],
  batch: undefined,
  input: {
    id,
    type: "paid",
    source: "shop",
    receivedAt: 1,
    payloadJson: JSON.stringify(payload),
    headersJson: "{}",
    body: Buffer.from(JSON.stringify(payload)),
  },
});

async function load(trial: Trial, text: string): Promise<LoadedHandler> {
  const code: HandlerCode = { language: "sql", file: "handlers/shop/paid.sql", hash: "1", text };
  const handler = await trial.loadHandler(code);
  if (!("hash" in handler)) throw new Error(handler.map(({ message }) => message).join());
  return handler;
}

async function observed(trial: Trial, text: string, payload: object = {}) {
  const ran = await trial.observe(event(payload), await load(trial, text));
  if (ran === undefined) throw new Error("it did not run");
  return ran;
}

describeUnless(why, "a handler that is tried on PostgreSQL", () => {
  test(
    "shows each row that it changes, as it was before and after, and changes nothing",
    async () => {
      const target = await prepared(tables);
      const trial = await trialOn(target, tables);
      const ran = await observed(
        trial,
        `update customers set cents = cents + (:payload ->> 'cents')::numeric where name = 'ada';
delete from customers where name = 'eve';
insert into credits (customer, at) values (:payload ->> 'customer', '\\x00ff');
update customers set note = note where name = 'bob';
insert into log values ('a'), ('b');
insert into hookonce.outbox (destination, body) values ('mail', :payload);
select * from customers;`,
        { customer: "bob", cents: 0.5 },
      );
      expect(ran).toMatchObject({ error: undefined, ran: true, rowsChanged: 7, eventId: "evt_1" });
      expect(ran.tables).toEqual([
        {
          table: "credits",
          inserted: 1,
          updated: 0,
          deleted: 0,
          rows: [
            {
              change: "inserted",
              before: null,
              after: { id: 2, customer: "bob", at: "\\x00ff" },
              changed: ["id", "customer", "at"],
            },
          ],
        },
        {
          table: "customers",
          inserted: 0,
          updated: 1,
          deleted: 1,
          rows: [
            {
              change: "updated",
              before: { name: "ada", cents: 5, note: "old" },
              after: { name: "ada", cents: 5.5, note: "old" },
              changed: ["cents"],
            },
            {
              change: "deleted",
              before: { name: "eve", cents: 0, note: null },
              after: null,
              changed: ["name", "cents", "note"],
            },
          ],
        },
        { table: "log", inserted: 2, updated: 0, deleted: 0, rows: [] },
      ]);
      expect(ran.messages).toMatchObject([
        { destination: "mail", body: '{"cents": 0.5, "customer": "bob"}' },
      ]);
      expect(ran.statements.map(({ line, rows, runs }) => [line, rows, runs])).toEqual([
        [1, 1, 1],
        [2, 1, 1],
        [3, 1, 1],
        [4, 1, 1],
        [5, 2, 1],
        [6, 1, 1],
        [7, 2, 1],
      ]);
      expect(ran.bound[0]).toMatchObject({ line: 1, bound: ['{"customer":"bob","cents":0.5}'] });
      const wire = await connect(target);
      const left = await wire.read(
        "select (select count(*) from hookonce.events)::int as events, (select count(*) from log)::int as lines",
      );
      await wire.drop();
      expect(left).toEqual([{ events: 0, lines: 0 }]);
    },
    STARTS_WITHIN_MS,
  );

  test(
    "shows the error with its line, and the next run is not spoilt",
    async () => {
      const trial = await trialOn(await prepared(tables), tables);
      const ran = await observed(trial, "select 1;\ninsert into customers values ('ada', 1);");
      expect(ran.error).toMatchObject({ message: expect.stringContaining("duplicate key value") });
      expect(ran.statements[1]).toMatchObject({ line: 2, error: expect.stringContaining("duplicate key") });
      expect(ran.tables).toEqual([]);
      expect((await observed(trial, "insert into log values ('a');")).rowsChanged).toBe(1);
    },
    STARTS_WITHIN_MS,
  );

  test(
    "gives up if another transaction holds its rows",
    async () => {
      const target = await prepared(tables);
      const trial = await trialOn(target, tables);
      const other = await connect(target);
      await other.send("begin");
      await other.send("update customers set note = 'x' where name = 'ada'");
      const text = "update customers set cents = 1 where name = 'ada';";
      expect((await refusalOf(() => observed(trial, text))).code).toBe("database_locked");
      await other.send("rollback");
      await other.drop();
      expect((await observed(trial, text)).tables).toHaveLength(1);
    },
    STARTS_WITHIN_MS,
  );

  test(
    "runs on the tables that pending migrations make, also on a database without hookonce",
    async () => {
      const target = await (await sharedCluster()).database();
      const trial = await trialOn(target, tables);
      const ran = await observed(trial, "update customers set cents = 7 where name = 'ada';");
      expect(ran).toMatchObject({ error: undefined, rowsChanged: 1 });
      const wire = await connect(target);
      expect(await wire.read("select to_regclass('customers') is null as gone")).toEqual([{ gone: true }]);
      await wire.drop();
    },
    STARTS_WITHIN_MS,
  );
});
