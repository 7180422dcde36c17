import { expect, test } from "bun:test";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";

const MIGRATION = `
create table accounts (id integer primary key, customer text not null unique) strict;
create table credits (id integer primary key, account integer not null, cents integer not null) strict;
create index credits_by_account on credits (account);
`;

/** A handler that opens so many accounts. */
const signUp = (accounts: number): string => `
with recursive n (i) as (select 1 union all select i + 1 from n where i < ${accounts})
insert into accounts (customer) select :event_id || '/' || i from n;
insert into credits (account, cents) select id, 0 from accounts where customer like :event_id || '/%';
`;

const PAID = `
update credits set cents = cents + (:payload ->> '$.cents') from accounts
where accounts.id = credits.account and accounts.customer = :payload ->> '$.customer';
`;

/** As much as makes a checkpoint due after a few. */
const FILLER = "x".repeat(900_000);

/** How SQLite would run the handler now. */
function plan(inbox: TestInbox): string {
  const steps = inbox.rows(`explain query plan ${PAID.replaceAll(/:payload ->> '[^']*'/g, "'1'")}`);
  return steps.map(({ detail }) => String(detail)).join(", ");
}

test("a join over tables that a stop has found nearly empty uses their indexes once they have grown", async () => {
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
  await Bun.sleep(0); // a checkpoint has a turn of its own
  expect(plan(inbox)).not.toContain("SCAN");
  await inbox.deliver({ event_id: "evt_20", type: "paid", customer: "evt_0/1", cents: 7 });
  expect(inbox.value("select sum(cents) from credits")).toBe(12);
});
