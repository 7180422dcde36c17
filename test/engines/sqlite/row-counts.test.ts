import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { migrate, ownSet } from "../../../src/engines/sqlite/migrations.ts";
import { openDatabase } from "../../../src/engines/sqlite/open.ts";
import { ownMigrations } from "../../../src/engines/sqlite/own-migrations.ts";
import { createCheckpoint } from "../../../src/engines/sqlite/checkpoint.ts";
import { countingRows } from "../../../src/engines/sqlite/row-counts.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { testInbox, type TestInbox } from "../../support/test-inbox.ts";

const MIGRATION = `
create table accounts (id integer primary key, customer text not null unique) strict;
create table credits (id integer primary key, account integer not null, cents integer not null) strict;
create index credits_by_account on credits (account);
`;

/** A handler that opens this many accounts. */
const signUp = (accounts: number): string => `
with recursive n (i) as (select 1 union all select i + 1 from n where i < ${accounts})
insert into accounts (customer) select :event_id || '/' || i from n;
insert into credits (account, cents) select id, 0 from accounts where customer like :event_id || '/%';
`;

const PAID = `
update credits set cents = cents + (:payload ->> '$.cents') from accounts
where accounts.id = credits.account and accounts.customer = :payload ->> '$.customer';
`;

/** Large enough that a few events make a checkpoint due. */
const FILLER = "x".repeat(900_000);

/** SQLite's current query plan for the PAID handler. */
function plan(inbox: TestInbox): string {
  const steps = inbox.rows(`explain query plan ${PAID.replaceAll(/:payload ->> '[^']*'/g, "'1'")}`);
  return steps.map(({ detail }) => String(detail)).join(", ");
}

test("a join uses the indexes of tables that have grown since the last stop counted few rows", async () => {
  await using inbox = await testInbox({
    mebibytes: 100,
    files: {
      "migrations/0001_credits.sql": MIGRATION,
      "handlers/default/signed_up.sql": signUp(1),
      "handlers/default/paid.sql": PAID,
    },
  });
  await inbox.deliver({ event_id: "evt_0", type: "signed_up" });
  await inbox.deliver({ event_id: "evt_1", type: "paid", customer: "evt_0/1", cents: 5 });
  await inbox.restart({ files: { "handlers/default/signed_up.sql": signUp(1000) } });
  expect(plan(inbox)).toContain("SCAN");

  for (let n = 2; n < 20; n++) {
    await inbox.deliver({ event_id: `evt_${n}`, type: "signed_up", filler: FILLER });
  }
  await Bun.sleep(0); // the checkpoint runs in a later turn of the event loop
  expect(plan(inbox)).not.toContain("SCAN");
  await inbox.deliver({ event_id: "evt_20", type: "paid", customer: "evt_0/1", cents: 7 });
  expect(inbox.value("select sum(cents) from credits")).toBe(12);
});

test("a checkpoint skips the row count without an error while another process holds the write lock", async () => {
  const folder = temporaryFolder("row-counts");
  const path = join(folder, "a.db");
  const { connection } = openDatabase(path);
  const fatal: unknown[] = [];
  try {
    migrate(connection, ownSet(ownMigrations), 1);
    const checkpoint = countingRows(
      connection,
      createCheckpoint(connection, (error) => void fatal.push(error)),
    );
    connection.run("create table grown (name text)");
    connection.run("create index grown_by_name on grown (name)");
    connection.run("insert into grown values ('one')");
    connection.run("analyze");
    connection.run(
      "with recursive n (i) as (select 1 union all select i + 1 from n where i < 500) insert into grown select i from n",
    );
    const counted = connection.prepare("select stat from sqlite_stat1 where tbl = 'grown'");
    connection.prepare("select 1 from grown where name = 'one'").values();

    using other = new Database(path);
    other.run("begin immediate");
    checkpoint.run();
    expect(counted.values()).toEqual([["1 1"]]);
    other.run("rollback");
    checkpoint.run();
    expect(counted.values()).toEqual([["501 1"]]);
    await checkpoint.close();
    connection.close(true);
    expect(fatal).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
